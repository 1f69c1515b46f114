"""The whole way from the bytes of a stream to its integers (pcgs(5)), and their hash (SYMBOL HASH)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gspc.errors import BitstreamError
from gspc.format.container import StreamInfo, check
from gspc.format.scene import Symbols
from gspc.reference.model import Model, payload, read_model
from gspc.reference.slice import SliceState, decode_slice_level, read_parts

HASH_FACTOR = 0x9E3779B97F4A7C15
MASK64 = (1 << 64) - 1


def hash_words(start: int, values: NDArray[np.integer]) -> int:
    """start P^n + sum of values[i] P^(n - 1 - i), modulo 2^64, of values of any shape."""
    words = values.reshape(-1).astype(np.int64).view(np.uint64)
    powers = np.full(len(words) + 1, HASH_FACTOR, dtype=np.uint64)
    powers[0] = 1
    powers = np.multiply.accumulate(powers)
    total = int(np.sum(words * powers[:-1][::-1], dtype=np.uint64))
    return (start * int(powers[-1]) + total) & MASK64


def hash_state(state: SliceState) -> int:
    """Hash of one slice."""
    value = len(state.keys)
    arrays: list[NDArray] = [state.positions, state.mask, *state.symbols.values()]
    if state.selective:
        arrays.append(state.step_levels)
    for array in arrays:
        value = hash_words(value, array)
    return value


def hash_slices(states: list[SliceState]) -> int:
    """Hash of a stream."""
    total = 0
    for state in states:
        total = (total * HASH_FACTOR + hash_state(state)) & MASK64
    return total


def decode_slices(data: bytes, info: StreamInfo, model: Model, level: int) -> list[SliceState]:
    """Every slice at `level`; one that the level lacks stays at the level before."""
    chunks = {(c.level, c.slice): c for c in info.chunks if c.tag == "SLIC"}
    ends = (*info.slice_keys[1:], 1 << (3 * model.position_bits))
    states = []
    for number, interval in enumerate(zip(info.slice_keys, ends, strict=True)):
        state = SliceState.empty(model)
        for one in range(1, level + 1):
            if (one, number) in chunks:
                parts = read_parts(payload(data, chunks[one, number]))
                decode_slice_level(model, state, parts, one, interval)
        states.append(state)
    return states


def decode_reference(data: bytes, upto: int | None = None) -> tuple[Symbols, Model]:
    """All integers of a whole stream at level `upto` (default: the last), and its model.

    Raises BitstreamError for a damaged or truncated stream, and for a level that it does not have.
    """
    info = check(data)
    level = len(info.levels) if upto is None else upto
    if not 1 <= level <= len(info.levels):
        raise BitstreamError(f"level {level} was asked for, the stream has {len(info.levels)}")
    model = read_model(data, info, level)
    states = decode_slices(data, info, model, level)

    def all_of(name: str) -> NDArray:
        return np.concatenate([getattr(state, name) for state in states])

    symbols = {
        a.name: np.concatenate([state.symbols[a.name] for state in states]) for a in model.shape.attributes
    }
    return Symbols(
        level=level,
        positions=all_of("positions"),
        gaussian_level=all_of("mask"),
        features=symbols["features"],
        scaling=symbols["scaling"],
        offsets=symbols["offsets"].reshape(-1, model.shape.offsets, 3),
        means=all_of("means"),
        steps=all_of("steps"),
        step_levels=all_of("step_levels"),
        ideal_bits={},
        symbol_hash=f"{hash_slices(states):016x}",
    ), model
