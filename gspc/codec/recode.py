"""A stream with its symbols coded by another coder: everything else keeps its bytes.

The core reads and writes lanes only. Streams of the torchac extra are made from lane streams and turned back
into them, so that one core decodes, checks and measures both.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc import _codec
from gspc.codec import torchac as extra
from gspc.errors import BitstreamError
from gspc.format import ChunkInfo, SliceInfo, StreamInfo, describe, limits
from gspc.format.scene import I16, I32, U8
from gspc.format.shape import CODERS, Coder
from gspc.reference import slice as reference
from gspc.reference.binary import BinaryDecoder
from gspc.reference.decode import read_model

CODER_AT = 12  # byte of HEAD
HEADER = limits.CHUNK_HEADER_BYTES


def coder_of(data: bytes) -> Coder:
    """The coder that HEAD names. What has no legible HEAD counts as lanes: the core says what is wrong."""
    at = limits.PREAMBLE_BYTES
    if len(data) >= at + HEADER and data.startswith(limits.MAGIC):
        at += HEADER + struct.unpack_from("<I", data, at + 12)[0]
        found = data[at : at + HEADER + CODER_AT + 1]
        if len(found) > HEADER + CODER_AT and found.startswith(b"HEAD") and found[-1] == 1:
            return "torchac"
    return "lanes"


class _Lanes:
    """gspc._codec's lanes, asked like torchac's."""

    def __init__(self, data: bytes) -> None:
        self._lanes = _codec.RansDecoder(data)

    def gaussian(self, tables: U8) -> tuple[I32, Any]:
        return self._lanes.gaussian(tables)

    def trits(self, tables: NDArray[np.uint16]) -> NDArray[np.int8]:
        return self._lanes.trits(tables)

    def mixture(self, *fields: NDArray[Any]) -> tuple[I32, Any]:
        return self._lanes.mixture(*fields)

    def finished(self) -> bool:
        return self._lanes.finished()


class _Between:
    """Reads runs from one coder and writes them to another."""

    def __init__(self, data: bytes, coder: Coder) -> None:
        to_torchac = coder == "torchac"
        self._reader: Any = _Lanes(data) if to_torchac else extra.Decoder(data)
        self._writer: Any = extra.Encoder() if to_torchac else _codec.RansEncoder()

    def gaussian(self, tables: NDArray[Any]) -> tuple[I32, Any]:
        tables = np.ascontiguousarray(tables, dtype=np.uint8)
        symbols, escaped = self._reader.gaussian(tables)
        self._writer.gaussian(tables, _with_escapes(symbols, escaped))
        return symbols, escaped

    def mixture(self, s0: U8, s1: U8, m0: I16, m1: I16, weight: U8) -> tuple[I32, Any]:
        symbols, escaped = self._reader.mixture(s0, s1, m0, m1, weight)
        self._writer.mixture(s0, s1, m0, m1, weight, _with_escapes(symbols, escaped))
        return symbols, escaped

    def trits(self, tables: NDArray[Any]) -> NDArray[np.int8]:
        tables = np.ascontiguousarray(tables, dtype=np.uint16)
        trits = self._reader.trits(tables)
        self._writer.trits(tables, trits)
        return trits

    def finished(self) -> bool:
        return bool(self._reader.finished())

    def finish(self) -> bytes:
        return bytes(self._writer.finish())


def _with_escapes(symbols: I32, escaped: NDArray[Any]) -> I32:
    """The symbols as coders are given them: beyond any support where escaped."""
    coded = np.array(symbols)
    coded[escaped] = (1 << 23) - 1
    return coded


def recode(
    data: bytes, coder: Coder, *, upto: int | None = None, max_memory: int = limits.MAX_MEMORY
) -> bytes:
    """The whole levels of a stream, at most `upto`, with symbols coded by `coder`.

    The index keeps all levels. Recoding back gives the same bytes. Raises BitstreamError for a damaged stream
    or one beyond `max_memory` bytes, BackendError without torchac.
    """
    info = describe(data)
    level = info.whole_levels if upto is None else min(upto, info.whole_levels)
    if coder_of(data) == coder or level == 0:
        return data
    for chunk in info.chunks:
        if chunk.level <= level and chunk.crc_ok is False:
            raise BitstreamError(f"{chunk.name}: checksum error")
    _check_memory(info, max_memory)
    try:
        model = read_model(data, info, level)
    except (ArithmeticError, KeyError, ValueError) as error:
        raise BitstreamError(f"grid, heads or networks are missing or damaged ({error})") from None
    slices = {(s.level, s.slice): s for s in info.slices}
    chunks = {(c.level, c.slice): c for c in info.chunks if c.tag == "SLIC"}
    ends = (*info.slice_keys[1:], 1 << (3 * model.header.position_bits))
    payloads: dict[int, bytes] = {}  # by offset of the chunk
    for number, interval in enumerate(zip(info.slice_keys, ends, strict=True)):
        state = reference.SliceState.empty(model)
        for s in range(1, level + 1):
            if (s, number) in chunks:
                chunk = chunks[s, number]
                payloads[chunk.offset] = _recode_slice(
                    data, chunk, slices[s, number], coder, model, state, interval
                )
    return _assemble(data, info, level, coder, payloads)


def _recode_slice(
    data: bytes,
    chunk: ChunkInfo,
    place: SliceInfo,
    coder: Coder,
    model: reference.Model,
    state: reference.SliceState,
    interval: tuple[int, int],
) -> bytes:
    payload = data[chunk.offset + HEADER : chunk.offset + HEADER + chunk.length]
    at = reference._header_bytes(payload)
    sizes = (place.positions, place.masks, place.escapes, place.symbols)
    pieces = []
    for size in sizes:
        pieces.append(payload[at : at + size])
        at += size
    symbols = _Between(pieces[3], coder)
    parts: Any = reference.Parts(pieces[0], BinaryDecoder(pieces[1]), BinaryDecoder(pieces[2]), symbols)  # type: ignore[arg-type]
    try:
        reference.decode_slice_level(
            model, state, parts, chunk.level, interval, place.anchors, positions=_core_positions
        )
    except BitstreamError as error:
        raise BitstreamError(f"{chunk.name}: {error}") from None
    except (ArithmeticError, IndexError, ValueError) as error:
        raise BitstreamError(f"{chunk.name}: damaged ({error})") from None
    pieces[3] = symbols.finish()
    out = b"".join(extra.varint(n) for n in (place.anchors, place.gaussians, *map(len, pieces)))
    out += b"".join(pieces)
    return out.ljust(-(-place.anchors // limits.MAX_ANCHORS_PER_BYTE), b"\0")


def _core_positions(
    model: reference.Model,
    state: reference.SliceState,
    data: bytes,
    interval: tuple[int, int],
    fresh: int,
) -> NDArray[np.uint64]:
    """reference.read_positions, by the core: a hundred times as fast."""
    if fresh == 0:
        return np.zeros(0, dtype=np.uint64)
    keys = _codec.decode_positions(data, np.sort(state.keys), *interval, model.header.position_bits, fresh)
    if keys is None:
        raise BitstreamError("positions are damaged")
    return np.asarray(keys, dtype=np.uint64)


def _check_memory(info: StreamInfo, max_memory: int) -> None:
    """An estimate from above, before any is taken."""
    h = info.header
    anchors: dict[int, int] = {}
    for place in info.slices:
        anchors[place.slice] = anchors.get(place.slice, 0) + place.anchors
    values = h.features + h.scales + 3 * h.offsets
    trits = (h.trit_features_hidden, h.trit_scaling_hidden, h.trit_offsets_hidden)
    hidden = max(h.steps_hidden, h.trunk_hidden, h.chunk_hidden, *trits)
    row = 96 * values + 32 * hidden + 48 * 4 * len(h.planes)
    need = max(anchors.values(), default=0) * row + 8 * extra.MAX_ENTRIES
    if need > max_memory:
        raise BitstreamError(
            f"recoding needs about {(need >> 20) + 1} MiB of memory, the limit is {max_memory >> 20}; "
            "raise --max-memory"
        )


def _chunk(data: bytes, chunk: ChunkInfo, payload: bytes) -> bytes:
    head = bytearray(data[chunk.offset : chunk.offset + HEADER])
    struct.pack_into("<II", head, 12, len(payload), zlib.crc32(payload))
    struct.pack_into("<I", head, 20, zlib.crc32(head[:20]))
    return bytes(head) + payload


def _assemble(data: bytes, info: StreamInfo, level: int, coder: Coder, payloads: dict[int, bytes]) -> bytes:
    index_chunk, head_chunk = info.chunks[:2]

    def payload_of(chunk: ChunkInfo) -> bytes:
        return data[chunk.offset + HEADER : chunk.offset + HEADER + chunk.length]

    index = bytearray(payload_of(index_chunk))
    head = bytearray(payload_of(head_chunk))
    head[CODER_AT] = CODERS.index(coder)
    levels, slices = len(info.levels), len(info.slice_keys)
    lengths_at = 8 + 20 * levels + 8 * slices
    body = b""
    at = begin = info.levels[0].offset
    for row in info.levels:
        length = row.length
        if row.level <= level:
            parts = []
            for chunk in info.chunks:
                if chunk.level != row.level:
                    continue
                payload = payloads.get(chunk.offset, payload_of(chunk))
                parts.append(_chunk(data, chunk, payload))
                if chunk.slice is not None:
                    where = lengths_at + 4 * (slices * (row.level - 1) + chunk.slice)
                    struct.pack_into("<I", index, where, len(payload))
            body += b"".join(parts)
            length = sum(map(len, parts))
        struct.pack_into("<QQ", index, 8 + 20 * (row.level - 1), at, length)
        at += length
    front = data[head_chunk.offset + HEADER + head_chunk.length : begin]
    return b"".join(
        [
            data[: limits.PREAMBLE_BYTES],
            _chunk(data, index_chunk, bytes(index)),
            _chunk(data, head_chunk, bytes(head)),
            front,
            body,
        ]
    )
