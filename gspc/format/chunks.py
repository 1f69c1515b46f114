"""The frame of a `.pcgs` stream, read with the standard library alone: preamble, chunk headers and the index.

Written from pcgs(5) and independent of the C++ core.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

from gspc.errors import BitstreamError
from gspc.format import limits
from gspc.format.fields import unpack


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

    @property
    def end(self) -> int:
        """Where what follows it begins."""
        return self.offset + limits.CHUNK_HEADER_BYTES + self.length


def check_preamble(data: bytes) -> tuple[int, int]:
    """Version of the stream, major and minor. Raises BitstreamError for what cannot be read here."""
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


def read_chunk(data: bytes, offset: int) -> ChunkInfo | None:
    """The chunk at `offset`, or None when its header is cut off. Raises BitstreamError for a header that is
    damaged or malformed."""
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


def payload_of(data: bytes, chunk: ChunkInfo) -> bytes:
    """What a chunk holds, as far as it is there."""
    return data[chunk.offset + limits.CHUNK_HEADER_BYTES : chunk.end]


@dataclass(frozen=True)
class StreamIndex:
    """What the chunk INDX says."""

    levels: tuple[tuple[int, int, int], ...]  # offset, length, anchors
    keys: tuple[int, ...]
    lengths: tuple[tuple[int, ...], ...]  # [level][slice]


def read_index(payload: bytes) -> StreamIndex:
    """Parses the payload of INDX. Raises BitstreamError where it contradicts itself or the limits."""
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
    return StreamIndex(table, keys, lengths)
