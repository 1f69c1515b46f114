"""What is left of a damaged stream: chunks found by their own headers, put where a whole file has them.

Every chunk names its level, its slice and its length, so that the index can be written again from them; only
the first keys of slices stand in the index alone. Wrong bytes are put right by parity chunks, where there are
any, and single ones by the checksums of their chunks.
"""

from __future__ import annotations

import re
import struct
import zlib
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from gspc.errors import BitstreamError
from gspc.format import limits
from gspc.format.fields import chunk_bytes
from gspc.format.header import read_header
from gspc.format.mending import mended, mended_with_check
from gspc.format.parity import TAG as PARITY
from gspc.format.parity import repairs

HEADER = limits.CHUNK_HEADER_BYTES
TAGS = re.compile(rb"INDX|HEAD|cams|meta|fram|swel|pari|GRID|GHED|NETS|SLIC")
FRONT = ("cams", "meta", "fram", "swel")
Key = tuple[str, int, int | None]  # tag, level, slice


@dataclass(frozen=True)
class Found:
    """A chunk of a damaged file; `payload` is None when it cannot be trusted."""

    key: Key
    offset: int
    length: int
    payload: bytes | None
    raw: bytes  # as it stands there, whatever its checksum says
    whole: bool  # both checksums hold without any mending

    @property
    def end(self) -> int:
        """Where the next chunk begins."""
        return self.offset + HEADER + self.length


@dataclass(frozen=True)
class Salvaged:
    """A file like the whole one, in which the payloads that are lost are zeros."""

    data: bytes
    levels: int  # whose parameters are there
    slices: tuple[tuple[bool, ...], ...]  # [level][slice]: there, or not in the file at all
    anchors: tuple[tuple[int, ...], ...]  # [level][slice], as their first bytes say
    lost: tuple[str, ...]  # chunks, by name


def chunk_name(key: Key) -> str:
    """ "chunk SLIC level 2 slice 3"."""
    tag, level, slice_ = key
    return (
        f"chunk {tag}" + (f" level {level}" if level else "") + ("" if slice_ is None else f" slice {slice_}")
    )


def salvage(data: bytes) -> Salvaged:
    """Gathers what checks out. Raises BitstreamError when a chunk is lost that every slice needs."""
    data, chunks = _repaired(data, _find(data))
    slices, levels, keys, promised = _index(chunks)
    lengths = _lengths(chunks, levels, slices, promised)
    _read_missing(data, chunks, levels, lengths)
    needed: list[Key] = [("HEAD", 0, None), ("GRID", 1, None), ("GHED", 1, None), ("NETS", 1, None)]
    for key in needed:
        if key not in chunks or chunks[key].payload is None:
            raise BitstreamError(f"{chunk_name(key)} is lost, which every slice needs; get the file again")
    whole = 1
    while whole < levels and (found := chunks.get(("NETS", whole + 1, None))) and found.payload is not None:
        whole += 1
    there, anchors, lost = [], [], _lost(chunks, levels, lengths)
    for level in range(1, levels + 1):
        row = [chunks.get(("SLIC", level, i)) for i in range(slices)]
        there.append(
            tuple(
                length == 0 or (found is not None and found.payload is not None)
                for found, length in zip(row, lengths[level - 1], strict=True)
            )
        )
        anchors.append(tuple(_fresh(found) for found in row))
    rebuilt = _rebuild(chunks, levels, keys, lengths, promised)
    return Salvaged(rebuilt, whole, tuple(there), tuple(anchors), tuple(map(chunk_name, lost)))


def _lost(chunks: dict[Key, Found], levels: int, lengths: list[list[int]]) -> list[Key]:
    """What is not there, or cannot be trusted."""
    expected: list[Key] = [("INDX", 0, None), *(key for key in chunks if key[0] in FRONT)]
    expected += [("NETS", level, None) for level in range(1, levels + 1)]
    for level, row in enumerate(lengths, start=1):
        expected += [("SLIC", level, i) for i, length in enumerate(row) if length]
    return [key for key in expected if key not in chunks or chunks[key].payload is None]


# ---- finding chunks ----


def _find(data: bytes) -> dict[Key, Found]:
    """Chunks whose headers check out, wherever they are, and those right behind them whose headers can be
    put right. The first of a name counts."""
    found: dict[Key, Found] = {}
    for match in TAGS.finditer(data):
        _take(found, data, match.start(), repair=False)
    behind = [limits.PREAMBLE_BYTES, *(chunk.end for chunk in found.values())]
    while behind:
        taken = _take(found, data, behind.pop(), repair=True)
        if taken is not None:
            behind.append(taken.end)
    return found


