"""The lane coder of the format in plain Python: slow, readable, independent of the C++ core.

Interleaved range asymmetric numeral systems (rANS; J. Duda, "Asymmetric numeral systems",
arXiv:1311.2540; interleaving after F. Giesen, "Interleaved entropy coders", arXiv:1402.3392). Tests hold
the C++ coder against this one, byte by byte.

A table is the list of frequencies of its symbols in slot order, adding up to 2^14. A Gaussian table's
slots belong to 0, -1, 1, -2, 2, ... -R, R and the escape; a trit table's to -1, 0, 1. A run is a list of
symbols, each under its own table; symbol i of a run is coded by lane i mod 32. A stream, little-endian;
the empty stream has no bytes:

- varint V: how many symbols, from the first on, the lanes code. The others are the tail, coded by one
  more state.
- if V > 0: 32 exponents e of 4 bits (low nibble first), then 32 mantissas of 16 + e bits (low bit first,
  zeros up to a byte): each lane's state is 2^(16 + e) + mantissa when decoding starts; then 16-bit words
  in the order of reading.
- if V = 0: the at most 32 words of the tail.

A symbol of frequency f and first slot c takes a state x to f * (x >> 14) + (x mod 2^14) - c. After each
32 symbols of a run, or what is left of it, the lanes below 2^16 become x * 2^16 + word, in lane order.
The tail is renormalized after each symbol. Lanes end as 2^16 + a word of the tail each; its words are the
initial state (high, low) and what it reads, padded with zeros to 32. The tail's state ends as 2^16.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from gspc.errors import BitstreamError

LANES = 32
TABLE_BITS = 14
TOTAL = 1 << TABLE_BITS
LOW = 1 << 16  # states are in [LOW, LOW * LOW)
TAIL_WORDS = LANES
TAIL_SYMBOLS = 8192

Entry = tuple[int, int]  # frequency, first slot


@cache
def gaussian_table(index: int) -> np.ndarray:  # [2R + 2] int64
    """Frequencies of Gaussian table `index` (sigma 2^(-3 + index/12) steps) in slot order, escape last."""
    import gspc._codec

    return np.asarray(gspc._codec.gaussian_frequencies(index)).astype(np.int64)


@cache
def trit_table(index: int) -> np.ndarray:  # [3] int64
    """Frequencies of -1, 0 and 1 in trit table `index` = a * 64 + b."""
    import gspc._codec

    return np.asarray(gspc._codec.trit_frequencies()).reshape(-1, 3)[index].astype(np.int64)


@cache
def _first_slots(kind: str, index: int) -> tuple[int, ...]:
    table = gaussian_table(index) if kind == "gaussian" else trit_table(index)
    return (0, *np.cumsum(table).tolist())


@cache
def normal(j: int) -> int:
    """round(2^16 Phi(j / 128)); no value lies near a half."""
    return math.floor(2**16 * math.erfc(-j / 128 / math.sqrt(2)) / 2 + 0.5)


def cdf(x: int, index: int) -> int:
    """The normal distribution function of scale `index` in 1/2^16, x in 1/16 steps."""
    inverse = math.floor(2**23 / 2 ** (index / 12 - 3) + 0.5)
    z = min(max(x * inverse >> 12, -576 << 8), 576 << 8)
    start = normal(z >> 8)
    return start + ((normal((z >> 8) + 1) - start) * (z & 255) >> 8)


def mixture_support(scales: tuple[int, int], means: tuple[int, int]) -> tuple[int, int]:
    """Lowest and highest symbol of a mixture; those beyond are escaped."""
    reach = [math.floor(64 * 2 ** (i / 12 - 3) + 0.5) + 8 for i in scales]
    low = min((m - r) // 16 for m, r in zip(means, reach, strict=True))
    high = max((m + r + 15) // 16 for m, r in zip(means, reach, strict=True))
    return low, min(high, low + 4095)


def mixture_table(
    scales: tuple[int, int], means: tuple[int, int], weight: int
) -> tuple[int, tuple[int, ...]]:
    """Lowest symbol and first slots (of each symbol, of the escape, and 2^14) of a two-component mixture.

    Scale indices, means in 1/16 steps, the second component's weight in 1/256.
    """
    low, high = mixture_support(scales, means)
    scaled = TOTAL - 1 - (high - low + 1)
    first = [0]
    for k in range(low + 1, high + 1):
        x = 16 * k - 8
        total = (256 - weight) * cdf(x - means[0], scales[0]) + weight * cdf(x - means[1], scales[1])
        first.append(k - low + ((total >> 6) * scaled >> 18))
    return low, (*first, TOTAL - 1, TOTAL)


def gaussian_order(symbol: int, index: int) -> int:
    """Place of a symbol in the slots of its table; that of the escape, 2R + 1, if |symbol| > R."""
    escape = len(gaussian_table(index)) - 1
    return min(2 * symbol if symbol >= 0 else -2 * symbol - 1, escape)


def gaussian_symbol(order: int) -> int:
    return -(order + 1) // 2 if order % 2 else order // 2


def gaussian_entries(tables: Iterable[int], symbols: Iterable[int]) -> tuple[list[Entry], list[int]]:
    """Entries to code, and the indices of the symbols beyond their table's support."""
    entries, escapes = [], []
    for i, (index, symbol) in enumerate(zip(tables, symbols, strict=True)):
        first = _first_slots("gaussian", int(index))
        order = gaussian_order(int(symbol), int(index))
        if order == len(first) - 2:
            escapes.append(i)
        entries.append((first[order + 1] - first[order], first[order]))
    return entries, escapes


