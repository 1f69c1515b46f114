"""What single anchors cost: the code lengths that a stream's integer tables promise, symbol by symbol.

The readable decoder walks the stream, with the core's lanes, positions and masks in place of its own slow
ones. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc import _codec
from gspc.codec.recode import coder_of, recode
from gspc.codec.stream import decode_symbols
from gspc.errors import BitstreamError
from gspc.format import HeaderInfo, StreamInfo, describe, limits
from gspc.format.scene import F32, F64, I16, I32, U8, Symbols
from gspc.reference import mixtures
from gspc.reference import slice as reference
from gspc.reference.decode import read_model
from gspc.reference.parameters import grid_spec, read_grid

TABLE_BITS = 14
ATTRIBUTES = ("features", "scaling", "offsets", "refined_features", "refined_scaling", "refined_offsets")
NEW, REFINED = slice(0, 3), slice(3, 6)


@dataclass(frozen=True)
class AnchorCosts:
    """Bits of the symbols of each anchor at each level (not of positions, masks and escaped magnitudes)."""

    positions: I32  # [N, 3] voxels
    first_level: U8  # [N] the level at which an anchor appears
    bits: F32  # [S, N, 6] by level and ATTRIBUTES; 0 before an anchor appears
    origin: tuple[float, float, float]
    voxel_size: float

    @property
    def world(self) -> F64:  # [N, 3]
        """Anchors in world space."""
        return self.positions * self.voxel_size + np.array(self.origin)


def anchor_costs(data: bytes, *, threads: int = 0, max_memory: int = limits.MAX_MEMORY) -> AnchorCosts:
    """The bits of every anchor of a stream's whole levels.

    Takes two seconds, and another one for every 20,000 anchors. Raises BitstreamError for a damaged
    stream.
    """
    symbols = decode_symbols(data, threads=threads, max_memory=max_memory)  # checks all that follows
    if coder_of(data) != "lanes":
        data = recode(data, "lanes", max_memory=max_memory)
    info = describe(data)
    model = read_model(data, info, symbols.level)
    keys = np.asarray(_codec.morton_keys(symbols.positions), dtype=np.uint64)
    ends = (*info.slice_keys[1:], 1 << (3 * model.header.position_bits))
    first = _first_levels(symbols)
    bits = np.zeros((symbols.level, len(keys), len(ATTRIBUTES)), dtype=np.float32)
    at = 0
    for number, (low, high) in enumerate(zip(info.slice_keys, ends, strict=True)):
        count = int(((keys >= np.uint64(low)) & (keys < np.uint64(high))).sum())
        rows = slice(at, at + count)
        slice_ = _Slice(number, (low, high), keys[rows], symbols.gaussian_level[rows], first[rows])
        _walk(data, info, model, slice_, symbols.level, bits[:, rows])
        at += count
    header = info.header
    return AnchorCosts(symbols.positions, first, bits, header.origin, header.voxel_size)


def plane_entropies(data: bytes, info: StreamInfo) -> list[float]:
    """Bits of each plane of the grid: the entropy of its signs, feature by feature, given the two entries
    before, which the grid's adaptive models approach."""
    chunk = next(chunk for chunk in info.chunks if chunk.tag == "GRID")
    start = chunk.offset + limits.CHUNK_HEADER_BYTES
    signs = read_grid(data[start : start + chunk.length], grid_spec(info.header))
    found = []
    for plane in signs:
        padded = np.concatenate([np.zeros((2, 4), dtype=np.int64), plane.astype(np.int64)])
        group = 4 * np.arange(4) + 2 * padded[1:-1] + padded[:-2]  # [entries, 4] feature and context
        total = np.bincount(group.reshape(-1), minlength=16).astype(np.float64)
        ones = np.bincount(group.reshape(-1), weights=plane.reshape(-1), minlength=16)
        found.append(float(sum(_entropy(one, all_) for one, all_ in zip(ones, total, strict=True))))
    return found


