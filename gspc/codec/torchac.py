"""Symbols coded by torchac, a reference coder that users may install as an extra (it is GPL).

Same tables, same symbols, same runs as the lanes; pcgs(5) has the layout. torchac gets the pinned integer
frequencies times 4 (it counts in 2^16), so nothing here depends on floating point. It compiles itself when it
is first imported, which is why it is imported as late as possible.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc import _codec
from gspc.errors import BackendError
from gspc.format.scene import I16, I32, U8

U16 = NDArray[np.uint16]
Index = NDArray[np.int64]
Rows = Callable[[Index], NDArray[np.int16]]
MixtureFields = tuple[U8, U8, I16, I16, U8]  # scale indices, means in 1/16 steps, the second's share of 256
MAX_ENTRIES = 1 << 25  # table entries handed over in one call, 2 bytes each
MISSING = "the stream's coder torchac is not installed; pip install 'gspc[torchac]'"


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """torchac's build talks on file descriptor 1, where a stream may be going."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@cache
def load() -> tuple[Any, Any]:
    """The modules torchac and torch. Raises BackendError where torchac is missing or does not build."""
    try:
        with _stdout_to_stderr():
            import torch
            import torchac
    except ImportError as error:
        raise BackendError(f"{MISSING} ({error})") from None
    except (OSError, RuntimeError) as error:
        first = str(error).partition("\n")[0]
        raise BackendError(
            f"torchac does not build here; it needs ninja and a C++ compiler ({first})"
        ) from None
    return torchac, torch


@cache
def _cumulative(kind: str, table: int) -> U16:
    """[slots + 1]: first slot of each symbol times 4; the 2^16 at the end is 0, as torchac has it."""
    if kind == "gaussian":
        frequencies = np.asarray(_codec.gaussian_frequencies(table))
    else:
        frequencies = _trit_frequencies()[table]
    sums = np.concatenate([[0], np.cumsum(frequencies, dtype=np.int64)]) * 4
    return (sums & 0xFFFF).astype(np.uint16)


@cache
def _trit_frequencies() -> NDArray[Any]:
    return np.asarray(_codec.trit_frequencies()).reshape(-1, 3)


def memory(symbols: int) -> int:
    """Bytes that coding a run of so many symbols takes at most: its arrays, and the tables of one call."""
    return 96 * symbols + 8 * MAX_ENTRIES


@cache
def _slots() -> Index:
    """Slots of each Gaussian table: 2R + 2, the last one's is the escape."""
    return np.array([2 * _codec.gaussian_support(table) + 2 for table in range(128)], dtype=np.int64)


def batches(slots: Index) -> Iterator[Index]:
    """Which symbols of a run each call codes, from how many slots [n] their tables have: those with equally
    many, fewest first, in their order."""
    order = np.argsort(slots, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(slots[order])) + 1):
        if len(group):
            most = MAX_ENTRIES // (int(slots[group[0]]) + 1)
            for at in range(0, len(group), most):
                yield group[at : at + most]


def _rows(kind: str, tables: NDArray[Any]) -> NDArray[np.int16]:
    """[n, slots + 1], a row for each symbol, in the type torchac wants."""
    used, which = np.unique(tables, return_inverse=True)
    return np.stack([_cumulative(kind, int(table)) for table in used])[which].view(np.int16)


def _mixture_rows(fields: MixtureFields) -> Rows:
    """As `_rows`, of symbols of a run with equally many slots (pcgs(5), MIXTURES)."""

    def rows(batch: Index) -> NDArray[np.int16]:
        scale0, scale1, mean0, mean1, weight = fields
        first = _codec.mixture_slots(scale0[batch], scale1[batch], mean0[batch], mean1[batch], weight[batch])
        return np.left_shift(first, 2, dtype=np.uint16).view(np.int16)

    return rows


