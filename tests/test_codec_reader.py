"""Streams that come in pieces: the core's incremental reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import synthetic
from stream_bytes import chunk_bytes, index_of, payload_of, replaced

from gspc import _codec
from gspc.codec import encode
from gspc.format import describe
from gspc.format.limits import MAX_MEMORY

GOLDEN = Path(__file__).parent / "golden"
HASHES: dict[str, list[str]] = json.loads((GOLDEN / "hashes.json").read_text())
ARRAYS = ("anchors", "features", "log_scales", "offsets", "gaussian_level")


def reader(upto: int = 0, *, max_memory: int = MAX_MEMORY, symbols: bool = False) -> _codec.StreamReader:
    return _codec.StreamReader(upto, 2, max_memory, symbols)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def take_all(made: _codec.StreamReader, parts: Iterator[bytes]) -> list[_codec.DecodedStream]:
    """The scene of each level, taken as soon as it can be."""
    scenes = []
    for part in parts:
        made.feed(part)
        while made.ready:
            made.advance()
            scenes.append(made.scene())
    return scenes


def same(one: _codec.DecodedStream, other: _codec.DecodedStream) -> bool:
    same_arrays = all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS)
    cameras = [(c.name, c.width, c.intrinsics, c.pose) for c in one.cameras]
    return (
        same_arrays
        and (one.hash, one.level, one.metadata) == (other.hash, other.level, other.metadata)
        and cameras == [(c.name, c.width, c.intrinsics, c.pose) for c in other.cameras]
        and one.distance_scale == other.distance_scale
        and one.frame == other.frame
    )


def whole(data: bytes, level: int) -> _codec.DecodedStream:
    return _codec.decode_stream(data, level, 1, MAX_MEMORY, False, False, False)


@pytest.mark.parametrize("name", list(HASHES))
def test_every_golden_stream_by_levels(name: str) -> None:
    data = (GOLDEN / f"{name}.pcgs").read_bytes()
    scenes = take_all(reader(), pieces(data, 1000))
    assert [f"{scene.hash:016x}" for scene in scenes] == HASHES[name]
    assert all(same(scene, whole(data, level)) for level, scene in enumerate(scenes, start=1))


def test_every_chunking() -> None:
    """Pieces of every size up to a level's, and cuts at every byte."""
    data = encode(synthetic.tiny(30, levels=3), slice_anchors=12)
    expected = [whole(data, level) for level in (1, 2, 3)]
    sizes = [*range(1, 60), *range(60, len(data), 97), len(data)]
    for size in sizes:
        assert [s.hash for s in take_all(reader(), pieces(data, size))] == [s.hash for s in expected], size
    for cut in range(0, len(data), 7):
        found = take_all(reader(), iter((data[:cut], data[cut:])))
        assert all(same(a, b) for a, b in zip(found, expected, strict=True)), cut


def test_any_order() -> None:
    data = encode(synthetic.tiny(60, levels=3), slice_anchors=20)
    rng = np.random.default_rng(3)
    for _ in range(20):
        cuts = [0, *sorted(rng.choice(np.arange(1, len(data)), 9, replace=False).tolist()), len(data)]
        made = reader()
        for begin, end in rng.permutation(list(pairwise(cuts))).tolist():
            low = max(0, begin - 5)  # pieces overlap
            made.feed_at(low, data[low:end])
        for level in (1, 2, 3):
            made.advance()
            assert same(made.scene(), whole(data, level))
        assert (made.next_level, made.ready) == (0, False)


def test_wants_no_byte_too_many() -> None:
    data = (GOLDEN / "three-levels.pcgs").read_bytes()
    made, asked = reader(), []
    for level in (1, 2, 3):
        while (need := made.wanted)[1]:
            asked.append((level, *need))
            made.feed_at(need[0], data[need[0] : sum(need)])
        made.advance()
        assert sum(size for _, _, size in asked) == made.level_end(level)
    assert [level for level, _, _ in asked] == [1, 1, 1, 2, 3]


def test_stops_at_upto() -> None:
    data = (GOLDEN / "three-levels.pcgs").read_bytes()
    made = reader(2)
    assert len(take_all(made, pieces(data, 100))) == 2
    assert (made.next_level, made.wanted[1]) == (0, 0)
    with pytest.raises(_codec.StreamError, match="all levels are decoded already"):
        made.advance()
    with pytest.raises(_codec.StreamError, match="level 4 was asked for, the stream has 3"):
        reader(4).feed(data)


def test_damage_leaves_the_level_before_and_may_come_again() -> None:
    data = encode(synthetic.tiny(60, levels=2), slice_anchors=20)
    second = describe(data).levels[1]
    for at in range(second.offset, second.offset + second.length, 11):
        damaged = bytearray(data)
        damaged[at] ^= 4
        made = reader()
        made.feed(bytes(damaged))
        made.advance()
        first = made.scene()
        with pytest.raises(_codec.StreamError, match=r"checksum error|disagree|malformed"):
            made.advance()
        assert same(first, whole(data, 1)) and same(made.scene(), first)
        while (need := made.wanted)[1]:
            made.feed_at(need[0], data[need[0] : sum(need)])
        made.advance()
        assert same(made.scene(), whole(data, 2))


