"""Fields of fixed and of variable length in a stream's chunks."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from gspc.errors import BitstreamError
from gspc.format import limits


def unpack(form: str, data: bytes, offset: int, what: str) -> tuple[Any, ...]:
    """Fields of `form` (as `struct` has them) at `offset`; `what` names the chunk in BitstreamError."""
    if len(data) - offset < struct.calcsize(form):
        raise BitstreamError(f"{what}: shorter than its contents")
    return struct.unpack_from(form, data, offset)


def varint(payload: bytes, at: int, what: str) -> tuple[int, int]:
    """The number at `at`, seven bits a byte, least significant first, and where the next field begins."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(payload):
            raise BitstreamError(f"{what}: shorter than its contents")
        byte = payload[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (byte == 0 and shift) or value > 0xFFFFFFFF:
                break
            return value, at
    raise BitstreamError(f"{what}: malformed number")


def chunk_bytes(tag: str, level: int, slice_: int | None, payload: bytes) -> bytes:
    """A chunk: its header with both checksums, and its payload."""
    place = limits.NO_SLICE if slice_ is None else slice_
    fields = struct.pack(
        "<4sBBHIII", tag.encode("latin-1"), level, 0, 0, place, len(payload), zlib.crc32(payload)
    )
    return fields + struct.pack("<I", zlib.crc32(fields)) + payload
