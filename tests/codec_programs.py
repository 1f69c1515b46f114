"""Programs of the codec core, built from its sources alone, natively and for other machines."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "kernels/codec").glob("*/*.cpp"), *(ROOT / "kernels/common").glob("*.cpp")])
MACHINES = {
    "native": ("g++", "gcc", None),
    "aarch64": ("aarch64-linux-gnu-g++", "aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "s390x (big-endian)": ("s390x-linux-gnu-g++", "s390x-linux-gnu-gcc", "qemu-s390x"),
}
PROGRAMS = ("pcgs_info.c", "pcgs_edges.c", "pcgs_cost.cpp")
# The stand-alone decoder (make cli), which is built for this machine only: it needs zlib.
DECODER = sorted([*(ROOT / "kernels/cli").glob("*.cpp"), *(ROOT / "kernels/heads").glob("*.cpp")])

_places: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


def find(*names: str) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


@cache
def programs_for(machine: str) -> dict[str, list[str]]:
    """The commands that run the programs of tests/codec_cli, and pcgs on this machine; skips without gcc."""
    cxx, cc, emulator = MACHINES[machine]
    runner = find(emulator, f"{emulator}-static") if emulator else None
    missing = [name for name in (cxx, cc) if shutil.which(name) is None]
    if emulator and runner is None:
        missing.append(emulator)
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")
    _places.append(tempfile.TemporaryDirectory())
    where = Path(_places[-1].name)
    include = f"-I{ROOT / 'kernels'}"
    base = ["-DGSPC_ISA_NAMESPACE=isa_base", "-DGSPC_ISA_IS_base=1", "-ffp-contract=off", "-pthread", "-O1"]

    def build(source: Path) -> str:
        target = where / f"{source.parent.name}_{source.stem}.o"
        language = [cc, "-std=c99"] if source.suffix == ".c" else [cxx, "-std=c++17", *base]
        command = [
            *language,
            "-Wall",
            "-Wextra",
            "-Werror=implicit",
            include,
            "-c",
            str(source),
            "-o",
            str(target),
        ]
        subprocess.run(command, check=True, capture_output=True)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        core = list(pool.map(build, SOURCES))
        mains = {name.partition(".")[0]: [build(ROOT / "tests/codec_cli" / name)] for name in PROGRAMS}
        if emulator is None and has_zlib(cxx):
            mains["pcgs"] = [*pool.map(build, DECODER), "-lz"]
    commands = {}
    for name, main in mains.items():
        program = where / name
        subprocess.run([cxx, "-static", *core, *main, "-pthread", "-o", str(program)], check=True)
        commands[name] = [*([runner] if runner else []), str(program)]
    return commands


def has_zlib(cxx: str) -> bool:
    """Whether a program can be linked to zlib statically."""
    command = [cxx, "-static", "-x", "c++", "-", "-lz", "-o", os.devnull]
    use = b"#include <zlib.h>\nint main() { return zlibCompileFlags() == 1; }\n"
    return subprocess.run(command, input=use, capture_output=True, check=False).returncode == 0
