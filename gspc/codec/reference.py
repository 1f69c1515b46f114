"""The slow, readable decoder: numpy and plain Python, written from pcgs(5), to hold the C++ core against.

Everything between the container and the symbols is here or in reference_*.py; only the pinned tables and
priors come from the core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gspc import _codec
from gspc.bitstream import ChunkInfo, SliceInfo, StreamInfo, check, limits
from gspc.codec import reference_networks as nets
from gspc.codec.reference_binary import BinaryDecoder, ExpGolombModel, models
from gspc.codec.reference_parameters import NetworkReader, grid_spec, read_grid, read_heads
from gspc.codec.reference_positions import decode_positions
from gspc.codec.reference_rans import Decoder as LaneDecoder
from gspc.codec.types import I32, U8, Bool, Networks, QuantizedHeads, Symbols
from gspc.errors import BitstreamError
from gspc.model.grid_spec import GridSpec

U64 = NDArray[np.uint64]
HASH_FACTOR = 0x9E3779B97F4A7C15
MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Model:
    """What tables are computed from."""

    features: int
    offsets: int
    position_bits: int
    grid: GridSpec
    grid_signs: tuple[Bool, ...]
    networks: Networks
    heads: QuantizedHeads


@dataclass
class SliceState:
    """Anchors of one slice in order of appearance."""

    keys: U64
    positions: I32  # [n, 3]
    mask: U8  # [n, K]
    context: NDArray[np.int64]  # [n, C]
    means: I32  # [n, F + 6 + 3K]
    steps: U8  # [n, 3]
    offset_tables: U8  # [n, 3K]
    features: I32  # [n, F]
    scaling: I32  # [n, 6]
    offsets: I32  # [n, K, 3]

    @staticmethod
    def empty(model: Model) -> SliceState:
        f, k, c = model.features, model.offsets, model.grid.context_size

        def zeros(dtype: type, *shape: int) -> NDArray:
            return np.zeros((0, *shape), dtype=dtype)

        return SliceState(
            keys=zeros(np.uint64),
            positions=zeros(np.int32, 3),
            mask=zeros(np.uint8, k),
            context=zeros(np.int64, c),
            means=zeros(np.int32, f + 6 + 3 * k),
            steps=zeros(np.uint8, 3),
            offset_tables=zeros(np.uint8, 3 * k),
            features=zeros(np.int32, f),
            scaling=zeros(np.int32, 6),
            offsets=zeros(np.int32, k, 3),
        )


@dataclass
class Parts:
    """The coders of one slice and level."""

    positions: bytes
    masks: BinaryDecoder
    escapes: BinaryDecoder
    lanes: LaneDecoder
    escape_model: ExpGolombModel = field(default_factory=ExpGolombModel)


def read_masks(coder: BinaryDecoder, mask: U8, old: int, level: int) -> None:
    """Fills in which Gaussians appear: of older anchors, then of the fresh ones, which have one at least."""
    k_count = mask.shape[1]
    # Older anchors: by slot, how many appear before it, how many were alive. Fresh: by slot, how many are
    # alive before it, whether the slot is alive in the anchor before.
    older = [[models(4) for _ in range(4)] for _ in range(k_count)]
    fresh = [[models(2) for _ in range(8)] for _ in range(k_count)]
    for n in range(old):
        before, now = int(np.count_nonzero(mask[n])), 0
        for k in range(k_count):
            if not mask[n, k] and coder.bit(older[k][min(now, 3)][4 * before // (k_count + 1)]):
                mask[n, k] = level
                now += 1
    for n in range(old, len(mask)):
        now = 0
        for k in range(k_count):
            last = int(n > old and mask[n - 1, k] != 0)
            certain = now == 0 and k == k_count - 1
            if certain or coder.bit(fresh[k][min(now, 7)][last]):
                mask[n, k] = level
                now += 1


def read_gaussian(parts: Parts, tables: U8) -> I32:
    """A run of Gaussian symbols, shaped like its tables, with its escapes."""
    flat = tables.reshape(-1)
    symbols, escaped = parts.lanes.gaussian(flat)
    for i in escaped:
        negative = parts.escapes.digits(1)
        magnitude = _codec.gaussian_support(int(flat[i])) + 1 + parts.escapes.number(parts.escape_model)
        if magnitude >= 1 << 23:
            raise BitstreamError("an escaped symbol is beyond 23 bits")
        symbols[i] = -magnitude if negative else magnitude
    return np.array(symbols, dtype=np.int32).reshape(tables.shape)


def read_positions(
    model: Model, state: SliceState, data: bytes, interval: tuple[int, int], fresh: int
) -> U64:
    """Sorted Morton keys of the fresh anchors."""
    known = np.sort(state.keys).tolist()
    priors = _codec.position_priors()
    return np.array(
        decode_positions(data, known, interval, model.position_bits, fresh, priors), dtype=np.uint64
    )


PositionReader = Callable[[Model, SliceState, bytes, tuple[int, int], int], U64]


def append_anchors(model: Model, state: SliceState, keys: U64) -> None:
    """Room for fresh anchors, with what their position alone predicts."""
    positions = np.asarray(_codec.morton_positions(keys), dtype=np.int32)
    context = nets.grid_context(positions, model.grid, model.grid_signs)
    steps = nets.step_indices(model.networks, context)
    means, offset_tables = nets.centers(model.networks, context, steps)
    new: dict[str, np.ndarray] = {
        "keys": keys,
        "positions": positions,
        "context": context,
        "steps": steps,
        "means": means,
    }
    new["offset_tables"] = offset_tables
    for name, values in vars(state).items():
        shape = (len(keys), *values.shape[1:])
        rows = new.get(name, np.zeros(shape, dtype=values.dtype))
        setattr(state, name, np.concatenate([values, rows.reshape(shape).astype(values.dtype)]))


def decode_slice_level(
    model: Model,
    state: SliceState,
    parts: Parts,
    level: int,
    interval: tuple[int, int],
    fresh: int,
    *,
    positions: PositionReader = read_positions,
) -> None:
    """One level of one slice, in coding order."""
    old = len(state.keys)
    append_anchors(model, state, positions(model, state, parts.positions, interval, fresh))
    read_masks(parts.masks, state.mask, old, level)
    networks = model.networks
    if old:
        tables = []
        for network, k, step in (
            (networks.trit_features, state.features, 0),
            (networks.trit_scaling, state.scaling, 1),
        ):
            assert network is not None
            context, steps = state.context[:old], state.steps[:old, step]
            tables.append(nets.trit_tables(network, context, k[:old], steps, level))
        for k, table in zip((state.features, state.scaling), tables, strict=True):
            trits = parts.lanes.trits(table.reshape(-1))
            k[:old] = 3 * k[:old] + np.array(trits, dtype=np.int32).reshape(table.shape)
            if np.abs(k[:old]).max(initial=0) >= 1 << 23:
                raise BitstreamError("a refined symbol is beyond 23 bits")
    features, scaling = nets.first_tables(networks, state.context[old:], state.steps[old:], level)
    state.features[old:] = read_gaussian(parts, features)
    state.scaling[old:] = read_gaussian(parts, scaling)
    appearing = state.mask == level
    tables_3 = state.offset_tables.reshape(state.offsets.shape)
    state.offsets[appearing] = read_gaussian(parts, tables_3[appearing])
    parts.masks.check_end("masks")
    parts.escapes.check_end("escapes")
    if not parts.lanes.finished():
        raise BitstreamError("the lanes do not end where their symbols do")


def slice_parts(data: bytes, chunk: ChunkInfo, info: SliceInfo) -> Parts:
    """The four byte strings of a slice's payload."""
    at = chunk.offset + limits.CHUNK_HEADER_BYTES
    payload = data[at : at + chunk.length]
    sizes = (info.positions, info.masks, info.escapes, info.symbols)
    at = _header_bytes(payload)
    pieces = []
    for size in sizes:
        pieces.append(payload[at : at + size])
        at += size
    return Parts(pieces[0], BinaryDecoder(pieces[1]), BinaryDecoder(pieces[2]), LaneDecoder(pieces[3]))


