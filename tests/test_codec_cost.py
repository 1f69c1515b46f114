"""What decoding takes, known before it begins: memory and work, and what is refused for them."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
from cli_tools import Cli
from codec_programs import programs_for
from data_scenes import HOSTILE

from gspc import _codec
from gspc.codec import decode, encode, limit_work, recode
from gspc.codec.stream import slice_size
from gspc.errors import BackendError, BitstreamError
from gspc.format.grid import GridPlane, GridSpec

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def program() -> list[str]:
    return programs_for("native")["pcgs_cost"]


def figures(program: list[str], path: Path, threads: int) -> list[tuple[int, int]]:
    """(estimate, peak) of memory for each level."""
    run = subprocess.run([*program, str(path), str(threads)], capture_output=True, check=True)
    return [(int(line.split()[0]), int(line.split()[1])) for line in run.stdout.splitlines()]


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_is_never_more_than_estimated(program: list[str], threads: int, tmp_path: Path) -> None:
    heavy = tmp_path / "many-positions.pcgs"
    heavy.write_bytes(encode(synthetic.tiny(20000, levels=2), slice_anchors=20000))
    for path in (*GOLDEN.glob("*.pcgs"), heavy):
        found = figures(program, path, threads)
        assert found, path
        for estimate, peak in found:
            assert peak <= estimate, (path, estimate, peak)


def test_estimates_are_no_wild_guesses(program: list[str], tmp_path: Path) -> None:
    path = tmp_path / "scene.pcgs"
    path.write_bytes(encode(synthetic.tiny(20000, levels=2), slice_anchors=20000))
    for estimate, peak in figures(program, path, 1):
        assert estimate < 3 * peak
    _, work = _codec.decode_cost(path.read_bytes(), 0, 1)
    began = time.process_time()
    decode(path.read_bytes(), threads=1)
    assert time.process_time() - began < work / 1e9 + 1


@pytest.mark.parametrize("name", ["time_bomb_46KB.pcgs"])
def test_small_files_do_not_cost_minutes(name: str) -> None:
    path = HOSTILE / name
    if not path.exists():
        pytest.skip(f"no {path} here")
    began = time.process_time()
    with pytest.raises(BitstreamError, match=r"takes about \d+ s of work, more than the 2 s that"):
        decode(path.read_bytes())
    with pytest.raises(ValueError, match="of work"):
        _codec.stream_costs(path.read_bytes(), 1, 1 << 32)
    assert time.process_time() - began < 1


@pytest.fixture
def idle() -> Iterator[bytes]:
    """A stream of one kilobyte and no anchor whose grid of a million equal signs takes 0.2 s of work."""
    grid = GridSpec((0, 0, 0), (64, 64, 64), (GridPlane(0, 127, 20),))
    scene = synthetic.scene(0, levels=1, features=2, offsets=1, grid=grid, hidden=(2, 2, 2, 2), views=0)
    signs = tuple(np.ones_like(plane) for plane in scene.grid_signs)
    yield encode(replace(scene, grid_signs=signs))
    limit_work(None)


def test_more_work_is_allowed_where_it_is_asked_for(idle: bytes, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "idle.pcgs"
    path.write_bytes(idle)
    assert len(idle) < 3000
    refused = cli("decompress", path, "-o", tmp_path / "a.scene")
    assert refused.code == 4 and len(refused.lines) == 1
    assert re.search(r"about 1\d\d ms of work, more than the \d+ ms that \d+ bytes may cost", refused.err)
    assert refused.err.rstrip().endswith("; raise --max-work")
    for command in (["decompress", "-o", tmp_path / "b.scene"], ["inspect-bitstream", "--rates"]):
        assert cli(command[0], path, *command[1:], "--max-work", "1").code == 0


def test_less_work_can_be_allowed(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "scene.pcgs"
    path.write_bytes(encode(synthetic.tiny(200)))
    try:
        ran = cli("decompress", path, "-o", tmp_path / "a.scene", "--max-work", "0.001")
    finally:
        limit_work(None)
    assert ran.code == 4 and "more than the 1 ms allowed; raise --max-work" in ran.err
    assert cli("decompress", path, "-o", tmp_path / "b.scene").code == 0


def test_torchac_is_asked_for_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    path = HOSTILE / "torchac_python_bomb.pcgs"
    if not path.exists():
        pytest.skip(f"no {path} here")

    def missing() -> None:
        raise BackendError("no torchac")

    def transcode(*_: object) -> bytes:
        raise AssertionError("work was begun")

    monkeypatch.setattr("gspc.codec.torchac.load", missing)
    monkeypatch.setattr(_codec, "transcode_stream", transcode)
    with pytest.raises(BackendError):
        recode(path.read_bytes(), "lanes")


def test_slices_get_smaller_with_the_scene() -> None:
    assert [slice_size(n) for n in (1, 99_999, 100_000, 399_999, 400_000)] == [16384, 16384, 2048, 2048, 1024]