def _entropy(ones: float, total: float) -> float:
    return -sum(part * np.log2(part / total) for part in (ones, total - ones) if part > 0)


def _first_levels(symbols: Symbols) -> U8:
    return np.where(symbols.gaussian_level == 0, 255, symbols.gaussian_level).min(axis=1).astype(np.uint8)


# ---- one slice ----


@dataclass(frozen=True)
class _Slice:
    """A slice and what decoding it has shown: keys, masks and levels in order of appearance."""

    number: int
    interval: tuple[int, int]
    keys: NDArray[np.uint64]
    gaussian_level: U8  # [n, K]
    first: U8  # [n]


def _walk(
    data: bytes, info: StreamInfo, model: reference.Model, slice_: _Slice, levels: int, bits: F32
) -> None:
    """Fills bits [S, n, 6] of one slice."""
    places = {(place.level, place.slice): place for place in info.slices}
    chunks = {(chunk.level, chunk.slice): chunk for chunk in info.chunks if chunk.tag == "SLIC"}
    state = reference.SliceState.empty(model)
    for level in range(1, levels + 1):
        if (level, slice_.number) not in chunks:
            continue
        chunk, place = chunks[level, slice_.number], places[level, slice_.number]
        old = len(state.keys)
        parts: Any = reference.slice_parts(data, chunk, place)
        lanes = parts.lanes = MeteredLanes(parts.lanes.data)
        parts.masks = _KnownMasks(slice_, level, old)

        def fresh_keys(*_: Any, begin: int = old, count: int = place.anchors) -> NDArray[np.uint64]:
            return slice_.keys[begin : begin + count]

        reference.decode_slice_level(
            model, state, parts, level, slice_.interval, place.anchors, positions=fresh_keys
        )
        _assign(
            lanes.runs, info.header, slice_.gaussian_level[: len(state.keys)], old, level, bits[level - 1]
        )


def _assign(runs: list[F64], header: HeaderInfo, gaussian_level: U8, old: int, level: int, bits: F32) -> None:
    """Adds the symbols' bits, in coding order (pcgs(5), SLICES), to their anchors' [n, 6]."""
    coded = np.concatenate([*runs, np.zeros(0)])
    at = 0

    def take(column: str, rows: NDArray[np.int64], width: int) -> None:
        nonlocal at
        run = coded[at : at + len(rows) * width].reshape(len(rows), width)
        at += run.size
        np.add.at(bits[:, ATTRIBUTES.index(column)], rows, run.sum(axis=1).astype(np.float32))

    before, fresh = np.arange(old), np.arange(old, len(gaussian_level))
    if old and level <= (header.refined >> 4 or level):
        if header.refined & 1:
            take("refined_features", before, header.features)
        if header.refined & 2:
            take("refined_scaling", before, header.scales)
        if header.refined & 4:
            there = (gaussian_level > 0) & (gaussian_level < level)
            take("refined_offsets", np.nonzero(there)[0], 3)
    for begin, end in mixtures.chunk_bounds(header.features, max(header.chunks, 1)):
        take("features", fresh, end - begin)
    take("scaling", fresh, header.scales)
    take("offsets", np.nonzero(gaussian_level == level)[0], 3)
    if at != len(coded):
        raise BitstreamError("the lanes hold other symbols than the format says")


class _KnownMasks:
    """Stands for the decoder of mask bits and answers from masks that are known, in coding order."""

    def __init__(self, slice_: _Slice, level: int, old: int) -> None:
        self._answers = self._in_order(slice_, level, old)

    def bit(self, model: object) -> int:
        return next(self._answers)

    def check_end(self, what: str) -> None:
        if next(self._answers, None) is not None:
            raise BitstreamError(f"{what} do not end where they should")

    @staticmethod
    def _in_order(slice_: _Slice, level: int, old: int) -> Iterator[int]:
        fresh = int((slice_.first[old:] == level).sum())
        masks = slice_.gaussian_level[: old + fresh]
        asked = np.ones(masks.shape, dtype=np.bool_)
        asked[:old] = (masks[:old] == 0) | (masks[:old] >= level)
        appears = masks == level
        # Of a fresh anchor the last one is certain when none before it appeared.
        asked[old:, -1] = appears[old:, :-1].any(axis=1)
        return iter(appears[asked].tolist())