def _header_bytes(payload: bytes) -> int:
    """Length of the six numbers at the start of a slice."""
    at = 0
    for _ in range(6):
        while payload[at] >= 0x80:
            at += 1
        at += 1
    return at


def read_model(data: bytes, info: StreamInfo, level: int) -> Model:
    """Everything that is not in slices, up to `level`."""
    header = info.header
    grid = grid_spec(header)
    reader = NetworkReader(header)
    signs: tuple[Bool, ...] = ()
    heads: QuantizedHeads | None = None
    for chunk in info.chunks:
        if chunk.level > level:
            continue
        start = chunk.offset + limits.CHUNK_HEADER_BYTES
        payload = data[start : start + chunk.length]
        if chunk.tag == "GRID":
            signs = read_grid(payload, grid)
        elif chunk.tag == "GHED":
            heads = read_heads(payload, header)
        elif chunk.tag == "NETS":
            reader.add_level(payload, chunk.level)
    if heads is None:
        raise BitstreamError("the stream has no heads")
    return Model(header.features, header.offsets, header.position_bits, grid, signs, reader.networks(), heads)


def hash_words(start: int, values: NDArray) -> int:
    """start * P^n + sum of value_i * P^(n - 1 - i), modulo 2^64."""
    words = values.reshape(-1).astype(np.int64).view(np.uint64)
    powers = np.full(len(words) + 1, HASH_FACTOR, dtype=np.uint64)
    powers[0] = 1
    powers = np.multiply.accumulate(powers)
    total = int(np.sum(words * powers[:-1][::-1], dtype=np.uint64))
    return (start * int(powers[-1]) + total) & MASK64


