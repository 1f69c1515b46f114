"""Mixtures of two Gaussians, under which groups of features but the first are coded (pcgs(5), MIXTURES)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gspc.format.shape import StreamShape
from gspc.reference.arrays import I16, I32, I64, U8, Bool
from gspc.reference.networks import Layers, gaussian_indices, network, value_inputs
from gspc.reference.symbol_tables import TOTAL, SymbolTable
from gspc.reference.tables import INVSTEP, ISIGMA, MIX, NORMAL, REACH

MEAN_LIMIT = 1 << 14  # of a second component's mean, 1/16 steps
MAX_SYMBOLS = 4096  # with slots of their own


def normal_cdf(x: I64, scale: NDArray[np.integer]) -> I64:
    """The normal distribution function in 1/2^16, x in 1/16 steps, of scale indices; all of one shape.

    >>> normal_cdf(np.array([-16, 0, 16]), np.array([36])).tolist()  # sigma = 1
    [10398, 32768, 55138]
    """
    z = np.clip(x * ISIGMA[scale] >> 12, -576 << 8, 576 << 8)
    start, end = NORMAL[(z >> 8) + 576], NORMAL[np.minimum((z >> 8) + 577, 1152)]
    return start + ((end - start) * (z & 255) >> 8)


def mixture_support(scales: tuple[int, int], means: tuple[int, int]) -> tuple[int, int]:
    """Lowest and highest symbol that has slots of its own.

    >>> mixture_support((36, 36), (0, 0))  # sigma = 1
    (-5, 5)
    """
    reach = [int(REACH[scale]) for scale in scales]
    low = min((m - r) >> 4 for m, r in zip(means, reach, strict=True))
    high = max((m + r + 15) >> 4 for m, r in zip(means, reach, strict=True))
    return low, min(high, low + MAX_SYMBOLS - 1)


@lru_cache(maxsize=1 << 14)
def mixture_table(scales: tuple[int, int], means: tuple[int, int], weight: int) -> SymbolTable:
    """The table of a mixture: low, low + 1, ..., high, escape.

    Scale indices, means in 1/16 steps, the second component's weight in 1/256.
    """
    low, high = mixture_support(scales, means)
    k = np.arange(low + 1, high + 1)
    one, two = (normal_cdf(16 * k - 8 - m, np.array([g])) for g, m in zip(scales, means, strict=True))
    total = (256 - weight) * one + weight * two
    first = k - low + ((total >> 6) * (TOTAL - 1 - (high - low + 1)) >> 18)
    return SymbolTable(range(low, high + 1), (0, *first.tolist(), TOTAL - 1, TOTAL))


@dataclass(frozen=True)
class Mixtures:
    """Two-component mixtures, arrays of one shape: scale indices, means in 1/16 steps, the second component's
    weight in 1/256."""

    scales: tuple[U8, U8]
    means: tuple[I16, I16]
    weights: U8

    def where(self, chosen: Bool) -> Mixtures:
        """Those chosen, [n]."""
        (s0, s1), (m0, m1) = self.scales, self.means
        return Mixtures((s0[chosen], s1[chosen]), (m0[chosen], m1[chosen]), self.weights[chosen])

    def tables(self) -> list[SymbolTable]:
        """The table of each, row by row."""
        rows = (values.ravel().tolist() for values in (*self.scales, *self.means, self.weights))
        return [mixture_table((s0, s1), (m0, m1), w) for s0, s1, m0, m1, w in zip(*rows, strict=True)]


def group_mixtures(
    layers: Layers,
    shape: StreamShape,
    number: int,
    *,
    gaussians: U8,
    means: I32,
    earlier: I32,
    step: U8,
    stage: int,
) -> Mixtures:
    """Mixtures [N, n] of group `number` >= 1 of N anchors that appear at `stage`.

    Of the group's n channels the Gaussian tables and means [N, n]; of the c channels before the symbols
    `earlier` [N, c]; step indices [N] of features.
    """
    t = shape.attributes[0].step_level(stage)
    tables = (gaussians.astype(np.int64) - 64) * 16
    inputs = [tables, np.clip(means.astype(np.int64), -2047, 2047), value_inputs(earlier, step, t)]
    z = network(layers, f"group_{number}", np.concatenate(inputs, axis=1), stage - 1)
    mean, scale, weight = np.split(z, 3, axis=1)
    mean = (mean * INVSTEP[step][:, None] * 3 ** (t - 1) + (1 << 13)) >> 14
    return Mixtures(
        scales=(gaussians, gaussian_indices(scale, step, t)),
        means=(np.zeros(means.shape, np.int16), np.clip(mean, -MEAN_LIMIT, MEAN_LIMIT).astype(np.int16)),
        weights=MIX[np.clip(weight + 32, 0, 63)].astype(np.uint8),
    )
