"""A stream with only some of the slices of its last level: chunks are left out, none is coded again."""

from __future__ import annotations

import struct
from collections.abc import Collection

from gspc.format import limits
from gspc.format.chunks import ChunkInfo
from gspc.format.container import StreamInfo, describe
from gspc.format.fields import chunk_bytes
from gspc.format.parity import refreshed

HEADER = limits.CHUNK_HEADER_BYTES


def keep_slices(data: bytes, kept: Collection[int]) -> bytes:
    """The stream whose last level holds only the slices `kept`; the others stay at the level before.

    Raises BitstreamError for a stream that is not whole.
    """
    stream = describe(data)
    last = len(stream.levels)
    body = [
        chunk
        for chunk in stream.chunks
        if chunk.level == last and (chunk.slice is None or chunk.slice in kept)
    ]
    start = stream.levels[-1].offset
    index = _index(data, stream, body, kept)
    parts = [data[: limits.PREAMBLE_BYTES], index, data[limits.PREAMBLE_BYTES + len(index) : start]]
    return refreshed(b"".join([*parts, *(data[chunk.offset : _end(chunk)] for chunk in body)]))


def largest_subset(data: bytes, size: int) -> tuple[int, ...] | None:
    """Slices of the last level, those with the most bytes first, so that the stream with only them is at most
    `size` bytes; None where not even the level's parameters fit."""
    stream = describe(data)
    last = len(stream.levels)
    slices = [chunk for chunk in stream.chunks if chunk.level == last and chunk.slice is not None]
    room = size - len(data) + sum(HEADER + chunk.length for chunk in slices)
    kept = []
    for chunk in sorted(slices, key=lambda chunk: -chunk.length):
        if HEADER + chunk.length <= room:
            room -= HEADER + chunk.length
            kept.append(chunk.slice)
    return tuple(sorted(i for i in kept if i is not None)) if room >= 0 and kept else None


def _end(chunk: ChunkInfo) -> int:
    return chunk.offset + HEADER + chunk.length


def _index(data: bytes, stream: StreamInfo, body: list[ChunkInfo], kept: Collection[int]) -> bytes:
    """The INDX chunk of the same length for a last level of these chunks."""
    first = stream.chunks[0]
    payload = bytearray(data[first.offset + HEADER : _end(first)])
    levels, slices = len(stream.levels), len(stream.slice_keys)
    anchors = sum(info.anchors for info in stream.slices if info.level == levels and info.slice in kept)
    length = sum(HEADER + chunk.length for chunk in body)
    struct.pack_into("<QI", payload, 8 + 20 * (levels - 1) + 8, length, anchors)
    row = 8 + 20 * levels + 8 * slices + 4 * slices * (levels - 1)
    for i in set(range(slices)) - set(kept):
        struct.pack_into("<I", payload, row + 4 * i, 0)
    return chunk_bytes(first.tag, 0, None, bytes(payload))
