"""Parity chunks: what puts right the bytes of a level, or of what comes before the first one, when some are
wrong (pcgs(5), pari).

One chunk for each stands before the slices, where readers of parts of a file do not stumble over it. It has
two sections: the bytes before it, which every slice needs, and the slices behind it. They are apart so that
a slice with more damage than can be put right does not take the others' parameters with it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gspc.format import limits
from gspc.format.container import StreamInfo, check, describe
from gspc.format.fields import chunk_bytes
from gspc.format.reed_solomon import MAX_CHECKS, Symbols, checks_of, corrections, most_symbols

TAG = "pari"
HEADER = limits.CHUNK_HEADER_BYTES
FIELDS = struct.Struct("<IHHIHH")  # bytes, checks and codewords of both sections
MOST_BYTES = 0xFFFFFFFF  # of a section; what is longer goes without

# A section has as few codewords as hold it, for errors spread evenly over many symbols, and a check for so
# many symbols, so that half as many may be wrong; small sections have the fewest checks that are worth it.
SYMBOLS_PER_CHECK = 300
FEWEST_CHECKS, MOST_CHECKS = 16, 128


class Section(NamedTuple):
    """Bytes that codewords in turn take two of, and the checks of each codeword."""

    size: int
    checks: int
    codewords: int

    @property
    def length(self) -> int:
        """Bytes that its checks take."""
        return 2 * self.checks * self.codewords

    @property
    def rows(self) -> int:
        """Symbols of each codeword."""
        return -(-self.size // (2 * self.codewords)) if self.codewords else 0

    @property
    def possible(self) -> bool:
        """Whether a stream may have it."""
        if not self.size:
            return not self.checks and not self.codewords
        sized = 2 <= self.checks <= MAX_CHECKS and self.checks & (self.checks - 1) == 0
        return sized and self.codewords > 0 and self.rows <= most_symbols(self.checks)


NOTHING = Section(0, 0, 0)


def section_of(size: int) -> Section:
    """The section that is written for so many bytes."""
    if not 0 < size <= MOST_BYTES:
        return NOTHING
    symbols = -(-size // 2)
    codewords = -(-symbols // most_symbols(MOST_CHECKS))
    each, checks = symbols // codewords, FEWEST_CHECKS
    while checks < MOST_CHECKS and each**2 > 2 * (SYMBOLS_PER_CHECK * checks) ** 2:  # nearer to the next
        checks *= 2
    return Section(size, checks, codewords)


# ---- writing ----


def has_parity(stream: StreamInfo) -> bool:
    """Whether any of its chunks is one of parity."""
    return any(chunk.tag == TAG for chunk in stream.chunks)


def with_parity(data: bytes) -> bytes:
    """The stream with parity chunks for all its bytes, in place of those that it has.

    Raises BitstreamError for a stream that is not whole.
    """
    data = without_parity(data)
    stream = describe(data)
    spans = list(_spans(stream))
    added = [HEADER + _length(*(section_of(part.stop - part.start) for part in span)) for span in spans]
    data = _indexed(data, stream, added, max(stream.version[1], limits.PARITY_MINOR))
    parts = []
    for level, (before, behind) in enumerate(spans):
        parts += [data[before], _chunk(level, data[before], data[behind]), data[behind]]
    return b"".join(parts)


def without_parity(data: bytes) -> bytes:
    """The stream without its parity chunks. Raises BitstreamError for a stream that is not whole."""
    stream = check(data)
    if not has_parity(stream):
        return data
    removed = [0] * (len(stream.levels) + 1)
    for chunk in (chunk for chunk in stream.chunks if chunk.tag == TAG):
        removed[chunk.level] -= HEADER + chunk.length
    minor = stream.version[1]
    data = _indexed(data, stream, removed, 0 if minor == limits.PARITY_MINOR else minor)
    kept = (chunk for chunk in stream.chunks if chunk.tag != TAG)
    body = (data[chunk.offset : chunk.offset + HEADER + chunk.length] for chunk in kept)
    return b"".join([data[: limits.PREAMBLE_BYTES], *body])


def refreshed(data: bytes) -> bytes:
    """A stream of which chunks were changed or left out, with parity that fits it, if it has any; one that
    is cut off keeps what it has."""
    stream = describe(data)
    return with_parity(data) if has_parity(stream) and not stream.truncated else data


def _spans(stream: StreamInfo) -> Iterator[tuple[slice, slice]]:
    """Where the bytes of both sections are, before level 1 and of each level."""
    yield slice(0, stream.levels[0].offset), slice(0, 0)
    for level in stream.levels:
        end = level.offset + level.length
        slices = (c.offset for c in stream.chunks if c.level == level.level and c.slice is not None)
        cut = min(slices, default=end)
        yield slice(level.offset, cut), slice(cut, end)


def _length(before: Section, behind: Section) -> int:
    return 2 * FIELDS.size + before.length + behind.length


def _chunk(level: int, before: bytes, behind: bytes) -> bytes:
    sections = [section_of(len(part)) for part in (before, behind)]
    fields = FIELDS.pack(*sections[0], *sections[1])
    checks = b"".join(
        checks_of(_symbols(part, section), section.checks).astype("<u2").tobytes()
        for part, section in zip((before, behind), sections, strict=True)
        if section.size
    )
    return chunk_bytes(TAG, level, None, fields + checks + fields)


def _symbols(data: bytes, section: Section) -> Symbols:  # [n, C]
    """Two bytes of data, the last one followed by zero, for each codeword in turn."""
    padded = data.ljust(2 * section.rows * section.codewords, b"\0")
    return np.frombuffer(padded, "<u2").astype(np.uint16).reshape(section.rows, section.codewords)


def _indexed(data: bytes, stream: StreamInfo, added: Sequence[int], minor: int) -> bytes:
    """The stream with the minor version and the index of one whose levels are longer by `added`, which
    begins with what is added before level 1."""
    first = stream.chunks[0]
    end = first.offset + HEADER + first.length
    payload = bytearray(data[first.offset + HEADER : end])
    shift = 0
    for number, level in enumerate(stream.levels):
        shift += added[number]
        place = 8 + 20 * number
        struct.pack_into("<QQ", payload, place, level.offset + shift, level.length + added[number + 1])
    preamble = bytearray(data[: limits.PREAMBLE_BYTES])
    preamble[9] = minor
    return bytes(preamble) + chunk_bytes(first.tag, 0, None, bytes(payload)) + data[end:]


# ---- reading ----


def repairs(data: bytes, offset: int, payload: bytes) -> Iterator[dict[int, int]]:
    """What a parity chunk, whose header is at `offset`, finds wrong in each of its sections: bytes of the
    file, and what they must be XORed with. `payload` may be damaged itself."""
    sections = _fields(payload)
    if sections is None:
        return
    before, behind = sections
    at = FIELDS.size
    for section, start in ((before, offset - before.size), (behind, offset + HEADER + len(payload))):
        if section.size and 0 <= start <= len(data) - section.size:
            checks = payload[at : at + section.length]
            yield _wrong(data[start : start + section.size], section, checks, start)
        at += section.length


def _fields(payload: bytes) -> tuple[Section, Section] | None:
    """The sections, from the beginning of a chunk or, where that is damaged, from its end."""
    if len(payload) < 2 * FIELDS.size:
        return None
    for place in (0, len(payload) - FIELDS.size):
        numbers = FIELDS.unpack_from(payload, place)
        before, behind = Section(*numbers[:3]), Section(*numbers[3:])
        if before.possible and behind.possible and _length(before, behind) == len(payload):
            return before, behind
    return None


def _wrong(data: bytes, section: Section, stored: bytes, start: int) -> dict[int, int]:
    checks = np.frombuffer(stored, "<u2").astype(np.uint16).reshape(section.checks, section.codewords)
    found: dict[int, int] = {}
    for codeword, errors in enumerate(corrections(_symbols(data, section), checks)):
        for row, value in errors.items():
            place = 2 * (row * section.codewords + codeword)
            wrong = {place + i: byte for i, byte in enumerate(value.to_bytes(2, "little")) if byte}
            found |= {start + at: byte for at, byte in wrong.items() if at < len(data)}
    return found
