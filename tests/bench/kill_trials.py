#!/usr/bin/env python3
"""Kills fits, compressions and exports with SIGKILL at random points, and compares with whole runs.

    kill_trials.py SCENE [--kills 50] [--writes 20] [--iterations 60] [--resolution 1] [--seed 0]

Fits (on one thread, whose results do not depend on timing) are killed and resumed until they are done, as
many as it takes for so many kills: log and model must equal those of a run without interruption. A
compression or export that was killed must leave no file, the old one, or the whole new one. Points are drawn
in processor time, which the load of the machine does not move. Prints a line for each trial; exit code 1 when
any is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
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


def processor_seconds(process: int) -> float:
    """What a process that has not ended has used so far, with its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def killed(command: Sequence[str], after: float) -> bool:
    """Runs a command and kills it after some seconds of the processor; whether it was done before."""
    with tempfile.TemporaryFile("w+") as said:
        ran = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        while ran.poll() is None:
            if processor_seconds(ran.pid) >= after:
                ran.kill()
            time.sleep(0.005)
        if ran.returncode == -signal.SIGKILL:
            return False
        said.seek(0)
        if ran.returncode != 0:
            raise RuntimeError(f"exit {ran.returncode}: {said.read().strip() or 'nothing was said'}")
        return True


def fit_command(arguments: argparse.Namespace, folder: Path) -> list[str]:
    every = max(arguments.iterations // 6, 1)
    options = ["--iterations", str(arguments.iterations), "--checkpoint-every", str(every)]
    options += ["--resolution", str(arguments.resolution), "--threads", "1", "-q"]
    target = ["-o", str(folder / "model.pt"), "--log", str(folder / "log.jsonl")]
    return [*GSPC, "fit", arguments.scene, *target, *options]


def fit_trial(command: Sequence[str], whole: Path, folder: Path, kills: int, takes: float) -> tuple[str, int]:
    """One fit, killed at most so often and resumed: what is wrong, or "equal"; how often it was killed."""
    done, killed_at = False, []
    while not done:
        # Only a checkpoint under its own name: a run that was killed may leave a part of one beside it.
        resumed = ["--resume"] if (folder / "model.pt.checkpoint").exists() else ["-f"]
        after = random.uniform(0, takes) if len(killed_at) < kills else float("inf")
        done = killed([*command, *resumed], after)
        if not done:
            killed_at.append(f"{after:.1f}")
    wrong = []
    if (folder / "model.pt").read_bytes() != (whole / "model.pt").read_bytes():
        wrong.append("another model")
    if log_of(folder / "log.jsonl") != log_of(whole / "log.jsonl"):
        wrong.append("another log")
    left = sorted(path.name for path in folder.iterdir() if path.name not in ("model.pt", "log.jsonl"))
    if left:
        wrong.append(f"left {left}")
    points = f"killed at {', '.join(killed_at)} s" if killed_at else "not killed"
    return f"{points}: {', '.join(wrong) or 'equal'}", len(killed_at)


def write_trial(command: Sequence[str], target: Path, good: bytes, longest: float) -> str:
    """One command that writes `target`, over an older file or over none."""
    old = b"old" if random.random() < 0.5 else None
    if old is None:
        target.unlink(missing_ok=True)
    else:
        target.write_bytes(old)
    done = killed(command, random.uniform(0, longest))
    found = target.read_bytes() if target.exists() else None
    fine = found == good if done else found in (old, good)
    state = "the new file" if found == good else "the old file" if found else "no file"
    return f"{'done' if done else 'killed'}: {state if fine else 'A HALF-WRITTEN FILE'}"


def timed(command: Sequence[str]) -> float:
    """Runs a command; how many seconds of the processor it took."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def fit_trials(arguments: argparse.Namespace, folder: Path, whole: Path) -> Iterator[tuple[str, bool]]:
    takes = timed(fit_command(arguments, whole))
    yield f"a fit without interruption takes {takes:.1f} s of the processor", True
    kills, fits = 0, 0
    while kills < arguments.kills:
        fits += 1
        place = folder / f"fit{fits}"
        place.mkdir()
        most = min(3, arguments.kills - kills)
        said, more = fit_trial(fit_command(arguments, place), whole, place, most, takes)
        kills += more
        yield f"fit {fits}: {said}", said.endswith("equal")
    yield f"{kills} kills in {fits} fits", True


def trials(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, bool]]:
    whole = folder / "whole"
    whole.mkdir()
    yield from fit_trials(arguments, folder, whole)
    stream, target = folder / "scene.pcgs", folder / "scene.ply"
    compress = [*GSPC, "compress", str(whole / "model.pt"), "-o", str(stream), "-f", "-q"]
    export = [*GSPC, "export", str(stream), "-o", str(target), "-f", "-q", "--no-check", "--threads", "1"]
    for command, file in ((compress, stream), (export, target)):
        takes = timed(command)
        good = file.read_bytes()
        yield f"{command[3]} takes {takes:.1f} s of the processor", True
        for trial in range(arguments.writes):
            said = write_trial(command, file, good, takes)
            yield f"{command[3]} {trial + 1}: {said}", "HALF" not in said
        file.write_bytes(good)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--writes", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--resolution", type=int, default=1)
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