def _repaired(data: bytes, chunks: dict[Key, Found]) -> tuple[bytes, dict[Key, Found]]:
    """The file as its parity chunks say, and its chunks.

    Parity that would change a chunk whose checksums hold is of bytes that were written anew since, by a
    program that did not know of it, and says nothing.
    """
    made = bytearray(data)
    whole = sorted((chunk.offset, chunk.end) for chunk in chunks.values() if chunk.whole)
    starts = [start for start, _ in whole]
    for chunk in [chunk for key, chunk in chunks.items() if key[0] == PARITY]:
        for wrong in repairs(data, chunk.offset, chunk.raw):
            last = {place: bisect(starts, place) - 1 for place in wrong}
            if not any(at >= 0 and place < whole[at][1] for place, at in last.items()):
                for place, byte in wrong.items():
                    made[place] ^= byte
    return (data, chunks) if made == data else (bytes(made), _find(bytes(made)))


def _take(found: dict[Key, Found], data: bytes, offset: int, *, repair: bool) -> Found | None:
    """The chunk at `offset`, if there is one of a new name."""
    head = data[offset : offset + HEADER]
    if len(head) < HEADER:
        return None
    sound = zlib.crc32(head[:20]) == int.from_bytes(head[20:], "little")
    fields = head[:20] if sound else mended_with_check(head) if repair else None
    if fields is None:
        return None
    tag, level, flags, reserved, slice_, length, crc = struct.unpack("<4sBBHIII", fields)
    place = None if slice_ == limits.NO_SLICE else slice_
    key = (tag.decode("latin-1"), level, place)
    plausible = TAGS.fullmatch(tag) and not flags and not reserved and level <= limits.MAX_LEVELS
    if not plausible or key in found or (tag == b"SLIC" and (place is None or place >= limits.MAX_SLICES)):
        return None
    raw = data[offset + HEADER : offset + HEADER + length]
    payload = mended(raw, crc) if len(raw) == length else None
    found[key] = Found(key, offset, length, payload, raw, sound and payload == raw)
    return found[key]


def _read_missing(data: bytes, chunks: dict[Key, Found], levels: int, lengths: list[list[int]]) -> None:
    """Slices whose headers are beyond repair, from where the index says that they lie: the slice before ends
    there. Their contents are whole if either checksum of the header says so."""
    for level in range(1, levels + 1):
        at = None
        for i, length in enumerate(lengths[level - 1]):
            key: Key = ("SLIC", level, i)
            if length and key not in chunks and at is not None:
                _read_by_index(data, chunks, key, at, length)
            if key in chunks:
                at = chunks[key].end
            elif length and at is not None:
                at += HEADER + length


def _read_by_index(data: bytes, chunks: dict[Key, Found], key: Key, offset: int, length: int) -> None:
    head = data[offset : offset + HEADER]
    raw = data[offset + HEADER : offset + HEADER + length]
    if len(head) < HEADER or len(raw) < length or key[2] is None:
        return
    crc, check = struct.unpack_from("<II", head, 16)
    own = zlib.crc32(raw)
    fields = struct.pack("<4sBBHIII", key[0].encode(), key[1], 0, 0, key[2], length, own)
    payload = raw if own == crc or zlib.crc32(fields) == check else mended(raw, crc)
    chunks[key] = Found(key, offset, length, payload, raw, whole=False)


# ---- the index ----


def _index(chunks: dict[Key, Found]) -> tuple[int, int, list[int], list[tuple[int, ...]]]:
    """Slices, levels, first keys, and slice lengths [level] as the index has them; no lengths where it is
    damaged. Raises BitstreamError where not even the keys can be found."""
    index = chunks.get(("INDX", 0, None))
    raw = b"" if index is None else index.payload or index.raw
    seen_levels = max((level for _, level, _ in chunks), default=0)
    seen_slices = max((place + 1 for _, _, place in chunks if place is not None), default=0)
    levels, slices = struct.unpack_from("<B3xI", raw) if len(raw) >= 8 else (0, 0)
    if (
        len(raw) != 8 + 20 * levels + slices * (8 + 4 * levels)
        or slices < seen_slices
        or not 1 <= levels <= 8
    ):
        levels, slices, raw = seen_levels, seen_slices, b""
    if not levels or not slices or not raw:
        raise BitstreamError("chunk INDX is lost, which every slice needs; get the file again")
    at = 8 + 20 * levels
    keys = list(struct.unpack_from(f"<{slices}Q", raw, at))
    rows = [struct.unpack_from(f"<{slices}I", raw, at + 8 * slices + 4 * slices * i) for i in range(levels)]
    trusted = index is not None and index.payload is not None
    return slices, levels, _ascending(keys), [row if trusted else () for row in rows]


