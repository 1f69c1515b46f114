"""Distributions of intra-anchor contexts and of the ablations' trits in readable numpy (pcgs(5), MIXTURES and
TRITS)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gspc.format.scene import I16, I32, U8, Bool, IntegerNetwork
from gspc.reference.networks import I64, INVSTEP, LOG3, LOGQ, MIX, U16, centered, hidden, output

_HALF = [math.floor(2**16 * math.erfc(-j / 128 / math.sqrt(2)) / 2 + 0.5) for j in range(577)]
_SIGMAS = [2 ** (i / 12 - 3) for i in range(128)]
# Pinned tables; none of these values lies near a half.
NORMAL: I64 = np.array([(1 << 16) - v for v in _HALF[:0:-1]] + _HALF)  # round(2^16 Phi(j / 128)), |j| <= 576
INVERSE_SIGMA: I64 = np.array([math.floor(2**23 / s + 0.5) for s in _SIGMAS])  # [128]
REACH: I64 = np.array([math.floor(64 * s + 0.5) + 8 for s in _SIGMAS])  # [128], 1/16 steps
ZERO_SHARES = [math.floor(2**16 / (1 + math.exp((31.5 - j) / 4)) + 0.5) for j in range(63)]
PLUS_SHARES = [math.floor(2**16 / (1 + math.exp((31.5 - j) / 8)) + 0.5) for j in range(63)]
MEAN_LIMIT = 1 << 14  # of a second mean, 1/16 steps
TRIT_MEAN_LIMIT = 1 << 10


def normal_cdf(x: I64, scale: NDArray[np.integer]) -> I64:
    """The normal distribution function in 1/2^16 of scale indices, x in 1/16 steps."""
    z = np.clip(x * INVERSE_SIGMA[scale] >> 12, -576 << 8, 576 << 8)
    start, end = NORMAL[(z >> 8) + 576], NORMAL[np.minimum((z >> 8) + 577, 1152)]
    return start + ((end - start) * (z & 255) >> 8)


@dataclass(frozen=True)
class Mixtures:
    """Two-component mixtures, arrays of one shape: scale indices, means in 1/16 steps, the second's share of
    256."""

    scales: tuple[U8, U8]
    means: tuple[I16, I16]
    weights: U8

    def where(self, chosen: Bool) -> Mixtures:
        """Those chosen, [n]."""
        (s0, s1), (m0, m1) = self.scales, self.means
        return Mixtures((s0[chosen], s1[chosen]), (m0[chosen], m1[chosen]), self.weights[chosen])

    def rows(self) -> tuple[U8, U8, I16, I16, U8]:
        """Flat arrays in the order that coders take them."""
        (s0, s1), (m0, m1) = self.scales, self.means
        return s0.ravel(), s1.ravel(), m0.ravel(), m1.ravel(), self.weights.ravel()


def chunk_bounds(features: int, chunks: int) -> list[tuple[int, int]]:
    """First channel and the one after the last of each chunk."""
    return [(j * features // chunks, (j + 1) * features // chunks) for j in range(chunks)]


def chunk_mixtures(
    network: IntegerNetwork, tables: U8, means: I32, earlier: I32, step: U8, level: int, *, step_level: int
) -> Mixtures:
    """Mixtures of one chunk of fresh anchors at `level`.

    Their Gaussian tables and means [N, n], the symbols of the channels before [N, c0], step indices [N];
    `step_level` is the level whose step the features have.
    """
    at = step_level
    parts = [(tables.astype(np.int64) - 64) * 16, np.clip(means.astype(np.int64), -2047, 2047)]
    inputs = np.concatenate([*parts, centered(earlier, step, at)], axis=1)
    first, last = network.layers
    mean, scale, weight = np.split(output(last, hidden(first, inputs, level - 1)), 3, axis=1)
    factor = INVSTEP[step][:, None] * 3 ** (at - 1)
    mean = np.clip((mean * factor + (1 << 13)) >> 14, -MEAN_LIMIT, MEAN_LIMIT)
    scale = np.clip(scale - LOGQ[step][:, None] + LOG3[at], 0, 127)
    return Mixtures(
        (tables, scale.astype(np.uint8)),
        (np.zeros(tables.shape, np.int16), mean.astype(np.int16)),
        MIX[np.clip(weight + 32, 0, 63)].astype(np.uint8),
    )


def trit_gaussians(mean: I64, scale: I64) -> Mixtures:
    """Trit model 2: a Gaussian each, written as a mixture of it with itself."""
    means = np.clip(mean, -TRIT_MEAN_LIMIT, TRIT_MEAN_LIMIT).astype(np.int16)
    scales = np.clip(scale + 64, 0, 127).astype(np.uint8)
    return Mixtures((scales, scales), (means, means), np.zeros(means.shape, np.uint8))


def gaussian_trit_tables(k: I32, tables: U8) -> U16:
    """Trit model 1: the trit tables nearest to zero-mean Gaussians on 3k - 1, 3k, 3k + 1.

    Symbols k [n] of the level before, Gaussian tables [n] of this one.
    """
    center = 48 * k.astype(np.int64)
    edges = [normal_cdf(center + x, tables) for x in (-24, -8, 8, 24)]
    minus, zero, plus = (end - start + 1 for start, end in pairwise(edges))
    result = np.zeros(len(k), dtype=np.uint16)
    for zero_share, plus_share in zip(ZERO_SHARES, PLUS_SHARES, strict=True):
        result += 64 * (zero << 16 >= zero_share * (minus + zero + plus)).astype(np.uint16)
        result += plus << 16 >= plus_share * (minus + plus)
    return result
