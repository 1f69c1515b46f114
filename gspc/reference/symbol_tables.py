"""Tables of symbols: which of the 2^14 slots belong to which symbol (pcgs(5), TABLES)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from gspc.reference.gaussians import gaussian_frequencies, gaussian_support
from gspc.reference.tables import TABLE_BITS, rounded, sigmoid

TOTAL = 1 << TABLE_BITS

Slots = tuple[int, int]  # how many, and the first one


@dataclass(frozen=True)
class SymbolTable:
    """Symbols in the order of their slots; where there are more slots than they have, the last are the
    escape's.

    `first[i]` is the first slot of symbol i, then of the escape if there is one; the last entry is 2^14.
    Symbols are without gaps, so that everything below the smallest and above the greatest is escaped.
    """

    symbols: Sequence[int]
    first: tuple[int, ...]

    @property
    def escape(self) -> bool:
        """Whether symbols beyond those of the table can be coded."""
        return len(self.first) > len(self.symbols) + 1

    def slots(self, symbol: int) -> Slots:
        """Slots of a symbol, of the escape if it is beyond the table.

        >>> trit_table(64 * 32 + 32).slots(1)
        (4096, 12288)
        """
        place = self.symbols.index(symbol) if symbol in self.symbols else len(self.symbols)
        return self.first[place + 1] - self.first[place], self.first[place]

    def find(self, slot: int) -> tuple[int | None, Slots]:
        """The symbol that owns a slot, None for the escape, and all slots that it owns."""
        place = bisect_right(self.first, slot) - 1
        symbol = self.symbols[place] if place < len(self.symbols) else None
        return symbol, (self.first[place + 1] - self.first[place], self.first[place])


@cache
def gaussian_table(index: int) -> SymbolTable:
    """Gaussian table 0 to 127: 0, -1, 1, ..., -R, R, escape."""
    symbols = [0]
    for k in range(1, gaussian_support(index) + 1):
        symbols += [-k, k]
    return SymbolTable(tuple(symbols), (0, *accumulate(gaussian_frequencies(index).tolist())))


def trit_frequencies(index: int) -> tuple[int, int, int]:
    """Frequencies of -1, 0 and 1 in trit table `index` = 64 a + b, 0 <= a, b < 64.

    >>> trit_frequencies(64 * 32 + 32)
    (4096, 8192, 4096)
    """
    a, b = divmod(index, 64)
    zero = min(max(rounded(TOTAL * sigmoid((a - 32) / 4)), 2), TOTAL - 2)
    rest = TOTAL - zero
    plus = (rest * rounded(2**16 * sigmoid((b - 32) / 8)) + 2**15) >> 16
    plus = min(max(plus, 1), rest - 1)
    return rest - plus, zero, plus


@cache
def trit_table(index: int) -> SymbolTable:
    """Trit table 0 to 4095: -1, 0, 1."""
    return SymbolTable((-1, 0, 1), (0, *accumulate(trit_frequencies(index))))
