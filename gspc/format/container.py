"""The container of a `.pcgs` stream, read with the standard library alone: what is where, how large, is it
whole.

Written from pcgs(5) and independent of the C++ core. Nothing is decoded: sizes come from the index, chunk
headers and slice headers.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from gspc.errors import BitstreamError
from gspc.format import limits
from gspc.format.fields import unpack, varint
from gspc.format.header import HeaderInfo, read_header

COMPONENTS = (
    "index",
    "header",
    "cameras",
    "metadata",
    "grid",
    "heads",
    "networks",
    "positions",
    "masks",
    "escapes",
    "symbols",
    "framing",
    "parity",
    "other",
)
_WHOLE = {
    "cams": "cameras",
    "fram": "cameras",
    "meta": "metadata",
    "GRID": "grid",
    "GHED": "heads",
    "NETS": "networks",
    "pari": "parity",
}


@dataclass(frozen=True)
class ChunkInfo:
    """One chunk; `crc_ok` is None when its payload is cut off."""

    tag: str
    level: int  # 0 = whole file
    slice: int | None
    offset: int  # of the chunk header
    length: int  # of the payload
    crc: int
    crc_ok: bool | None

    @property
    def name(self) -> str:
        """ "chunk SLIC level 2 slice 3"."""
        level = f" level {self.level}" if self.level else ""
        return f"chunk {self.tag}{level}" + (f" slice {self.slice}" if self.slice is not None else "")


@dataclass(frozen=True)
class SliceInfo:
    """The header of one slice's payload: counts, and bytes of its parts."""

    level: int
    slice: int
    anchors: int  # that first appear
    gaussians: int  # that appear
    positions: int
    masks: int
    escapes: int
    symbols: int
    framing: int  # the header itself and padding


@dataclass(frozen=True)
class LevelInfo:
    """One row of the level table, with what its slices say."""

    level: int
    offset: int
    length: int
    anchors: int
    gaussians: int  # of the slices present
    slices: int  # that this level holds
    whole: bool


@dataclass(frozen=True)
class StreamInfo:
    """Everything the container says about a stream."""

    version: tuple[int, int]
    size: int  # bytes given
    file_bytes: int  # bytes the index promises
    header: HeaderInfo
    levels: tuple[LevelInfo, ...]
    whole_levels: int
    slice_keys: tuple[int, ...]  # first Morton key of each slice
    chunks: tuple[ChunkInfo, ...]
    slices: tuple[SliceInfo, ...]
    component_bytes: Mapping[
        tuple[int, str], int
    ]  # (level, component) -> bytes; the sum is `size` unless truncated

    @property
    def truncated(self) -> bool:
        """Bytes at the end are missing."""
        return self.size < self.file_bytes

    @property
    def damaged(self) -> tuple[ChunkInfo, ...]:
        """Chunks whose checksum does not hold."""
        return tuple(chunk for chunk in self.chunks if chunk.crc_ok is False)

    def component(self, name: str) -> int:
        """Bytes of one component over all levels."""
        return sum(size for (_, component), size in self.component_bytes.items() if component == name)


def _check_preamble(data: bytes) -> tuple[int, int]:
    if not data:
        raise BitstreamError("the stream is empty")
    start = data[: len(limits.MAGIC)]
    if not limits.MAGIC.startswith(start):
        if start.startswith(limits.MAGIC[:5]):
            raise BitstreamError(
                "line ends were changed in transfer (text mode); copy the file in binary mode"
            )
        raise BitstreamError("not a .pcgs stream (bad magic)")
    if len(data) < limits.PREAMBLE_BYTES:
        raise BitstreamError("truncated inside the preamble")
    major, minor, reserved = struct.unpack_from("<BBH", data, 8)
    if not 1 <= major <= limits.VERSION_MAJOR:
        raise BitstreamError(
            f"format version {major}.{minor} is not readable here (this reader knows versions 1 and 2); "
            "update gspc"
        )
    if reserved:
        raise BitstreamError("preamble: reserved bytes are not zero")
    return major, minor


def _read_chunk(data: bytes, offset: int) -> ChunkInfo | None:
    """The chunk at `offset`, or None when its header is cut off."""
    head = data[offset : offset + limits.CHUNK_HEADER_BYTES]
    if len(head) < limits.CHUNK_HEADER_BYTES:
        return None
    tag, level, flags, reserved, slice_, length, crc, check = struct.unpack("<4sBBHIIII", head)
    if zlib.crc32(head[:20]) != check:
        raise BitstreamError(f"chunk header at byte {offset}: checksum error")
    if not (tag.isalpha() and tag.isascii()) or flags or reserved or level > limits.MAX_LEVELS:
        raise BitstreamError(f"chunk header at byte {offset}: malformed")
    if length > limits.MAX_CHUNK_BYTES:
        raise BitstreamError(f"chunk {tag.decode()}: longer than 1 GiB")
    start = offset + limits.CHUNK_HEADER_BYTES
    whole = len(data) - start >= length
    return ChunkInfo(
        tag=tag.decode(),
        level=level,
        slice=None if slice_ == limits.NO_SLICE else slice_,
        offset=offset,
        length=length,
        crc=crc,
        crc_ok=zlib.crc32(memoryview(data)[start : start + length]) == crc if whole else None,
    )


