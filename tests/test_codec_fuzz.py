"""The whole decoder on damaged streams of every variant, under sanitizers. Slow: the core is built for it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import synthetic

from gspc.codec import encode

KERNELS = Path(__file__).parent.parent / "kernels"
ROUNDS = 150


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tests/native/stream_fuzz.cpp and the core, for every instruction set this machine may run."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    build = tmp_path_factory.mktemp("stream_fuzz")
    flags = ["-std=gnu++17", "-O1", "-g1", "-w", "-pthread", f"-I{KERNELS}", "-ffp-contract=off"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    isas: dict[str, list[str]] = {"base": []}
    if platform.machine() in ("x86_64", "AMD64"):
        flags.append("-DGSPC_MULTI_ISA")
        isas |= {"v3": ["-march=x86-64-v3"], "v4": ["-march=x86-64-v4"]}
    jobs = []
    for source in (*KERNELS.glob("codec/*/*.cpp"), *KERNELS.glob("common/*.cpp")):
        for name, march in isas.items() if source.stem.endswith("_isa") else [("base", [])]:
            names = [f"-DGSPC_ISA_NAMESPACE=isa_{name}", f"-DGSPC_ISA_IS_{name}=1"]
            jobs.append((source, build / f"{source.stem}_{name}.o", [*march, *names]))
    jobs.append((Path(__file__).parent / "native" / "stream_fuzz.cpp", build / "main.o", []))

    def compiled(job: tuple[Path, Path, list[str]]) -> str:
        source, target, more = job
        subprocess.run([compiler, *flags, *more, "-c", str(source), "-o", str(target)], check=True)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, jobs))
    program = build / "stream_fuzz"
    command = [compiler, *flags, *objects, "-o", str(program)]
    linked = subprocess.run(command, check=False, capture_output=True, text=True)
    if "cannot find" in linked.stderr:
        pytest.skip("no sanitizer libraries")
    assert linked.returncode == 0, linked.stderr
    return program


@pytest.mark.slow
def test_damaged_streams_under_sanitizers(fuzzer: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "GSPC_ISA")}
    path = tmp_path / "stream.pcgs"
    for seed, (name, variant) in enumerate(synthetic.VARIANTS.items()):
        path.write_bytes(encode(synthetic.tiny(70, levels=3, variant=variant), slice_anchors=30))
        command = [str(fuzzer), str(path), str(seed), str(ROUNDS)]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, timeout=300
        )
        assert done.returncode == 0, (name, done.stderr[-2000:])
        whole, refused = map(int, done.stdout.split())
        assert whole + refused == ROUNDS
        assert refused > ROUNDS // 2
