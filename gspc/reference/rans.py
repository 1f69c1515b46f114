"""The lane coder, both directions (pcgs(5), LANE CODER).

Interleaved range asymmetric numeral systems (rANS; J. Duda, "Asymmetric numeral systems", arXiv:1311.2540;
interleaving after F. Giesen, "Interleaved entropy coders", arXiv:1402.3392).

A symbol that owns f slots from slot c on takes a state x to (x // f) 2^14 + x mod f + c; decoding takes it
back. A state that would leave [2^16, 2^32) first gives a word of 16 bits away, which decoding takes in again.
So an encoder codes everything from the end to the start. Symbol i of a run is coded by lane i mod 32. The
last symbols of a stream, as many as fit the 32 words with which the lanes end, are coded by one more state,
the tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gspc.errors import BitstreamError
from gspc.reference.symbol_tables import Slots, SymbolTable
from gspc.reference.tables import TABLE_BITS
from gspc.reference.varint import read_varint, varint

LANES = 32
TOTAL = 1 << TABLE_BITS
LOW = 1 << 16  # states between symbols are in [LOW, LOW * LOW)
TAIL_WORDS = LANES
TAIL_SYMBOLS = 8192  # at most, a choice of the encoder
WHAT = "lane stream"


# ---- encoding ----


def advance(state: int, slots: Slots) -> int:
    """The state after coding a symbol with these slots.

    >>> advance(65536, (4096, 12288))
    274432
    """
    count, first = slots
    return (state // count << TABLE_BITS) + state % count + first


def must_emit(state: int, slots: Slots) -> bool:
    """Whether a word has to go before the symbol, so that the state stays in its range."""
    return state >= slots[0] << (32 - TABLE_BITS)


def encode(runs: Sequence[Sequence[Slots]]) -> bytes:
    """The stream of runs, given the slots of each symbol."""
    symbols = [slots for run in runs for slots in run]
    if not symbols:
        return b""
    left, tail = _encode_tail(symbols)
    if left == 0:
        return varint(0) + _words(tail)
    state = [LOW + word for word in tail + [0] * (TAIL_WORDS - len(tail))]
    emitted: list[int] = []
    for lane, slots in reversed(_in_lanes(runs, left)):
        if must_emit(state[lane], slots):
            emitted.append(state[lane] % LOW)
            state[lane] //= LOW
        state[lane] = advance(state[lane], slots)
    return varint(left) + _pack_states(state) + _words(emitted[::-1])


def _encode_tail(symbols: Sequence[Slots]) -> tuple[int, list[int]]:
    """Codes as many symbols from the end as fit; returns how many are left, and the tail's words."""
    words: list[int] = []
    state, left = LOW, len(symbols)
    while left > max(0, len(symbols) - TAIL_SYMBOLS):
        slots = symbols[left - 1]
        if must_emit(state, slots):
            if len(words) + 2 == TAIL_WORDS:
                break
            words.append(state % LOW)
            state //= LOW
        state = advance(state, slots)
        left -= 1
    return left, [state // LOW, state % LOW, *reversed(words)]


def _in_lanes(runs: Sequence[Sequence[Slots]], count: int) -> list[tuple[int, Slots]]:
    """The first `count` symbols of a stream, each with the lane that codes it."""
    return [(i % LANES, slots) for run in runs for i, slots in enumerate(run)][:count]


def _words(words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(2, "little") for word in words)


def _pack_states(states: Sequence[int]) -> bytes:
    exponents = [x.bit_length() - 17 for x in states]
    packed, bits = 0, 0
    for x, e in zip(states, exponents, strict=True):
        packed |= (x - (LOW << e)) << bits
        bits += 16 + e
    nibbles = bytes(a + 16 * b for a, b in zip(exponents[::2], exponents[1::2], strict=True))
    return nibbles + packed.to_bytes((bits + 7) // 8, "little")


# ---- decoding ----


@dataclass
class Decoder:
    """Decodes a stream run by run. Raises BitstreamError where it ends too early or cannot have been
    written.

    While `lane_symbols` > 0 the lanes code and `words` are theirs; then each lane must be 2^16 plus a word of
    the tail, and the tail codes what is left.
    """

    data: bytes
    lane_symbols: int = 0  # still to come from the lanes
    state: list[int] = field(default_factory=list)  # of the lanes; none when the tail codes everything
    words: list[int] = field(default_factory=list)  # not yet read by the lanes
    tail: list[int] = field(default_factory=list)  # words not yet read by the tail
    tail_state: int | None = None  # None: the tail has not begun

    def __post_init__(self) -> None:
        if not self.data:
            return
        self.lane_symbols, at = read_varint(self.data, 0, WHAT)
        if self.lane_symbols > 0:
            at = self._unpack_states(at)
        if (len(self.data) - at) % 2:
            raise BitstreamError(f"{WHAT}: half a word at its end")
        words = [int.from_bytes(self.data[i : i + 2], "little") for i in range(at, len(self.data), 2)]
        if self.lane_symbols > 0:
            self.words = words
        elif len(words) > TAIL_WORDS:
            raise BitstreamError(f"{WHAT}: more than {TAIL_WORDS} words in the tail")
        else:
            self.tail = words

    def _unpack_states(self, at: int) -> int:
        nibbles = self.data[at : at + LANES // 2]
        exponents = [e for byte in nibbles for e in (byte & 15, byte >> 4)]
        size = (sum(16 + e for e in exponents) + 7) // 8
        at += LANES // 2
        if len(nibbles) < LANES // 2 or len(self.data) < at + size:
            raise BitstreamError(f"{WHAT}: cut in its states")
        packed = int.from_bytes(self.data[at : at + size], "little")
        for e in exponents:
            self.state.append((LOW << e) + packed % (LOW << e))
            packed >>= 16 + e
        if packed:
            raise BitstreamError(f"{WHAT}: the states do not end in zeros")
        return at + size

    def run(self, tables: Sequence[SymbolTable]) -> list[int | None]:
        """The symbols of a run, None where one was escaped, given the table of each."""
        count = min(len(tables), self.lane_symbols)
        self.lane_symbols -= count
        symbols: list[int | None] = []
        for start in range(0, count, LANES):
            symbols += self._row(tables[start : min(start + LANES, count)])
        return symbols + [self._from_tail(table) for table in tables[count:]]

    def _row(self, tables: Sequence[SymbolTable]) -> list[int | None]:
        """At most one symbol of each lane; then lanes below their range take a word, in lane order."""
        symbols = []
        for lane, table in enumerate(tables):
            self.state[lane], symbol = _decode(self.state[lane], table)
            symbols.append(symbol)
        for lane in range(len(tables)):
            self.state[lane] = _refilled(self.state[lane], self.words)
        return symbols

    def _from_tail(self, table: SymbolTable) -> int | None:
        if self.tail_state is None:
            self._start_tail()
        self.tail_state, symbol = _decode(self.tail_state or 0, table)
        self.tail_state = _refilled(self.tail_state, self.tail)
        return symbol

    def _start_tail(self) -> None:
        if self.words or any(x // LOW != 1 for x in self.state):
            raise BitstreamError(f"{WHAT}: damaged, the lanes do not end where they should")
        if self.state:
            self.tail = [x % LOW for x in self.state]
        self.tail_state = _take(self.tail) * LOW + _take(self.tail)
        if self.tail_state < LOW:
            raise BitstreamError(f"{WHAT}: damaged, the tail starts below its range")

    def finished(self) -> bool:
        """Whether every symbol was decoded, every word read and every state is where the encoder started.

        The lanes end with 32 words whether the tail needs them or not; those that it does not are 0.
        """
        if not self.data:
            return True
        unread = any(self.tail) if self.state else len(self.tail) > 0
        return self.lane_symbols == 0 and self.tail_state == LOW and not unread


def _decode(state: int, table: SymbolTable) -> tuple[int, int | None]:
    slot = state % TOTAL
    symbol, (count, first) = table.find(slot)
    return count * (state >> TABLE_BITS) + slot - first, symbol


def _refilled(state: int, words: list[int]) -> int:
    return state if state >= LOW else state * LOW + _take(words)


def _take(words: list[int]) -> int:
    if not words:
        raise BitstreamError(f"{WHAT}: cut, more symbols than words for them")
    return words.pop(0)
