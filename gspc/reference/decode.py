"""The slow, readable decoder: numpy and plain Python, written from pcgs(5), to hold the C++ core against.

Everything between the container and the symbols is here or in reference_*.py; only the pinned tables and
priors come from the core.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gspc.errors import BitstreamError
from gspc.format import StreamInfo, check, limits
from gspc.format.scene import F32, I32, Bool, QuantizedHeads, Symbols
from gspc.reference import networks as nets
from gspc.reference.parameters import NetworkReader, grid_spec, read_grid, read_heads
from gspc.reference.slice import Model, SliceState, decode_slice_level, slice_parts

HASH_FACTOR = 0x9E3779B97F4A7C15
MASK64 = (1 << 64) - 1


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
    return Model(header, grid, signs, reader.networks(), heads)


def pool_features(model: Model, positions: I32) -> F32:
    """f_c [N, P] of a stream with a pool, from positions [N, 3] alone."""
    assert model.networks.pool is not None
    return nets.pool_features(model.networks.pool, model.context(positions, model.pool_planes))


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
    ends = (*info.slice_keys[1:], 1 << (3 * model.header.position_bits))
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
