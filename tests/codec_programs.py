"""Programs of the codec core, built from its sources alone, natively and for other machines."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from shared_builds import once

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
    name = machine.partition(" ")[0]
    where = once(f"programs-{name}", lambda place: _build(place, cxx, cc, native=emulator is None))
    names = (where / "names").read_text().split()
    return {one: [*([runner] if runner else []), str(where / one)] for one in names}


def _build(where: Path, cxx: str, cc: str, *, native: bool) -> None:
    """Builds the programs in a folder, and lists their names."""
    include = f"-I{ROOT / 'kernels'}"
    base = ["-DGSPC_ISA_NAMESPACE=isa_base", "-DGSPC_ISA_IS_base=1", "-ffp-contract=off", "-pthread", "-O1"]
    warnings = ["-Wall", "-Wextra", "-Werror=implicit"]

    def build(source: Path) -> str:
        target = where / f"{source.parent.name}_{source.stem}.o"
        language = [cc, "-std=c99"] if source.suffix == ".c" else [cxx, "-std=c++17", *base]
        command = [*language, *warnings, include, "-c", str(source), "-o", str(target)]
        subprocess.run(command, check=True, capture_output=True)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        core = list(pool.map(build, SOURCES))
        mains = {name.partition(".")[0]: [build(ROOT / "tests/codec_cli" / name)] for name in PROGRAMS}
        if native and has_zlib(cxx):
            mains["pcgs"] = [*pool.map(build, DECODER), "-lz"]
    for name, main in mains.items():
        command = [cxx, "-static", *core, *main, "-pthread", "-o", str(where / name)]
        subprocess.run(command, check=True)
    (where / "names").write_text("\n".join(mains))


def has_zlib(cxx: str) -> bool:
    """Whether a program can be linked to zlib statically."""
    command = [cxx, "-static", "-x", "c++", "-", "-lz", "-o", os.devnull]
    use = b"#include <zlib.h>\nint main() { return zlibCompileFlags() == 1; }\n"
    return subprocess.run(command, input=use, capture_output=True, check=False).returncode == 0