def _ascending(keys: list[int]) -> list[int]:
    """Keys that a damaged index has out of order, moved between their neighbors; their slices then fail."""
    found = [0]
    last = 1 << 3 * limits.MAX_POSITION_BITS
    for i, key in enumerate(keys[1:], start=1):
        following = min((later for later in keys[i + 1 :] if later > found[-1] + 1), default=last)
        found.append(key if found[-1] < key < following else found[-1] + 1)
    return found


def _lengths(
    chunks: dict[Key, Found], levels: int, slices: int, promised: list[tuple[int, ...]]
) -> list[list[int]]:
    """Payload bytes of every slice [level][slice], by the index if it is whole, else by the chunks."""
    if all(promised):
        return [list(row) for row in promised]
    found = []
    for level in range(1, levels + 1):
        row = [chunks.get(("SLIC", level, i)) for i in range(slices)]
        # A slice that no header tells of takes some bytes: only the last level may lack it.
        found.append([1 if chunk is None else chunk.length for chunk in row])
    return found


def _fresh(found: Found | None) -> int:
    """Anchors of a slice, the first number of its payload; 0 where that cannot be."""
    value = shift = 0
    for byte in (found.payload or found.raw)[:5] if found is not None else b"":
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            assert found is not None
            return value if value <= limits.MAX_ANCHORS_PER_BYTE * found.length else 0
    return 0


# ---- the file ----


def _rebuild(
    chunks: dict[Key, Found],
    levels: int,
    keys: list[int],
    lengths: list[list[int]],
    promised: list[tuple[int, ...]],
) -> bytes:
    """The file again, lost payloads as zeros. Without a whole index a level counts the anchors it has."""
    front = b"".join(
        _written(chunks[key]) for key in chunks if key[0] in FRONT and chunks[key].payload is not None
    )
    head = _written(chunks["HEAD", 0, None])
    size = 8 + 20 * levels + len(keys) * (8 + 4 * levels)
    at = limits.PREAMBLE_BYTES + HEADER + size + len(head) + len(front)
    table, bodies = b"", []
    for level in range(1, levels + 1):
        body = b"".join(_level(chunks, level, lengths[level - 1]))
        table += struct.pack("<QQI", at, len(body), _anchors(chunks, level, len(keys), promised))
        at += len(body)
        bodies.append(body)
    index = struct.pack("<B3xI", levels, len(keys)) + table + struct.pack(f"<{len(keys)}Q", *keys)
    index += b"".join(struct.pack(f"<{len(row)}I", *row) for row in lengths)
    header = chunks["HEAD", 0, None].payload
    assert header is not None
    preamble = limits.MAGIC + bytes([read_header(header).shape.version, 0, 0, 0])
    return preamble + chunk_bytes("INDX", 0, None, index) + head + front + b"".join(bodies)


def _anchors(chunks: dict[Key, Found], level: int, slices: int, promised: list[tuple[int, ...]]) -> int:
    index = chunks.get(("INDX", 0, None))
    if all(promised) and index is not None and index.payload is not None:
        return int(struct.unpack_from("<I", index.payload, 8 + 20 * level - 4)[0])
    return sum(_fresh(chunks.get(("SLIC", level, i))) for i in range(slices))


def _level(chunks: dict[Key, Found], level: int, lengths: list[int]) -> Iterator[bytes]:
    tags = ("GRID", "GHED", "NETS") if level == 1 else ("NETS",)
    for tag in tags:
        found = chunks.get((tag, level, None))
        payload = None if found is None else found.payload
        yield chunk_bytes(tag, level, None, b"\0" if payload is None else payload)
    for i, length in enumerate(lengths):
        found = chunks.get(("SLIC", level, i))
        if length:
            payload = None if found is None else found.payload
            yield chunk_bytes("SLIC", level, i, bytes(length) if payload is None else payload)


def _written(found: Found) -> bytes:
    assert found.payload is not None
    return chunk_bytes(*found.key, found.payload)
