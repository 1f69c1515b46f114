#!/usr/bin/env python3
"""Kills fits, compressions and exports with SIGKILL at random points, and compares with whole runs.

    kill_trials.py SCENE [--fits 50] [--writes 20] [--iterations 60] [--seed 0]

A fit (on one thread, whose results do not depend on timing) is resumed until it is done: log and model must
equal those of a run without interruption. A compression or export that was killed must leave no file, the old
one, or the whole new one. Prints a line for each trial; exit code 1 when any is wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

GSPC = (sys.executable, "-m", "gspc")
TIMES = ("seconds", "elapsed", "eta")  # fields of the log that no two runs share


def log_of(path: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, path.read_text().splitlines())
    return [{key: value for key, value in line.items() if not key.startswith(TIMES)} for line in lines]


def killed(command: Sequence[str], after: float) -> tuple[bool, str]:
    """Runs a command and kills it after some seconds; whether it was done before, and what it said last."""
    ran = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        said = ran.communicate(timeout=after)[1]
    except subprocess.TimeoutExpired:
        ran.kill()
        ran.communicate()
        return False, ""
    if ran.returncode != 0:
        raise RuntimeError(f"exit {ran.returncode}: {said.strip() or 'nothing was said'}")
    return True, said


def fit_command(scene: str, folder: Path, iterations: int) -> list[str]:
    options = ["--iterations", str(iterations), "--checkpoint-every", str(max(iterations // 6, 1))]
    target = ["-o", str(folder / "model.pt"), "--log", str(folder / "log.jsonl")]
    return [*GSPC, "fit", scene, *target, *options, "--threads", "1", "-q"]


def fit_trial(scene: str, whole: Path, folder: Path, iterations: int, longest: float) -> str:
    """One fit, killed and resumed; what differs, or nothing."""
    command, kills = fit_command(scene, folder, iterations), 0
    while True:
        resumed = ["--resume"] if any(folder.glob("*checkpoint*")) else ["-f"]
        last = kills == 3
        done, _ = killed([*command, *resumed], 3600 if last else random.uniform(0, longest))
        if done:
            break
        kills += 1
    wrong = []
    if (folder / "model.pt").read_bytes() != (whole / "model.pt").read_bytes():
        wrong.append("another model")
    if log_of(folder / "log.jsonl") != log_of(whole / "log.jsonl"):
        wrong.append("another log")
    left = sorted(path.name for path in folder.iterdir() if path.name not in ("model.pt", "log.jsonl"))
    if left:
        wrong.append(f"left {left}")
    return f"killed {kills} times: {', '.join(wrong) or 'equal'}"


def write_trial(command: Sequence[str], target: Path, good: bytes, longest: float) -> str:
    """One command that writes `target`, over an older file or over none."""
    old = b"old" if random.random() < 0.5 else None
    if old is None:
        target.unlink(missing_ok=True)
    else:
        target.write_bytes(old)
    done, _ = killed(command, random.uniform(0, longest))
    found = target.read_bytes() if target.exists() else None
    fine = found == good if done else found in (old, good)
    state = "the new file" if found == good else "the old file" if found else "no file"
    return f"{'done' if done else 'killed'}: {state if fine else 'A HALF-WRITTEN FILE'}"


def timed(command: Sequence[str]) -> float:
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def trials(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, bool]]:
    whole = folder / "whole"
    whole.mkdir()
    takes = timed(fit_command(arguments.scene, whole, arguments.iterations))
    yield f"a fit without interruption takes {takes:.0f} s", True
    for number in range(arguments.fits):
        place = folder / f"fit{number}"
        place.mkdir()
        said = fit_trial(arguments.scene, whole, place, arguments.iterations, takes)
        yield f"fit {number + 1}: {said}", said.endswith("equal")
    stream, target = folder / "scene.pcgs", folder / "scene.ply"
    compress = [*GSPC, "compress", str(whole / "model.pt"), "-o", str(stream), "-f", "-q"]
    export = [*GSPC, "export", str(stream), "-o", str(target), "-f", "-q", "--no-check", "--threads", "1"]
    for command, file, number in ((compress, stream, arguments.writes), (export, target, arguments.writes)):
        takes = timed(command)
        good = file.read_bytes()
        for trial in range(number):
            said = write_trial(command, file, good, 1.1 * takes)
            yield f"{command[3]} {trial + 1}: {said}", "HALF" not in said
        file.write_bytes(good)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene")
    parser.add_argument("--fits", type=int, default=50)
    parser.add_argument("--writes", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        for line, fine in trials(arguments, Path(place)):
            print(line, flush=True)
            wrong += not fine
    print(f"{wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
