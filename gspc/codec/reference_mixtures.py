"""Distributions of intra-anchor contexts and of the ablations' trits in readable numpy (pcgs(5), MIXTURES and
TRITS)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gspc.codec.reference_networks import I64, INVSTEP, LOG3, LOGQ, MIX, U16, centered, hidden, output
from gspc.codec.reference_rans import cdf
from gspc.codec.types import I16, I32, U8, Bool, IntegerNetwork

MEAN_LIMIT = 1 << 14  # of a second mean, 1/16 steps
TRIT_MEAN_LIMIT = 1 << 10


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
        s0, s1, m0, m1, weights = (
            np.ascontiguousarray(values).reshape(-1) for values in (*self.scales, *self.means, self.weights)
        )
        return s0, s1, m0, m1, weights


def chunk_bounds(features: int, chunks: int) -> list[tuple[int, int]]:
    """First channel and the one after the last of each chunk."""
    return [(j * features // chunks, (j + 1) * features // chunks) for j in range(chunks)]


def chunk_mixtures(
    network: IntegerNetwork, tables: U8, means: I32, earlier: I32, step: U8, level: int, *, refined: bool
) -> Mixtures:
    """Mixtures of one chunk of fresh anchors at `level`.

    Their Gaussian tables and means [N, n], the symbols of the channels before [N, c0], step indices [N].
    """
    at = level if refined else 1
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


ZERO_SHARES = [math.floor(2**16 / (1 + math.exp((31.5 - j) / 4)) + 0.5) for j in range(63)]
PLUS_SHARES = [math.floor(2**16 / (1 + math.exp((31.5 - j) / 8)) + 0.5) for j in range(63)]


def gaussian_trit_table(k: int, scale: int) -> int:
    """Trit model 1: the trit table nearest to a normal distribution around 0 on 3k - 1, 3k, 3k + 1."""
    edges = [cdf(48 * k + x, scale) for x in (-24, -8, 8, 24)]
    minus, zero, plus = (b - a + 1 for a, b in pairwise(edges))
    a = sum(zero << 16 >= share * (minus + zero + plus) for share in ZERO_SHARES)
    b = sum(plus << 16 >= share * (minus + plus) for share in PLUS_SHARES)
    return 64 * a + b


def gaussian_trit_tables(k: I32, tables: U8) -> U16:
    """Likewise of symbols k [n] of the level before, with their Gaussian tables [n] at this one."""
    pairs = zip(k.tolist(), tables.tolist(), strict=True)
    return np.array([gaussian_trit_table(*pair) for pair in pairs], dtype=np.uint16)
