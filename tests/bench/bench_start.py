"""How soon commands that need no kernel answer: seconds of a fresh process, the least of several runs.

python tests/bench/bench_start.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

RUNS = 7
STREAM = Path(__file__).resolve().parents[1] / "golden" / "three-levels.pcgs"


def measure(*command: str) -> tuple[float, float]:
    """Least wall and CPU seconds of a command."""
    walls, cpus = [], []
    for _ in range(RUNS):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, "-m", "gspc", *command], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - started)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(walls), min(cpus)


def main() -> None:
    for command in (("--help",), ("inspect-bitstream", str(STREAM)), ("decompress", str(STREAM))):
        wall, cpu = measure(*command)
        print(f"start {command[0]:20} {wall:6.3f} s wall {cpu:6.3f} s cpu", flush=True)


if __name__ == "__main__":
    main()
