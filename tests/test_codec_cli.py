"""A command-line reader built from pcgs.h and the core's sources alone, natively and for other machines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import synthetic

from gspc.codec import decode, encode

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*(ROOT / "kernels/codec").glob("*/*.cpp"), *(ROOT / "kernels/common").glob("*.cpp")])
MACHINES = {
    "native": ("g++", "gcc", None),
    "aarch64": ("aarch64-linux-gnu-g++", "aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "s390x (big-endian)": ("s390x-linux-gnu-g++", "s390x-linux-gnu-gcc", "qemu-s390x"),
}


PROGRAMS = ("pcgs_info", "pcgs_edges")
GOLDEN = ROOT / "tests/golden"


def find(*names: str) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="module", params=list(MACHINES))
def programs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """The commands that run pcgs_info and pcgs_edges."""
    cxx, cc, emulator = MACHINES[request.param]
    runner = find(emulator, f"{emulator}-static") if emulator else None
    missing = [name for name in (cxx, cc) if shutil.which(name) is None]
    if emulator and runner is None:
        missing.append(emulator)
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")
    where = tmp_path_factory.mktemp("cli")
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
        *core, info, edges = pool.map(build, [*SOURCES, *(ROOT / f"tests/codec_cli/{n}.c" for n in PROGRAMS)])
    commands = {}
    for name, main in zip(PROGRAMS, (info, edges), strict=True):
        program = where / name
        subprocess.run([cxx, "-static", *core, main, "-pthread", "-o", str(program)], check=True)
        commands[name] = [*([runner] if runner else []), str(program)]
    return commands


@pytest.fixture
def reader(programs: dict[str, list[str]]) -> list[str]:
    """The command that runs pcgs_info."""
    return programs["pcgs_info"]


def fields(text: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in text.splitlines())


@pytest.mark.parametrize("name", ["plain", "own-planes", "pool-only", "refined-offsets"])
def test_reads_from_standard_input(reader: list[str], name: str) -> None:
    scene = synthetic.tiny(80, levels=3, variant=synthetic.VARIANTS[name])
    data = encode(scene, slice_anchors=30)
    for level, threads in ((0, 1), (1, 2), (2, 3), (3, 2)):
        run = subprocess.run(
            [*reader, "-", str(level), str(threads)], input=data, capture_output=True, check=True
        )
        got = fields(run.stdout.decode())
        want = decode(data, upto=level or None)
        assert got["level"] == f"{want.level} of 3"
        assert got["hash"] == want.symbol_hash
        count, features = want.scene.features.shape
        assert got["anchors"] == f"{count} features {features} offsets 3"
        assert got["residuals"] == str(want.scene.residuals)
        arrays = (want.scene.anchors, want.scene.features, want.scene.log_scales, want.scene.offsets)
        sums = [float(np.sum(a, dtype=np.float64)) for a in arrays]
        np.testing.assert_allclose([float(v) for v in got["sums"].split()], sums, rtol=1e-5)
        assert got["cameras"] == "2 first view_000.png"
        assert '"source":"synthetic"' in got["metadata"]
        h = want.scene.heads
        layers = {"hidden": (h.w1, h.b1), "opacity": (h.w_opacity, h.b_opacity)}
        layers |= {"color": (h.w_color, h.b_color), "cov": (h.w_cov, h.b_cov)}
        for layer, parts in layers.items():
            shape, totals = got[layer].split(", sums ")
            assert shape == "{} x {}".format(*parts[0].shape)
            want_totals = [float(part.sum(dtype=np.float64)) for part in parts]
            assert [float(v) for v in totals.split()] == pytest.approx(want_totals, rel=1e-4, abs=1e-5)


def test_golden_streams(reader: list[str]) -> None:
    for name, hashes in json.loads((GOLDEN / "hashes.json").read_text()).items():
        for level, expected in enumerate(hashes, start=1):
            command = [*reader, str(GOLDEN / f"{name}.pcgs"), str(level), "2"]
            out = subprocess.run(command, capture_output=True, check=True).stdout.decode()
            assert fields(out)["hash"] == expected, (name, level)


def test_nulls_and_short_buffers(programs: dict[str, list[str]]) -> None:
    data = (GOLDEN / "three-levels.pcgs").read_bytes()
    run = subprocess.run(programs["pcgs_edges"], input=data, capture_output=True, check=False)
    assert (run.stdout, run.returncode) == (b"ok\n", 0)


@pytest.mark.parametrize("compiler", [["gcc", "-std=c99"], ["gcc", "-std=c11"], ["g++", "-std=c++17"]])
def test_header_alone(compiler: list[str], tmp_path: Path) -> None:
    """pcgs.h needs nothing before it and upsets no compiler."""
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]} here")
    source = tmp_path / ("use.cpp" if compiler[0] == "g++" else "use.c")
    use = "int main(void) { pcgs_free(pcgs_decode(0, 0, 0, 0, 0)); return PCGS_HIDDEN; }\n"
    source.write_text('#include "codec/api/pcgs.h"\n#include "codec/api/pcgs.h"\n' + use)
    strict = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion", "-Wstrict-prototypes"]
    if compiler[0] == "g++":
        strict.remove("-Wstrict-prototypes")
    command = [*compiler, *strict, f"-I{ROOT / 'kernels'}", "-fsyntax-only", str(source)]
    run = subprocess.run(command, capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, b"")


def test_one_line_and_exit_4(reader: list[str], tmp_path: Path) -> None:
    data = encode(synthetic.tiny(20))
    for bad, message in (
        (data[:40], b"truncated"),
        (b"hello", b"bad magic"),
        (data + b"x", b"follow the end"),
    ):
        path = tmp_path / "bad.pcgs"
        path.write_bytes(bad)
        run = subprocess.run([*reader, str(path)], capture_output=True, check=False)
        assert run.returncode == 4
        assert message in run.stderr and run.stderr.count(b"\n") == 1
        assert run.stdout == b""
    run = subprocess.run([*reader, "-", "0", "1"], input=data[:-1], capture_output=True, check=True)
    assert b"(truncated)" in run.stdout