def trit_entries(tables: Iterable[int], trits: Iterable[int]) -> list[Entry]:
    entries = []
    for index, trit in zip(tables, trits, strict=True):
        first = _first_slots("trit", int(index))
        entries.append((first[int(trit) + 2] - first[int(trit) + 1], first[int(trit) + 1]))
    return entries


def must_emit(state: int, frequency: int) -> bool:
    """Whether the state would leave its range: a word has to go before the symbol."""
    return state >= frequency << (32 - TABLE_BITS)


def advance(state: int, entry: Entry) -> int:
    frequency, first = entry
    return (state // frequency << TABLE_BITS) + state % frequency + first


def _encode_tail(entries: Sequence[Entry]) -> tuple[int, list[int]]:
    """Codes as many entries from the end as fit; returns how many are left, and the tail's words."""
    words: list[int] = []
    state, left = LOW, len(entries)
    while left > max(0, len(entries) - TAIL_SYMBOLS):
        entry = entries[left - 1]
        if must_emit(state, entry[0]):
            if len(words) + 2 == TAIL_WORDS:
                break
            words.append(state % LOW)
            state //= LOW
        state = advance(state, entry)
        left -= 1
    return left, [state // LOW, state % LOW, *reversed(words)]


def encode(runs: Sequence[Sequence[Entry]]) -> bytes:
    """The stream of these runs."""
    entries = [entry for run in runs for entry in run]
    if not entries:
        return b""
    left, tail = _encode_tail(entries)
    out = bytearray(_varint(left))
    if left == 0:
        return bytes(out) + b"".join(word.to_bytes(2, "little") for word in tail)
    state = [LOW + word for word in tail + [0] * (TAIL_WORDS - len(tail))]
    lanes, at = [], 0  # (lane, entry) of what the lanes code
    for run in runs:
        lanes += [(i % LANES, entry) for i, entry in enumerate(run[: max(0, left - at)])]
        at += len(run)
    words: list[int] = []
    for lane, entry in reversed(lanes):
        if must_emit(state[lane], entry[0]):
            words.append(state[lane] % LOW)
            state[lane] //= LOW
        state[lane] = advance(state[lane], entry)
    return bytes(out) + _pack_states(state) + b"".join(word.to_bytes(2, "little") for word in reversed(words))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def _pack_states(states: Sequence[int]) -> bytes:
    exponents = [x.bit_length() - 17 for x in states]
    packed, bits = 0, 0
    for x, e in zip(states, exponents, strict=True):
        packed |= (x - (LOW << e)) << bits
        bits += 16 + e
    nibbles = bytes(a + 16 * b for a, b in zip(exponents[::2], exponents[1::2], strict=True))
    return nibbles + packed.to_bytes((bits + 7) // 8, "little")


@dataclass
class Decoder:
    """Decodes a stream run by run; BitstreamError where it ends too early or cannot have been written."""

    data: bytes
    lane_symbols: int = 0  # still to come from the lanes
    state: list[int] = field(default_factory=list)
    tail: list[int] = field(default_factory=list)  # words of the tail
    words: list[int] = field(default_factory=list)  # words of the lanes
    tail_state: int | None = None

    def __post_init__(self) -> None:
        if not self.data:
            return
        at = 0
        while True:
            if at == len(self.data):
                raise BitstreamError("lane stream: cut in its first number")
            byte = self.data[at]
            self.lane_symbols |= (byte & 127) << 7 * at
            at += 1
            if byte < 128:
                break
        if self.lane_symbols > 0:
            at = self._unpack_states(at)
        if (len(self.data) - at) % 2:
            raise BitstreamError("lane stream: half a word at its end")
        words = [int.from_bytes(self.data[i : i + 2], "little") for i in range(at, len(self.data), 2)]
        if self.lane_symbols > 0:
            self.words = words
        else:
            self.tail = words

    def _unpack_states(self, at: int) -> int:
        nibbles = self.data[at : at + LANES // 2]
        exponents = [e for byte in nibbles for e in (byte & 15, byte >> 4)]
        size = (sum(16 + e for e in exponents) + 7) // 8
        at += LANES // 2
        if len(nibbles) < LANES // 2 or len(self.data) < at + size:
            raise BitstreamError("lane stream: cut in its states")
        packed = int.from_bytes(self.data[at : at + size], "little")
        for e in exponents:
            self.state.append((LOW << e) + packed % (LOW << e))
            packed >>= 16 + e
        return at + size

    def gaussian(self, tables: Iterable[int]) -> tuple[list[int], list[int]]:
        """A run of Gaussian symbols: the symbols, 0 for escaped ones, and the indices of those."""
        tables = [int(t) for t in tables]
        orders = self._run([_first_slots("gaussian", t) for t in tables])
        escapes = [i for i, t in enumerate(tables) if orders[i] == len(gaussian_table(t)) - 1]
        return [0 if i in set(escapes) else gaussian_symbol(order) for i, order in enumerate(orders)], escapes

    def trits(self, tables: Iterable[int]) -> list[int]:
        return [order - 1 for order in self._run([_first_slots("trit", int(t)) for t in tables])]

    def mixture(
        self,
        scale0: Iterable[int],
        scale1: Iterable[int],
        mean0: Iterable[int],
        mean1: Iterable[int],
        weight: Iterable[int],
    ) -> tuple[list[int], list[int]]:
        """A run of symbols under mixtures: the symbols, 0 for escaped ones, and the indices of those."""
        fields = ([int(v) for v in values] for values in (scale0, scale1, mean0, mean1, weight))
        tables = [mixture_table((s0, s1), (m0, m1), w) for s0, s1, m0, m1, w in zip(*fields, strict=True)]
        orders = self._run([first for _, first in tables])
        escapes = [i for i, (_, first) in enumerate(tables) if orders[i] == len(first) - 2]
        symbols = [low + order for (low, _), order in zip(tables, orders, strict=True)]
        for i in escapes:
            symbols[i] = 0
        return symbols, escapes

    def finished(self) -> bool:
        """Whether every symbol was decoded and every state is where the encoder started."""
        if not self.data:
            return True
        return self.lane_symbols == 0 and self.tail_state == LOW and not any(self.tail)

    def _run(self, tables: Sequence[tuple[int, ...]]) -> list[int]:
        orders: list[int] = []
        count = min(len(tables), self.lane_symbols)
        for start in range(0, count, LANES):
            group = range(min(LANES, count - start))
            for lane in group:
                self.state[lane], order = _decode(self.state[lane], tables[start + lane])
                orders.append(order)
            for lane in group:
                if self.state[lane] < LOW:
                    self.state[lane] = self.state[lane] * LOW + _take(self.words)
        self.lane_symbols -= count
        for table in tables[count:]:
            if self.tail_state is None:
                self._start_tail()
            self.tail_state, order = _decode(self.tail_state or 0, table)
            orders.append(order)
            if self.tail_state < LOW:
                self.tail_state = self.tail_state * LOW + _take(self.tail)
        return orders

    def _start_tail(self) -> None:
        if self.words or any(x // LOW != 1 for x in self.state):
            raise BitstreamError("lane stream: damaged, the lanes do not end where they should")
        if self.state:
            self.tail = [x % LOW for x in self.state]
        self.tail_state = _take(self.tail) * LOW + _take(self.tail)
        if self.tail_state < LOW:
            raise BitstreamError("lane stream: damaged, the tail starts below its range")


def _take(words: list[int]) -> int:
    if not words:
        raise BitstreamError("lane stream: cut, more symbols than words for them")
    return words.pop(0)


def _decode(state: int, first: Sequence[int]) -> tuple[int, int]:
    slot = state % TOTAL
    order = int(np.searchsorted(first, slot, side="right")) - 1
    return (first[order + 1] - first[order]) * (state >> TABLE_BITS) + slot - first[order], order
