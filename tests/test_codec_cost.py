"""What decoding takes, known before it begins: memory and work, and what is refused for them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import synthetic
from codec_programs import programs_for
from data_scenes import HOSTILE

from gspc import _codec
from gspc.codec import decode, encode, recode
from gspc.codec.stream import slice_size
from gspc.errors import BackendError, BitstreamError

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
