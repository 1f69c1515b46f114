"""The container of a `.pcgs` stream, read with the standard library alone: what is where, how large, is it
whole.

Written from pcgs(5) and independent of the C++ core. Nothing is decoded: sizes come from the index, chunk
headers and slice headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gspc.errors import BitstreamError
from gspc.format import limits
from gspc.format.chunks import ChunkInfo, StreamIndex, check_preamble, payload_of, read_chunk, read_index
from gspc.format.fields import varint
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
    "swel": "header",
    "meta": "metadata",
    "GRID": "grid",
    "GHED": "heads",
    "NETS": "networks",
    "pari": "parity",
}


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


def _read_slice(data: bytes, chunk: ChunkInfo) -> SliceInfo:
    payload = payload_of(data, chunk)
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
    if chunk.level != level or chunk.end > end:
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
        chunk = read_chunk(data, at)
        if chunk is None:
            return chunks, False
        _check_place(chunk, level, end, lengths, seen)
        chunks.append(chunk)
        if chunk.crc_ok is None:
            return chunks, False
        at = chunk.end
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


def _front(data: bytes) -> tuple[ChunkInfo, ChunkInfo]:
    """INDX and HEAD, which are whole and where they belong."""
    first = read_chunk(data, limits.PREAMBLE_BYTES)
    if first is None or first.crc_ok is None:
        raise BitstreamError("truncated inside the index")
    if first.tag != "INDX":
        raise BitstreamError("the first chunk is not INDX")
    second = read_chunk(data, first.end)
    if second is None or second.crc_ok is None:
        raise BitstreamError("truncated inside the header")
    if second.tag != "HEAD":
        raise BitstreamError("the second chunk is not HEAD")
    for chunk in (first, second):
        if chunk.level or chunk.slice is not None:
            raise BitstreamError("INDX and HEAD must belong to no level or slice")
        if not chunk.crc_ok:
            raise BitstreamError(f"{chunk.name}: checksum error")
    if second.end > limits.INDEX_WINDOW:
        raise BitstreamError("INDX and HEAD do not fit the first 16 KiB")
    return first, second


@dataclass
class _Levels:
    """What was found of the levels so far."""

    chunks: list[ChunkInfo]
    reached: bool  # the data goes on behind what was found
    slices: dict[int, SliceInfo]  # by their offsets

    def take(self, data: bytes, index: StreamIndex, level: int) -> LevelInfo:
        """Walks the next level."""
        offset, length, anchors = index.levels[level - 1]
        lengths = index.lengths[level - 1]
        found: list[ChunkInfo] = []
        if self.reached:
            found, self.reached = _walk(data, offset, offset + length, level, lengths)
        own = {c.offset: _read_slice(data, c) for c in found if c.tag == "SLIC" and c.crc_ok}
        if self.reached and all(c.crc_ok for c in found) and sum(s.anchors for s in own.values()) != anchors:
            raise BitstreamError(f"level {level}: index and slices count different anchors")
        self.chunks += found
        self.slices |= own
        return LevelInfo(
            level=level,
            offset=offset,
            length=length,
            anchors=anchors,
            gaussians=sum(info.gaussians for info in own.values()),
            slices=sum(n > 0 for n in lengths),
            whole=self.reached,
        )


def describe(data: bytes) -> StreamInfo:
    """Takes a stream apart.

    Truncation and wrong payload checksums are reported, not raised; anything else that the format forbids
    raises BitstreamError.
    """
    version = check_preamble(data)
    first, second = _front(data)
    index = read_index(payload_of(data, first))
    header = read_header(payload_of(data, second))
    if header.shape.version != version[0]:
        raise BitstreamError(f"chunk HEAD: its refinement is not that of format version {version[0]}")
    if index.keys[-1] >= header.end:
        raise BitstreamError("chunk INDX: slices beyond the positions")
    begin = index.levels[0][0]
    file_bytes = index.levels[-1][0] + index.levels[-1][1]
    if begin < second.end:
        raise BitstreamError("index and chunk headers disagree: level 1 begins before the header ends")
    if len(data) > file_bytes:
        raise BitstreamError(f"{len(data) - file_bytes} bytes follow the end of the stream")

    found = _Levels(*_walk(data, second.end, begin, 0, ()), {})
    levels = tuple(found.take(data, index, level) for level in range(1, len(index.levels) + 1))
    sizes = {(0, "index"): first.end, (0, "header"): second.end - first.end}
    return StreamInfo(
        version=version,
        size=len(data),
        file_bytes=file_bytes,
        header=header,
        levels=levels,
        whole_levels=sum(level.whole for level in levels),
        slice_keys=index.keys,
        chunks=(first, second, *found.chunks),
        slices=tuple(found.slices.values()),
        component_bytes=sizes | _account(found.chunks, found.slices),
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
