"""The training kernels when memory runs out: an exception for the caller, never the end of the process."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

KERNELS = Path(__file__).parent.parent / "kernels"
FAMILIES = ("heads", "rows", "rate", "mlp", "adam", "grid", "ssim", "raster")


@pytest.mark.slow
def test_every_failing_allocation_is_an_exception(tmp_path: Path) -> None:
    """Of the base instruction set: what is allocated does not depend on it."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    flags = ["-std=gnu++17", "-O0", "-w", "-fopenmp", f"-I{KERNELS}"]
    flags += ["-DGSPC_ISA_NAMESPACE=isa_base", "-DGSPC_ISA_IS_base=1"]
    sources = [path for family in (*FAMILIES, "common") for path in KERNELS.glob(f"{family}/*.cpp")]
    sources += KERNELS.glob("codec/context/context_grid*.cpp")
    sources.append(Path(__file__).parent / "native" / "failing_memory.cpp")

    def compiled(source: Path) -> str:
        target = tmp_path / f"{source.parent.name}_{source.stem}.o"
        subprocess.run([compiler, *flags, "-c", str(source), "-o", str(target)], check=True)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, sources))
    program = tmp_path / "failing_memory"
    subprocess.run([compiler, "-fopenmp", *objects, "-o", str(program)], check=True)
    ran = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    failures = dict(line.split() for line in ran.stdout.splitlines())
    assert set(failures) == set(FAMILIES)
    assert min(map(int, failures.values())) > 0