def _payload(data: bytes, chunk: ChunkInfo) -> bytes:
    start = chunk.offset + limits.CHUNK_HEADER_BYTES
    return data[start : start + chunk.length]


def _end(chunk: ChunkInfo) -> int:
    return chunk.offset + limits.CHUNK_HEADER_BYTES + chunk.length


@dataclass(frozen=True)
class _Index:
    levels: tuple[tuple[int, int, int], ...]  # offset, length, anchors
    keys: tuple[int, ...]
    lengths: tuple[tuple[int, ...], ...]  # [level][slice]


def _read_index(payload: bytes) -> _Index:
    levels, r0, r1, slices = unpack("<BBHI", payload, 0, "chunk INDX")
    if r0 or r1:
        raise BitstreamError("chunk INDX: reserved bytes are not zero")
    if not 1 <= levels <= limits.MAX_LEVELS:
        raise BitstreamError(f"chunk INDX: 1 to 8 levels, not {levels}")
    if not 1 <= slices <= limits.MAX_SLICES:
        raise BitstreamError(f"chunk INDX: 1 to 2048 slices, not {slices}")
    if len(payload) != 8 + 20 * levels + slices * (8 + 4 * levels):
        raise BitstreamError("chunk INDX: length does not fit its contents")
    table = tuple(struct.unpack_from("<QQI", payload, 8 + 20 * i) for i in range(levels))
    for i, (offset, length, _) in enumerate(table):
        follows = i == 0 or offset == table[i - 1][0] + table[i - 1][1]
        if length > 1 << 40 or offset > 1 << 41 or not follows:
            raise BitstreamError(f"chunk INDX: level {i + 1} does not follow the one before")
    at = 8 + 20 * levels
    keys = struct.unpack_from(f"<{slices}Q", payload, at)
    if keys[0] != 0 or any(a >= b for a, b in pairwise(keys)) or keys[-1] >> 63:
        raise BitstreamError("chunk INDX: slices are not in order")
    at += 8 * slices
    lengths = tuple(struct.unpack_from(f"<{slices}I", payload, at + 4 * slices * i) for i in range(levels))
    if any(0 in row for row in lengths[:-1]):
        raise BitstreamError("chunk INDX: only the last level may lack slices")
    return _Index(table, keys, lengths)


def _read_slice(data: bytes, chunk: ChunkInfo) -> SliceInfo:
    payload = _payload(data, chunk)
    values = []
    at = 0
    for _ in range(6):
        value, at = varint(payload, at, chunk.name)
        values.append(value)
    anchors, gaussians, *parts = values
    if anchors > limits.MAX_ANCHORS_PER_BYTE * len(payload):
        raise BitstreamError(f"{chunk.name}: more new anchors than 8 per byte")
    if sum(parts) > len(payload) - at:
        raise BitstreamError(f"{chunk.name}: shorter than its contents")
    if any(payload[at + sum(parts) :]):
        raise BitstreamError(f"{chunk.name}: padding is not zero")
    assert chunk.slice is not None
    positions, masks, escapes, symbols = parts
    return SliceInfo(
        level=chunk.level,
        slice=chunk.slice,
        anchors=anchors,
        gaussians=gaussians,
        positions=positions,
        masks=masks,
        escapes=escapes,
        symbols=symbols,
        framing=len(payload) - sum(parts),
    )


def _check_place(chunk: ChunkInfo, level: int, end: int, lengths: tuple[int, ...], seen: list[int]) -> None:
    """Index and chunk header must agree."""
    if chunk.level != level or _end(chunk) > end:
        raise BitstreamError(f"{chunk.name}: index and chunk headers disagree")
    if chunk.tag == "SLIC":
        expected = next((i for i, n in enumerate(lengths) if n and i >= len(seen) and i not in seen), None)
        if chunk.slice is None or chunk.slice != expected or chunk.length != lengths[expected]:
            raise BitstreamError(f"{chunk.name}: index and chunk header disagree")
        seen.append(chunk.slice)
    elif chunk.slice is not None:
        raise BitstreamError(f"{chunk.name}: only SLIC chunks belong to a slice")


