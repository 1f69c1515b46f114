"""What each level adds: who appears, and bytes by attribute, newly coded or refined (PCGS Fig. 6, Predict-GS
Table 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gspc.format import StreamInfo, describe
from gspc.format.limits import MAX_MEMORY
from gspc.format.shape import ATTRIBUTES
from gspc.pipeline.source import Source, naming

if TYPE_CHECKING:
    from gspc.codec import Symbols

CODED = ("symbols", "escapes")  # components that hold symbols

How = Literal["new", "refined", ""]


@dataclass(frozen=True)
class LevelPart:
    """Bytes of one attribute or component that a level adds. `how`: symbols of what first appears, trits of
    what was there, or neither."""

    name: str
    how: How
    size: int


@dataclass(frozen=True)
class LevelRow:
    """One level. Shares are of all anchors of the last level, and of K Gaussians for each of them.

    `parts` add up to the bytes from the end of the level before (from the start of the file for level 1); the
    bytes of symbols and escapes are divided among the attributes in proportion to their model's bits.
    """

    level: int
    anchors: int  # alive at this level
    gaussians: int
    anchor_share: float
    gaussian_share: float
    parts: tuple[LevelPart, ...]

    @property
    def size(self) -> int:
        """Bytes that the level adds."""
        return sum(part.size for part in self.parts)


@dataclass(frozen=True)
class FeatureShare:
    """Bytes of features in the file up to a level, against everything else.

    `pool_grid`: of the planes that only the feature pool reads (its tables divided by their entropy);
    `shared_grid`: of a grid that pool and contexts share, counted among `others`.
    """

    level: int
    symbols: int
    pool_grid: int
    shared_grid: int
    others: int

    @property
    def features(self) -> int:
        """All that features cost: their symbols (of residuals, in the predictive family) and the pool."""
        return self.symbols + self.pool_grid


@dataclass(frozen=True)
class Breakdown:
    """The levels of a stream, and its features against everything else, cumulated. `residual`: the features
    coded are residuals of a prediction."""

    levels: tuple[LevelRow, ...]
    features: tuple[FeatureShare, ...]
    residual: bool


def break_down(source: Source, *, threads: int = 0, max_memory: int = MAX_MEMORY) -> Breakdown:
    """Decodes the whole levels of a stream. Raises BitstreamError, with the source's name."""
    from gspc.codec import decode_symbols

    with naming(source.name):
        symbols = decode_symbols(source.data, threads=threads, max_memory=max_memory)
        stream = describe(source.data)
        return breakdown_of(source.data, stream, symbols)


def breakdown_of(data: bytes, stream: StreamInfo, symbols: Symbols) -> Breakdown:
    """The same for a stream that is decoded already."""
    rows = tuple(_row(stream, symbols, level) for level in range(1, symbols.level + 1))
    return Breakdown(rows, _feature_shares(data, stream, rows), stream.header.shape.pool is not None)


def first_levels(symbols: Symbols):  # type: ignore[no-untyped-def]  # [N] uint8; numpy is imported late
    """The level at which each anchor first appears."""
    import numpy as np

    return np.where(symbols.gaussian_level == 0, 255, symbols.gaussian_level).min(axis=1)


def divide(total: int, weights: list[float]) -> list[int]:
    """`total` in whole parts proportional to `weights`; they add up to it."""
    scale = sum(weights)
    if scale <= 0:
        return [total, *[0] * (len(weights) - 1)]
    exact = [total * weight / scale for weight in weights]
    parts = [int(value) for value in exact]
    by_rest = sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])
    for i in by_rest[: total - sum(parts)]:
        parts[i] += 1
    return parts


def _row(stream: StreamInfo, symbols: Symbols, level: int) -> LevelRow:
    alive = first_levels(symbols) <= level
    gaussians = int(((symbols.gaussian_level > 0) & (symbols.gaussian_level <= level)).sum())
    every = max(sum(info.anchors for info in stream.levels), 1)
    count = int(alive.sum())
    return LevelRow(
        level,
        count,
        gaussians,
        count / every,
        gaussians / (every * stream.header.shape.offsets),
        _parts(stream, symbols, level),
    )


def _parts(stream: StreamInfo, symbols: Symbols, level: int) -> tuple[LevelPart, ...]:
    # What belongs to no level stands before level 1 and is paid with it.
    sizes: dict[str, int] = {}
    for (at, name), size in stream.component_bytes.items():
        if at == level or (at == 0 and level == 1):
            sizes[name] = sizes.get(name, 0) + size
    ways: list[tuple[str, How]] = [(name, "new") for name in ATTRIBUTES]
    ways += [(name, "refined") for name in ATTRIBUTES]
    bits = [
        symbols.ideal_bits.get((level, name if how == "new" else f"refined_{name}"), 0.0)
        for name, how in ways
    ]
    coded = divide(sum(sizes.pop(name, 0) for name in CODED), bits)
    parts = [LevelPart(*way, size) for way, size in zip(ways, coded, strict=True) if size]
    parts += [LevelPart(name, "", size) for name, size in sizes.items() if size]
    return tuple(parts)


def _feature_shares(data: bytes, stream: StreamInfo, rows: tuple[LevelRow, ...]) -> tuple[FeatureShare, ...]:
    pool, shared = _pool_grid_bytes(data, stream)
    found, symbols, size = [], 0, 0
    for row in rows:
        symbols += sum(part.size for part in row.parts if part.name == "features")
        size += row.size
        found.append(FeatureShare(row.level, symbols, pool, shared, size - symbols - pool))
    return tuple(found)


def _pool_grid_bytes(data: bytes, stream: StreamInfo) -> tuple[int, int]:
    """Bytes of planes that only the pool reads, and of a grid it shares with the contexts."""
    grid = stream.component("grid")
    pool = stream.header.shape.pool
    if pool is None:
        return 0, 0
    own = pool.planes
    if own == 0:
        return 0, grid
    from gspc.codec.costs import plane_entropies

    bits = plane_entropies(data)
    return divide(grid, [sum(bits[-own:]), sum(bits[:-own])])[0], 0