def hash_state(state: SliceState) -> int:
    """Hash of one slice."""
    value = len(state.keys)
    for array in (state.positions, state.mask, state.features, state.scaling, state.offsets):
        value = hash_words(value, array)
    return value


def decode_reference(data: bytes, upto: int | None = None) -> tuple[Symbols, Model]:
    """All integers of a whole stream at level `upto` (default: the last), and its model."""
    info = check(data)
    level = len(info.levels) if upto is None else upto
    if not 1 <= level <= len(info.levels):
        raise BitstreamError(f"level {level} was asked for, the stream has {len(info.levels)}")
    model = read_model(data, info, level)
    by_place = {(s.level, s.slice): s for s in info.slices}
    chunks = {(c.level, c.slice): c for c in info.chunks if c.tag == "SLIC"}
    ends = (*info.slice_keys[1:], 1 << (3 * model.position_bits))
    states = []
    total = 0
    for number, interval in enumerate(zip(info.slice_keys, ends, strict=True)):
        state = SliceState.empty(model)
        for s in range(1, level + 1):
            if (s, number) in chunks:
                place = by_place[s, number]
                parts = slice_parts(data, chunks[s, number], place)
                decode_slice_level(model, state, parts, s, interval, place.anchors)
        total = (total * HASH_FACTOR + hash_state(state)) & MASK64
        states.append(state)

    def all_of(name: str) -> NDArray:
        return np.concatenate([getattr(state, name) for state in states])

    symbols = Symbols(
        level=level,
        positions=all_of("positions"),
        gaussian_level=all_of("mask"),
        features=all_of("features"),
        scaling=all_of("scaling"),
        offsets=all_of("offsets"),
        means=all_of("means"),
        steps=all_of("steps"),
        ideal_bits={},
        symbol_hash=f"{total:016x}",
    )
    return symbols, model
