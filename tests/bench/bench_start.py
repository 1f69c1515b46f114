"""How soon commands that need no kernel answer: seconds of a fresh process, the least of several runs. For
`import gspc` what it adds to Python's own start.

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


def measure(*arguments: str) -> tuple[float, float]:
    """Least wall and CPU seconds of Python with these arguments."""
    walls, cpus = [], []
    for _ in range(RUNS):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - started)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(walls), min(cpus)


def main() -> None:
    for command in (("--help",), ("inspect-bitstream", str(STREAM)), ("decompress", str(STREAM))):
        wall, cpu = measure("-m", "gspc", *command)
        print(f"start {command[0]:20} {wall:6.3f} s wall {cpu:6.3f} s cpu", flush=True)
    bare, loaded = measure("-c", "pass"), measure("-c", "import gspc")
    wall, cpu = (with_gspc - alone for with_gspc, alone in zip(loaded, bare, strict=True))
    print(f"start {'import gspc':20} {wall:6.3f} s wall {cpu:6.3f} s cpu", flush=True)


if __name__ == "__main__":
    main()
