"""Streams changed by hand: chunks with other contents, whose checksums and index are right all the same."""

from __future__ import annotations

import struct
import zlib

from gspc.format import describe, limits

HEADER = limits.CHUNK_HEADER_BYTES


def chunk_bytes(tag: bytes, payload: bytes, level: int = 0, slice_: int = 0xFFFFFFFF) -> bytes:
    """A chunk with right checksums."""
    head = struct.pack("<4sBBHIII", tag, level, 0, 0, slice_, len(payload), zlib.crc32(payload))
    return head + struct.pack("<I", zlib.crc32(head)) + payload


def replaced(stream: bytes, index: int, payload: bytes) -> bytes:
    """The stream with another payload of the same length in chunk `index`, checksums right."""
    chunk = describe(stream).chunks[index]
    assert len(payload) == chunk.length
    slice_ = 0xFFFFFFFF if chunk.slice is None else chunk.slice
    new = chunk_bytes(chunk.tag.encode(), payload, chunk.level, slice_)
    return stream[: chunk.offset] + new + stream[chunk.offset + len(new) :]


def payload_of(stream: bytes, index: int) -> bytes:
    chunk = describe(stream).chunks[index]
    return stream[chunk.offset + HEADER : chunk.offset + HEADER + chunk.length]


def index_of(stream: bytes, tag: str, level: int = 0, slice_: int | None = None) -> int:
    return next(
        i for i, c in enumerate(describe(stream).chunks) if (c.tag, c.level, c.slice) == (tag, level, slice_)
    )


def rebuilt(stream: bytes, change: dict[int, tuple[bytes, bytes]]) -> bytes:
    """The stream with chunks replaced by (tag, payload) of any length; the index is made to fit."""
    info = describe(stream)
    parts: dict[int, list[bytes]] = {level: [] for level in range(len(info.levels) + 1)}
    lengths = {}
    for i, chunk in enumerate(info.chunks[1:], start=1):
        tag, payload = change.get(i, (chunk.tag.encode(), payload_of(stream, i)))
        slice_ = 0xFFFFFFFF if chunk.slice is None else chunk.slice
        parts[chunk.level].append(chunk_bytes(tag, payload, chunk.level, slice_))
        if chunk.slice is not None:
            lengths[chunk.level, chunk.slice] = len(payload)
    old = payload_of(stream, 0)
    at = 12 + HEADER + len(old) + sum(map(len, parts[0]))
    table = b""
    for level in info.levels:
        size = sum(map(len, parts[level.level]))
        table += struct.pack("<QQI", at, size, level.anchors)
        at += size
    keys = struct.pack(f"<{len(info.slice_keys)}Q", *info.slice_keys)
    places = [(level.level, i) for level in info.levels for i in range(len(info.slice_keys))]
    rows = b"".join(struct.pack("<I", lengths.get(place, 0)) for place in places)
    index = chunk_bytes(b"INDX", old[:8] + table + keys + rows)
    return stream[:12] + index + b"".join(b"".join(parts[level]) for level in sorted(parts))


def without_last_slice(stream: bytes) -> bytes:
    """Drops the last chunk, a slice of the last level, and corrects the index."""
    info = describe(stream)
    last, level = info.chunks[-1], info.levels[-1]
    anchors = next(s.anchors for s in info.slices if (s.level, s.slice) == (level.level, last.slice))
    index = bytearray(payload_of(stream, 0))
    length = level.length - HEADER - last.length
    struct.pack_into("<QI", index, 8 + 20 * (level.level - 1) + 8, length, level.anchors - anchors)
    struct.pack_into("<I", index, len(index) - 4, 0)
    return replaced(stream, 0, bytes(index))[: last.offset]
