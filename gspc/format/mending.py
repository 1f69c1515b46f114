"""Bytes that a CRC-32 puts right: one wrong byte in a piece of data is found from the checksum alone.

A CRC is linear: what it is off by says which byte is wrong and by what, or that more than one is.
"""

from __future__ import annotations

import zlib


def _table() -> list[int]:
    found = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        found.append(value)
    return found


TABLE = _table()
BYTE_OF = {entry: value for value, entry in enumerate(TABLE)}
BY_TOP = {entry >> 24: value for value, entry in enumerate(TABLE)}


def mended(data: bytes, crc: int) -> bytes | None:
    """The data whose CRC-32 is `crc` that differs from `data` in one byte at most, or None.

    Damage of more bytes is taken for that of one with a chance of bytes * 255 / 2^32.
    """
    state = zlib.crc32(data) ^ crc
    if state == 0:
        return data
    for at in range(len(data) - 1, -1, -1):
        if (wrong := BYTE_OF.get(state)) is not None:
            return data[:at] + bytes([data[at] ^ wrong]) + data[at + 1 :]
        entry = BY_TOP[state >> 24]  # one byte back, as if a zero had followed
        state = (state ^ TABLE[entry]) << 8 & 0xFFFFFFFF | entry
    return None


def mended_with_check(data: bytes) -> bytes | None:
    """Data that its own CRC-32 follows, without that. The one wrong byte may be of the checksum, too."""
    content, check = data[:-4], int.from_bytes(data[-4:], "little")
    off = (zlib.crc32(content) ^ check).to_bytes(4, "little")
    return content if sum(byte != 0 for byte in off) <= 1 else mended(content, check)
