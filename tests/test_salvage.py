"""Damaged streams: what is restored of them, and what --check advises."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import synthetic
from cli_tools import Cli
from stream_bytes import index_of, payload_of

from gspc import pipeline
from gspc.codec import decode, decode_salvaged, encode
from gspc.errors import BitstreamError
from gspc.format import describe
from gspc.format.mending import mended
from gspc.rendering.scene_file import read_scene

STREAM = encode(synthetic.tiny(3000, levels=3), slice_anchors=40)
INFO = describe(STREAM)
FIRST_SLICE = min(chunk.offset for chunk in INFO.chunks if chunk.tag == "SLIC")
WHOLE = decode(STREAM).scene


def damaged(places: list[int], data: bytes = STREAM, flip: int = 0x55) -> bytes:
    found = bytearray(data)
    for at in places:
        found[at] ^= flip
    return bytes(found)


def rows(anchors: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(row) for row in anchors.tolist()}


def test_one_wrong_byte_is_put_right() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 20, 3000):
        data = rng.bytes(size)
        crc = zlib.crc32(data)
        for at in {0, size // 2, size - 1}:
            assert mended(damaged([at], data, 1 + at % 255), crc) == data
        assert mended(data, crc) == data
    data = rng.bytes(5000)
    assert mended(damaged([10, 20], data), zlib.crc32(data)) is None


@pytest.mark.parametrize("at", [16, 30, 60, 100, *range(200, FIRST_SLICE, 97), FIRST_SLICE + 3])
def test_any_single_byte(at: int) -> None:
    """Header, index, parameters or slice: nothing is lost."""
    found, losses = decode_salvaged(damaged([at]))
    assert found.symbol_hash == decode(STREAM).symbol_hash
    assert not losses.chunks and losses.share == 1


@pytest.mark.parametrize("count", [1, 10, 100])
def test_random_damage_of_slices_costs_only_those(count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(5):
        places = rng.integers(FIRST_SLICE, len(STREAM), count).tolist()
        places = [
            at
            for at in places
            if not any(c.tag == "NETS" and c.offset <= at < c.offset + 24 + c.length for c in INFO.chunks)
        ]
        found, losses = decode_salvaged(damaged(places))
        hit = {
            (c.level, c.slice)
            for c in INFO.chunks
            if c.slice is not None and any(c.offset <= at < c.offset + 24 + c.length for at in places)
        }
        for level in losses.levels:
            untouched = {
                i for i in range(level.slices) if not any((s, i) in hit for s in range(1, level.level + 1))
            }
            assert len(untouched & set(level.lost)) <= 0.1 * len(untouched)
        assert rows(found.scene.anchors) <= rows(WHOLE.anchors)
        assert len(found.scene.anchors) == sum(level.anchors_left for level in losses.levels)


def test_lost_chunk_headers_and_a_lost_index() -> None:
    """Two wrong bytes in each, so that no checksum puts them right."""
    middle = INFO.chunks[index_of(STREAM, "SLIC", 1, 5)].offset
    found, losses = decode_salvaged(damaged([middle + 1, middle + 8]))
    assert found.symbol_hash == decode(STREAM).symbol_hash and not losses.chunks
    lengths = 12 + 24 + 8 + 20 * 3 + 8 * len(INFO.slice_keys)
    found, losses = decode_salvaged(damaged([lengths, lengths + 40, 12 + 24 + 12]))
    assert found.symbol_hash == decode(STREAM).symbol_hash and losses.chunks == ("chunk INDX",)
    keys = 12 + 24 + 8 + 20 * 3
    found, losses = decode_salvaged(damaged([keys + 8 * 9 + 3, keys + 8 * 30 + 3]))
    assert losses.share > 0.8 and rows(found.scene.anchors) <= rows(WHOLE.anchors)


def test_levels_of_slices_differ() -> None:
    second = INFO.chunks[index_of(STREAM, "SLIC", 2, 3)]
    broken = damaged([second.offset + 40, second.offset + 41])
    found, losses = decode_salvaged(broken)
    assert found.level == 3 and [level.lost for level in losses.levels] == [(), (3,), (3,)]
    assert losses.chunks == ("chunk SLIC level 2 slice 3",)
    first, _ = decode_salvaged(broken, upto=1)
    assert first.symbol_hash == decode(STREAM, upto=1).symbol_hash


def test_networks_of_a_level_and_the_end_of_the_file() -> None:
    nets = INFO.chunks[index_of(STREAM, "NETS", 3)]
    found, _ = decode_salvaged(damaged([nets.offset + 30, nets.offset + 31]))
    assert found.symbol_hash == decode(STREAM, upto=2).symbol_hash
    cut, losses = decode_salvaged(STREAM[: INFO.levels[2].offset + 2000])
    assert cut.level >= 2 and losses.levels[2].lost and not losses.levels[1].lost


@pytest.mark.parametrize("tag", ["GRID", "GHED", "NETS", "HEAD"])
def test_what_every_slice_needs(tag: str) -> None:
    level = 0 if tag == "HEAD" else 1
    chunk = INFO.chunks[index_of(STREAM, tag, level)]
    with pytest.raises(BitstreamError, match=f"chunk {tag}.* is lost, which every slice needs"):
        decode_salvaged(damaged([chunk.offset + 24, chunk.offset + 26]))
    for data in (b"", STREAM[:100], b"\0" * 5000):
        with pytest.raises(BitstreamError, match="lost"):
            decode_salvaged(data)


def test_wrong_contents_with_right_checksums_are_left_out() -> None:
    index = index_of(STREAM, "SLIC", 1, 2)
    from stream_bytes import replaced

    payload = bytearray(payload_of(STREAM, index))
    payload[len(payload) // 2] ^= 255
    found, losses = decode_salvaged(replaced(STREAM, index, bytes(payload)))
    assert [level.lost for level in losses.levels] == [(2,)] * 3
    assert rows(found.scene.anchors) < rows(WHOLE.anchors)


def test_command(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.pcgs"
    chunk = INFO.chunks[index_of(STREAM, "SLIC", 1, 2)]
    path.write_bytes(damaged([chunk.offset + 30, chunk.offset + 31]))
    assert cli("decompress", path).code == 4
    ran = cli("decompress", path, "--salvage", "--json", tmp_path / "report.json")
    assert ran.code == 0 and 0 < len(read_scene(ran.out, "out").anchors) < len(WHOLE.anchors)
    assert "lost: chunk SLIC level 1 slice 2" in ran.err and "% of the anchors are restored" in ran.err
    losses = json.loads((tmp_path / "report.json").read_text())["losses"]
    assert losses["levels"][0]["lost_slices"] == [2] and 0.9 < losses["anchor_share"] < 1


def test_check_says_which_level_is_whole(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "bad.pcgs"
    advice = {}
    for level in (1, 2, 3):
        chunk = INFO.chunks[index_of(STREAM, "SLIC", level, 2)]
        path.write_bytes(damaged([chunk.offset + 30]))
        ran = cli("inspect-bitstream", "--check", path)
        assert ran.code == 4
        advice[level] = ran.lines[-1]
    assert "--salvage" in advice[1] and "--upto" not in advice[1]
    assert "--upto 1" in advice[2] and "--upto 2" in advice[3]
    path.write_bytes(STREAM[:-10])
    assert "--upto 2" in cli("inspect-bitstream", "--check", path).lines[-1]
    camera = INFO.chunks[index_of(STREAM, "cams")]
    path.write_bytes(damaged([camera.offset + 30]))
    assert "--upto" not in cli("inspect-bitstream", "--check", path).lines[-1]


def test_check_decodes(cli: Cli, tmp_path: Path) -> None:
    """Right checksums around wrong contents are damage, too."""
    from stream_bytes import replaced

    path = tmp_path / "bad.pcgs"
    index = index_of(STREAM, "SLIC", 2, 2)
    payload = bytearray(payload_of(STREAM, index))
    payload[-3] ^= 255
    path.write_bytes(replaced(STREAM, index, bytes(payload)))
    ran = cli("inspect-bitstream", "--check", path)
    assert ran.code == 4 and "chunk SLIC level 2 slice 2" in ran.err and "--upto 1" in ran.lines[-1]
    path.write_bytes(STREAM)
    assert cli("inspect-bitstream", "--check", path).code == 0
    assert pipeline.sound_levels(pipeline.load_source(path)) == (3, None)
