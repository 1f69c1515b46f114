"""How many symbols each level codes, and the bits that they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gspc.format import describe
from gspc.pipeline.breakdown import first_levels
from gspc.pipeline.source import Source, naming

if TYPE_CHECKING:
    from gspc.format.scene import Symbols
    from gspc.format.shape import StreamShape


@dataclass(frozen=True)
class Rate:
    """Symbols of one kind that a level codes, and what their integer tables promise: -sum log2 p."""

    level: int
    name: str
    symbols: int
    bits: float


def symbol_rates(source: Source, threads: int, max_memory: int) -> tuple[Rate, ...]:
    """Counts follow from masks and steps: what appears is coded by Gaussians, what was there by trits."""
    from gspc.codec import decode_symbols

    with naming(source.name):
        stream = describe(source.data)
        levels = [
            decode_symbols(source.data, level, threads=threads, max_memory=max_memory)
            for level in range(1, stream.whole_levels + 1)
        ]
    found = []
    for level, symbols in enumerate(levels, start=1):
        counts = _counts(stream.header.shape, levels[level - 2] if level > 1 else None, symbols)
        found += [
            Rate(level, name, count, symbols.ideal_bits[level, name])
            for name, count in counts.items()
            if count
        ]
    return tuple(found)


def _counts(shape: StreamShape, before: Symbols | None, symbols: Symbols) -> dict[str, int]:
    """Symbols of a level by component, given those of the level before. An anchor's step levels add up to
    those that it had, and one for each trit of an attribute."""
    import numpy as np

    level, masks = symbols.level, symbols.gaussian_level
    fresh = first_levels(symbols) == level
    alive = np.count_nonzero((masks > 0) & (masks < level), axis=1)
    counts = {}
    for number, a in enumerate(shape.attributes):
        steps, had = symbols.step_levels[:, number].astype(np.int64), np.zeros(0, np.int64)
        alive_before = had
        if before is not None:
            had = before.step_levels[:, number].astype(np.int64)
            alive_before = np.count_nonzero(before.gaussian_level, axis=1)
        if a.name == "offsets":
            counts[a.name] = 3 * int((masks == level).sum())
            refined = 3 * int(steps @ alive - had @ alive_before)
        else:
            counts[a.name] = a.values * int(fresh.sum())
            refined = a.values * int(steps[~fresh].sum() - had.sum())
        counts[f"refined_{a.name}"] = refined
    return counts