def test_right_checksums_with_wrong_contents_end_it() -> None:
    data = encode(synthetic.tiny(60, levels=2), slice_anchors=20)
    index = index_of(data, "SLIC", 2, 1)
    payload = bytearray(payload_of(data, index))
    payload[len(payload) // 2] ^= 255
    bad = replaced(data, index, bytes(payload))
    made = reader()
    made.feed(bad)
    made.advance()
    with pytest.raises(_codec.StreamError, match="chunk SLIC level 2"):
        made.advance()
    with pytest.raises(_codec.StreamError, match="chunk SLIC level 2"):
        made.advance()


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"hello world, no stream", "bad magic"), (b"\x89PCGS\r\n\x1a\x03\x00\x00\x00", "version 3.0")],
)
def test_other_files_are_refused_at_once(data: bytes, problem: str) -> None:
    made = reader()
    with pytest.raises(_codec.StreamError, match=problem):
        made.feed(data)
    with pytest.raises(_codec.StreamError, match=problem):
        made.feed(b"more")


def test_bytes_beyond_the_end() -> None:
    data = (GOLDEN / "one-level.pcgs").read_bytes()
    for parts in ([data + b"x"], [data, b"x"], [data[:200], data[200:] + b"x"]):
        made = reader()
        with pytest.raises(_codec.StreamError, match="follow the end"):
            for part in parts:
                made.feed(part)


def test_memory_limit() -> None:
    data = (GOLDEN / "three-levels.pcgs").read_bytes()
    made = reader(max_memory=10_000)
    made.feed(data)
    with pytest.raises(_codec.StreamError, match="--max-memory"):
        made.advance()


def test_chosen_slices_and_parts_of_a_level() -> None:
    data = encode(synthetic.tiny(200, levels=3), slice_anchors=25)
    made = reader()
    made.feed(data[:16384])
    count = made.slices
    chosen = [i % 3 == 1 for i in range(count)]
    made.choose(chosen)
    taken = 0
    for _ in (1, 2, 3):
        while (need := made.wanted)[1]:
            taken += need[1]
            made.feed_at(need[0], data[need[0] : sum(need)])
        made.advance()
    part, full = made.scene(), whole(data, 3)
    rows = {tuple(row) for row in full.anchors.tolist()}
    assert 0 < len(part.anchors) < len(full.anchors) and taken < len(data)
    assert all(tuple(row) in rows for row in part.anchors.tolist())
    for i in np.flatnonzero(chosen):
        low, high = np.array(made.slice_box(int(i))).reshape(2, 3)
        assert np.any(np.all((part.anchors >= low - 1e-4) & (part.anchors <= high + 1e-4), axis=1))
    made.choose([True] * count)  # the others begin at level 1
    assert made.next_level == 1
    for _ in (1, 2, 3):
        while (need := made.wanted)[1]:
            made.feed_at(need[0], data[need[0] : sum(need)])
        made.advance()
    assert same(made.scene(), full)


def test_slices_one_by_one() -> None:
    data = encode(synthetic.tiny(200, levels=2), slice_anchors=25)
    made = reader()
    made.feed(data[: made_end(data, 1)])
    made.advance()
    order = np.random.default_rng(0).permutation(made.slices).tolist()
    first = made.level_end(1)
    parameters, _ = made.slice_range(2, 0)
    made.feed_at(first, data[first:parameters])
    for i in order:
        offset, size = made.slice_range(2, i)
        made.feed_at(offset, data[offset : offset + size])
        made.advance(True)
        assert made.level == (2 if i == order[-1] else 1)
        assert len(made.scene().anchors) <= len(whole(data, 2).anchors)
    assert same(made.scene(), whole(data, 2))


def made_end(data: bytes, level: int) -> int:
    entry = describe(data).levels[level - 1]
    return entry.offset + entry.length


def test_chunks_of_newer_versions_between_slices() -> None:
    """Then a level's slices cannot be found without all of it."""
    data = encode(synthetic.tiny(60, levels=2), slice_anchors=20)
    index = index_of(data, "SLIC", 2, 1)
    offset = describe(data).chunks[index].offset
    extra = chunk_bytes(b"newx", b"?" * 50, 2)
    level = describe(data).levels[1]
    table = bytearray(payload_of(data, 0))
    row = 8 + 20  # of level 2
    table[row + 8 : row + 16] = (level.length + len(extra)).to_bytes(8, "little")
    data = replaced(data, 0, bytes(table))
    data = data[:offset] + extra + data[offset:]
    made = reader()
    assert [f"{s.hash:016x}" for s in take_all(made, pieces(data, 33))] == [
        f"{whole(data, level).hash:016x}" for level in (1, 2)
    ]
    made = reader()
    made.feed(data[: made_end(data, 1)])
    made.advance()
    made.choose([False, True, *[False] * (made.slices - 2)])
    while (need := made.wanted)[1]:
        made.feed_at(need[0], data[need[0] : sum(need)])
    made.advance()
    assert 0 < len(made.scene().anchors) < len(whole(data, 2).anchors)
