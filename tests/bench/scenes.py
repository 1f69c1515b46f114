"""The whole job on real scenes, as a user runs it: fit, compress, decompress, eval; one comparable line per
figure.

    python tests/bench/scenes.py fox lego [--data DIR] [--iterations 3000] [--levels 3] [--work DIR] [--json
    FILE]

Every command is a process of its own, timed from outside. Nothing here fails on a figure.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESOLUTION = {"fox": 2, "fern": 1, "lego": 1, "bonsai-small": 1}


def run(*command: str) -> tuple[float, float]:
    """Wall seconds and peak memory in MB of a command."""
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "gspc", *command])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"gspc {command[0]} exited with {process.returncode}")
    return time.monotonic() - started, usage.ru_maxrss / 1024


def line(scene: str, what: str, value: float, unit: str) -> None:
    print(f"{scene:<14}{what:<44}{value:>12.3f} {unit}", flush=True)


def bench(scene: str, data: Path, work: Path, args: argparse.Namespace) -> dict[str, object]:
    folder = work / scene
    folder.mkdir(parents=True, exist_ok=True)
    model, stream, report = folder / "model.pt", folder / "scene.pcgs", folder / "eval.json"
    resolution = args.resolution or RESOLUTION.get(scene, 1)
    source = str(data / scene)
    extra = args.fit.split() if args.fit else []
    fit = ["fit", source, "--resolution", str(resolution), "--iterations", str(args.iterations)]
    fit += ["--levels", str(args.levels), "--log", str(folder / "log.jsonl"), *extra, "-f", "-o", str(model)]
    seconds, memory = run(*fit)
    line(scene, "fit, wall", seconds, "s")
    line(scene, "fit, peak memory", memory, "MB")
    figures: dict[str, object] = {"fit_seconds": seconds, "fit_memory_mb": memory}
    figures["compress_seconds"], _ = run("compress", str(model), "-f", "-o", str(stream))
    for level in range(1, args.levels + 1):
        target = folder / f"level{level}.safetensors"
        seconds, _ = run("decompress", str(stream), "--upto", str(level), "-f", "-o", str(target))
        line(scene, f"decompress --upto {level}, wall", seconds, "s")
        figures[f"decompress_{level}_seconds"] = seconds
    run("eval", str(stream), "--data", source, "-f", "--json", str(report))
    scores = json.loads(report.read_text())
    for row in scores["levels"]:
        for key, unit in (("psnr", "dB"), ("ssim", ""), ("bytes", "bytes")):
            line(scene, f"level {row['level']} {key}", float(row[key]), unit)
    figures["levels"] = [
        {key: row[key] for key in ("level", "psnr", "ssim", "bytes")} for row in scores["levels"]
    ]
    return figures


def machine() -> dict[str, object]:
    cpu = platform.processor()
    for row in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if row.startswith("model name"):
            cpu = row.split(":", 1)[1].strip()
            break
    return {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="+")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "gspc-bench")
    parser.add_argument("--iterations", type=int, default=3000)
    parser.add_argument("--levels", type=int, default=3)
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--fit", help="more options for gspc fit")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = {scene: bench(scene, args.data, args.work, args) for scene in args.scenes}
    if args.json:
        settings = {"iterations": args.iterations, "levels": args.levels, "fit": args.fit}
        report = {"machine": machine(), "settings": settings, "scenes": results}
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
