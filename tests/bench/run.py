"""All benches, one after another: their lines as they come, and a JSON file that names the machine.

    python tests/bench/run.py [NAME ...] [--json FILE]

NAME picks benches (`step` for bench_step.py). The file is tests/bench/results/MACHINE.json unless told
otherwise. Meant for a quiet machine; under ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT_SECONDS = 240  # per bench; what hangs is reported and the others go on
WRITES_JSON = {"memory", "render", "step"}


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    for row in info.read_text().splitlines() if info.exists() else []:
        if row.startswith("model name"):
            cpu = row.split(":", 1)[1].strip()
            break
    from gspc import _kernels

    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "instructions": _kernels.supported_isa(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def run(script: Path) -> dict[str, object]:
    """One bench in a process of its own: its lines, seconds, peak memory."""
    name = script.stem.removeprefix("bench_")
    print(f"== {name}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "figures.json"
        extra = ["--json", str(target)] if name in WRITES_JSON else []
        process = subprocess.Popen([sys.executable, str(script), *extra], stdout=subprocess.PIPE, text=True)
        watchdog = threading.Timer(LIMIT_SECONDS, process.kill)
        watchdog.start()
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            print(lines[-1], flush=True)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        watchdog.cancel()
        figures = json.loads(target.read_text()) if target.exists() else None
    seconds = time.monotonic() - started
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"{name}: {seconds:.1f} s, peak memory {memory / 1e6:.0f} MB", flush=True)
    if process.returncode:
        print(f"{name}: failed with status {process.returncode}", file=sys.stderr, flush=True)
    return {
        "lines": lines,
        "figures": figures,
        "seconds": round(seconds, 2),
        "peak_memory_bytes": memory,
        "status": process.returncode,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    scripts = {script.stem.removeprefix("bench_"): script for script in sorted(HERE.glob("bench_*.py"))}
    unknown = set(args.names) - set(scripts)
    if unknown:
        parser.error(f"no bench named {', '.join(sorted(unknown))}; there are {', '.join(scripts)}")
    here = machine()
    print(", ".join(f"{key}: {value}" for key, value in here.items()), flush=True)
    results = {name: run(script) for name, script in scripts.items() if not args.names or name in args.names}
    target = args.json
    if target is None:
        folder = HERE / "results"
        folder.mkdir(exist_ok=True)
        stem = re.sub(r"[^a-z0-9]+", "-", f"{here['cpu']} {here['cores']} cores".lower()).strip("-")
        target = folder / f"{stem}.json"
    target.write_text(json.dumps({"machine": here, "benches": results}, indent=1) + "\n")
    print(f"written to {target}")
    return 1 if any(result["status"] for result in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
