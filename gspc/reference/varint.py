"""Numbers of a few bytes (pcgs(5), TERMS: varint)."""

from __future__ import annotations

from gspc.errors import BitstreamError


def read_varint(data: bytes, at: int, what: str) -> tuple[int, int]:
    """The number at byte `at`, and where the next byte is. Raises BitstreamError, which names `what`.

    >>> read_varint(bytes([0x96, 0x01]), 0, "a test")
    (150, 2)
    """
    value = 0
    for shift in range(0, 35, 7):
        if at == len(data):
            raise BitstreamError(f"{what}: cut in a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> 32 or (shift and byte == 0):
                break
            return value, at
    raise BitstreamError(f"{what}: malformed number")


def varint(value: int) -> bytes:
    """The bytes of a number.

    >>> varint(150).hex()
    '9601'
    """
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])