class Encoder:
    """Codes runs as they come. Takes what gspc._codec.RansEncoder takes."""

    def __init__(self) -> None:
        self._torchac, self._torch = load()
        self._out = bytearray()

    def gaussian(self, tables: U8, symbols: I32) -> None:
        """A run of symbols [n] under Gaussian tables [n]; those beyond their table become the escape."""
        slots = _slots()[tables]
        order = np.where(symbols >= 0, 2 * symbols, -2 * symbols - 1)
        self._run(lambda batch: _rows("gaussian", tables[batch]), slots, np.minimum(order, slots - 1))

    def trits(self, tables: U16, trits: NDArray[np.int8]) -> None:
        """A run of trits [n] under trit tables [n]."""
        slots = np.full(len(tables), 3)
        self._run(lambda batch: _rows("trit", tables[batch]), slots, trits.astype(np.int64) + 1)

    def mixture(self, scale0: U8, scale1: U8, mean0: I16, mean1: I16, weight: U8, symbols: I32) -> None:
        """A run of symbols [n] under mixtures, all [n], as gaussian."""
        fields = (scale0, scale1, mean0, mean1, weight)
        low, high = (bound.astype(np.int64) for bound in _codec.mixture_bounds(*fields))
        inside = (symbols >= low) & (symbols <= high)
        self._run(_mixture_rows(fields), high - low + 2, np.where(inside, symbols, high + 1) - low)

    def finish(self) -> bytes:
        """All runs so far."""
        return bytes(self._out)

    def _run(self, rows_of: Rows, slots: Index, order: Index) -> None:
        for batch in batches(slots):
            rows = self._torch.from_numpy(rows_of(batch))
            symbols = self._torch.from_numpy(order[batch].astype(np.int16))
            data = self._torchac.encode_int16_normalized_cdf(rows, symbols)
            self._out += varint(len(data)) + data


class Decoder:
    """Decodes runs in the order they were coded in.

    Raises _codec.StreamError, the core's own, for damaged bytes: the core adds which chunk they are in.
    """

    def __init__(self, data: bytes) -> None:
        self._torchac, self._torch = load()
        self._data = data
        self._at = 0

    def gaussian(self, tables: U8) -> tuple[I32, Index]:
        """The symbols [n] of a run, 0 for escaped ones, and the indices of those."""
        slots = _slots()[tables]
        order = self._run(lambda batch: _rows("gaussian", tables[batch]), slots)
        escaped = np.flatnonzero(order == slots - 1)
        symbols = np.where(order % 2 == 1, -(order + 1) // 2, order // 2).astype(np.int32)
        symbols[escaped] = 0
        return symbols, escaped

    def trits(self, tables: U16) -> NDArray[np.int8]:
        """The trits [n] of a run."""
        order = self._run(lambda batch: _rows("trit", tables[batch]), np.full(len(tables), 3))
        return (order - 1).astype(np.int8)

    def mixture(self, scale0: U8, scale1: U8, mean0: I16, mean1: I16, weight: U8) -> tuple[I32, Index]:
        """As gaussian, under mixtures, all [n]."""
        fields = (scale0, scale1, mean0, mean1, weight)
        low, high = (bound.astype(np.int64) for bound in _codec.mixture_bounds(*fields))
        slots = high - low + 2
        order = self._run(_mixture_rows(fields), slots)
        escaped = np.flatnonzero(order == slots - 1)
        symbols = (low + order).astype(np.int32)
        symbols[escaped] = 0
        return symbols, escaped

    def finished(self) -> bool:
        """Whether every byte was used."""
        return self._at == len(self._data)

    def _run(self, rows_of: Rows, slots: Index) -> Index:
        order = np.zeros(len(slots), dtype=np.int64)
        for batch in batches(slots):
            rows = self._torch.from_numpy(rows_of(batch))
            order[batch] = self._torchac.decode_int16_normalized_cdf(rows, self._piece()).numpy()
        return order

    def _piece(self) -> bytes:
        size, shift = 0, 0
        while True:
            if self._at >= len(self._data) or shift > 28:
                raise _codec.StreamError("torchac symbols: malformed length")
            byte = self._data[self._at]
            self._at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if size > len(self._data) - self._at:
            raise _codec.StreamError("torchac symbols: shorter than their contents")
        self._at += size
        return self._data[self._at - size : self._at]


def varint(value: int) -> bytes:
    """Seven bits a byte, least significant first."""
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])