# ---- code lengths ----


@cache
def _gaussian_lengths() -> tuple[F64, I32]:
    """Bits of every slot of all Gaussian tables in a row [total], and where each table starts [129]."""
    lengths = [TABLE_BITS - np.log2(np.asarray(_codec.gaussian_frequencies(i))) for i in range(128)]
    return np.concatenate(lengths), np.cumsum([0, *map(len, lengths)]).astype(np.int32)


@cache
def _trit_lengths() -> F64:
    """Bits of -1, 0 and 1 in every trit table [4096, 3]."""
    return TABLE_BITS - np.log2(np.asarray(_codec.trit_frequencies(), dtype=np.float64).reshape(-1, 3))


def mixture_lengths(run: tuple[U8, U8, I16, I16, U8], symbols: I32, escaped: NDArray[np.integer]) -> F64:
    """Bits of symbols [n] under two-component mixtures (pcgs(5), MIXTURES)."""
    s0, s1, m0, m1, weight = (np.asarray(values).astype(np.int64) for values in run)
    reach = mixtures.REACH
    low = np.minimum((m0 - reach[s0]) // 16, (m1 - reach[s1]) // 16)
    high = np.maximum((m0 + reach[s0] + 15) // 16, (m1 + reach[s1] + 15) // 16)
    high = np.minimum(high, low + 4095)
    end = (1 << TABLE_BITS) - 1

    def first(k: NDArray[np.int64]) -> NDArray[np.int64]:
        x = 16 * k - 8
        total = (256 - weight) * mixtures.normal_cdf(x - m0, s0) + weight * mixtures.normal_cdf(x - m1, s1)
        inside = k - low + ((total >> 6) * (end - (high - low + 1)) >> 18)
        return np.where(k <= low, 0, np.where(k > high, end, inside))

    k = np.clip(symbols.astype(np.int64), low, high)
    frequency = first(k + 1) - first(k)
    frequency[escaped] = 1
    return TABLE_BITS - np.log2(frequency)


class MeteredLanes:
    """The core's lanes, asked like `reference.rans.Decoder`, that keep the bits of every symbol, a run at a
    time, in `runs`."""

    def __init__(self, data: bytes) -> None:
        self._lanes = _codec.RansDecoder(data)
        self.runs: list[F64] = []

    def gaussian(self, tables: NDArray[Any]) -> tuple[I32, Any]:
        tables = np.ascontiguousarray(tables, dtype=np.uint8)
        symbols, escaped = self._lanes.gaussian(tables)
        lengths, starts = _gaussian_lengths()
        order = np.where(symbols >= 0, 2 * symbols, -2 * symbols - 1)
        order[escaped] = (starts[tables[escaped] + 1] - starts[tables[escaped]]) - 1
        self.runs.append(lengths[starts[tables] + order])
        return symbols, escaped

    def trits(self, tables: NDArray[Any]) -> NDArray[np.int8]:
        tables = np.ascontiguousarray(tables, dtype=np.uint16)
        trits = self._lanes.trits(tables)
        self.runs.append(_trit_lengths()[tables, trits.astype(np.int64) + 1])
        return trits

    def mixture(self, s0: U8, s1: U8, m0: I16, m1: I16, weight: U8) -> tuple[I32, Any]:
        symbols, escaped = self._lanes.mixture(s0, s1, m0, m1, weight)
        self.runs.append(mixture_lengths((s0, s1, m0, m1, weight), symbols, escaped))
        return symbols, escaped

    def finished(self) -> bool:
        return bool(self._lanes.finished())
