"""A command-line reader built from pcgs.h and the core's sources alone, natively and for other machines."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import synthetic
from codec_programs import MACHINES, ROOT, programs_for

from gspc.codec import decode, encode

GOLDEN = ROOT / "tests/golden"


@pytest.fixture(params=list(MACHINES))
def programs(request: pytest.FixtureRequest) -> dict[str, list[str]]:
    """The commands that run pcgs_info and pcgs_edges."""
    return programs_for(request.param)


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
