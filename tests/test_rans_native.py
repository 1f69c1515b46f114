"""The lane coder under sanitizers, on streams made to hurt it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

KERNELS = Path(__file__).parent.parent / "kernels"


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sanitized fuzz program, with every instruction set this machine runs."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    build = tmp_path_factory.mktemp("fuzz")
    flags = ["-std=gnu++17", "-O1", "-g1", "-w", f"-I{KERNELS}", "-ffp-contract=off"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    isas = {"base": []}
    if platform.machine() in ("x86_64", "AMD64"):
        flags.append("-DGSPC_MULTI_ISA")
        isas |= {"v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4"]}
    objects = []
    for name, march in isas.items():
        names = [f"-DGSPC_ISA_NAMESPACE=isa_{name}", f"-DGSPC_ISA_IS_{name}=1"]
        for part in ("rans_isa", "mixture_isa"):
            objects.append(str(build / f"{part}_{name}.o"))
            source = str(KERNELS / "codec" / "entropy" / f"{part}.cpp")
            subprocess.run([compiler, *flags, *march, *names, "-c", source, "-o", objects[-1]], check=True)
    parts = ("rans_encoder", "rans_decoder", "mixture", "tables")
    sources = [KERNELS / "codec" / "entropy" / f"{part}.cpp" for part in parts]
    sources += [KERNELS / "common" / "isa.cpp", Path(__file__).parent / "native" / "rans_fuzz.cpp"]
    program = build / "rans_fuzz"
    linked = subprocess.run(
        [compiler, *flags, *map(str, sources), *objects, "-o", str(program)],
        check=False,
        capture_output=True,
        text=True,
    )
    if "cannot find" in linked.stderr:
        pytest.skip("no sanitizer libraries")
    assert linked.returncode == 0, linked.stderr
    return program


def test_hostile_streams_under_sanitizers(fuzzer: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "GSPC_ISA")}
    done = subprocess.run(
        [str(fuzzer)], check=False, capture_output=True, text=True, env=environment, timeout=300
    )
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr[-2000:]