def _walk(
    data: bytes, begin: int, end: int, level: int, lengths: tuple[int, ...]
) -> tuple[list[ChunkInfo], bool]:
    """Chunks in [begin, end) as far as the data reaches, and whether it reaches the end."""
    chunks: list[ChunkInfo] = []
    seen: list[int] = []
    at = begin
    while at < end:
        chunk = _read_chunk(data, at)
        if chunk is None:
            return chunks, False
        _check_place(chunk, level, end, lengths, seen)
        chunks.append(chunk)
        if chunk.crc_ok is None:
            return chunks, False
        at = _end(chunk)
    if len(seen) != sum(n > 0 for n in lengths):
        raise BitstreamError(f"level {level}: slices of the index are missing")
    return chunks, True


def _account(chunks: list[ChunkInfo], slices: dict[int, SliceInfo]) -> dict[tuple[int, str], int]:
    sizes: dict[tuple[int, str], int] = {}

    def add(level: int, component: str, size: int) -> None:
        if size:
            sizes[level, component] = sizes.get((level, component), 0) + size

    for chunk in chunks:
        add(chunk.level, "framing", limits.CHUNK_HEADER_BYTES)
        info = slices.get(chunk.offset)
        if info is not None:
            add(chunk.level, "framing", info.framing)
            for part in ("positions", "masks", "escapes", "symbols"):
                add(chunk.level, part, getattr(info, part))
        else:
            add(chunk.level, _WHOLE.get(chunk.tag, "other"), chunk.length)
    return sizes


def describe(data: bytes) -> StreamInfo:
    """Takes a stream apart.

    Truncation and wrong payload checksums are reported, not raised; anything else that the format forbids
    raises BitstreamError.
    """
    version = _check_preamble(data)
    first = _read_chunk(data, limits.PREAMBLE_BYTES)
    if first is None or first.crc_ok is None:
        raise BitstreamError("truncated inside the index")
    if first.tag != "INDX":
        raise BitstreamError("the first chunk is not INDX")
    second = _read_chunk(data, _end(first))
    if second is None or second.crc_ok is None:
        raise BitstreamError("truncated inside the header")
    if second.tag != "HEAD":
        raise BitstreamError("the second chunk is not HEAD")
    for chunk in (first, second):
        if chunk.level or chunk.slice is not None:
            raise BitstreamError("INDX and HEAD must belong to no level or slice")
        if not chunk.crc_ok:
            raise BitstreamError(f"{chunk.name}: checksum error")
    if _end(second) > limits.INDEX_WINDOW:
        raise BitstreamError("INDX and HEAD do not fit the first 16 KiB")
    index = _read_index(_payload(data, first))
    header = read_header(_payload(data, second))
    if header.shape.version != version[0]:
        raise BitstreamError(f"chunk HEAD: its refinement is not that of format version {version[0]}")
    if index.keys[-1] >= header.end:
        raise BitstreamError("chunk INDX: slices beyond the positions")
    begin = index.levels[0][0]
    file_bytes = index.levels[-1][0] + index.levels[-1][1]
    if begin < _end(second):
        raise BitstreamError("index and chunk headers disagree: level 1 begins before the header ends")
    if len(data) > file_bytes:
        raise BitstreamError(f"{len(data) - file_bytes} bytes follow the end of the stream")

    chunks, reached = _walk(data, _end(second), begin, 0, ())
    levels = []
    slices: dict[int, SliceInfo] = {}
    for number, (offset, length, anchors) in enumerate(index.levels, start=1):
        found: list[ChunkInfo] = []
        if reached:
            found, reached = _walk(data, offset, offset + length, number, index.lengths[number - 1])
        own = {c.offset: _read_slice(data, c) for c in found if c.tag == "SLIC" and c.crc_ok}
        if reached and all(c.crc_ok for c in found) and sum(s.anchors for s in own.values()) != anchors:
            raise BitstreamError(f"level {number}: index and slices count different anchors")
        chunks += found
        slices |= own
        levels.append(
            LevelInfo(
                level=number,
                offset=offset,
                length=length,
                anchors=anchors,
                gaussians=sum(info.gaussians for info in own.values()),
                slices=sum(n > 0 for n in index.lengths[number - 1]),
                whole=reached,
            )
        )
    sizes = {(0, "index"): _end(first), (0, "header"): _end(second) - _end(first)}
    return StreamInfo(
        version=version,
        size=len(data),
        file_bytes=file_bytes,
        header=header,
        levels=tuple(levels),
        whole_levels=sum(level.whole for level in levels),
        slice_keys=index.keys,
        chunks=(first, second, *chunks),
        slices=tuple(slices.values()),
        component_bytes=sizes | _account(chunks, slices),
    )


def check(data: bytes) -> StreamInfo:
    """`describe`, but truncation and checksum errors raise BitstreamError too."""
    info = describe(data)
    if info.damaged:
        raise BitstreamError(f"{info.damaged[0].name}: checksum error")
    if info.truncated:
        raise BitstreamError(
            f"truncated: {info.size} of {info.file_bytes} bytes, "
            f"{info.whole_levels} of {len(info.levels)} levels are whole"
        )
    return info
