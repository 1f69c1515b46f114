"""The frequencies of the 128 Gaussian tables (pcgs(5), TABLES).

A table codes the symbols -R to R of a zero-mean Gaussian and an escape for all others. R, the escape's
frequency and those of the symbols are the ones that cost the fewest bits on average. The format pins the
integers that come out; this computes them from their definition.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from gspc.reference.arrays import F64, I64
from gspc.reference.tables import TABLE_BITS, sigma

TOTAL = 1 << TABLE_BITS


@cache
def gaussian_frequencies(index: int) -> I64:
    """Frequencies [2R + 2] of table `index` (0 to 127) in the order of its slots: 0, -1, 1, ..., -R, R,
    escape.

    >>> gaussian_frequencies(3).tolist()
    [16371, 6, 6, 1]
    """
    share = _shares(index)
    supports, escapes = _candidates(index, share)
    halves = _allocated(share, supports, TOTAL - escapes)
    bits = [_mean_bits(share, *one) for one in zip(halves, supports.tolist(), escapes.tolist(), strict=True)]
    best = int(np.argmin(bits))
    half = halves[best, : supports[best] + 1]
    return np.array([half[0], *np.repeat(half[1:], 2), escapes[best]])


def gaussian_support(index: int) -> int:
    """R: the symbols -R to R of table `index` have slots of their own."""
    return len(gaussian_frequencies(index)) // 2 - 1


def _shares(index: int) -> F64:
    """P(0), P(1), ... of the table's Gaussian, up to 12 sigma, beyond which nothing counts."""
    root = sigma(index) * math.sqrt(2)
    tails = np.array([math.erfc((k + 0.5) / root) / 2 for k in range(int(12 * sigma(index)) + 5)])
    return np.concatenate([[1 - 2 * tails[0]], tails[:-1] - tails[1:]])


def _candidates(index: int, share: F64) -> tuple[I64, I64]:
    """Supports [n] and frequencies of the escape [n] to choose from."""
    s = sigma(index)
    pairs = []
    for support in range(max(0, math.floor(2.8 * s - 1)), math.ceil(4.6 * s + 2) + 1, math.ceil(s / 12)):
        beyond = math.floor(TOTAL * 2 * share[support + 1 :].sum())
        escapes = sorted({max(1, beyond + more) for more in range(3)})
        pairs += [(support, escape) for escape in escapes if escape <= TOTAL // 64]
    return np.array([r for r, _ in pairs]), np.array([e for _, e in pairs])


def _allocated(share: F64, supports: I64, slots: I64) -> I64:
    """Frequencies [n, max R + 1] of 0, 1, ... of each candidate, 0 beyond its support.

    One more slot for symbol k, beside f that it has, saves share log2((f + 1) / f) bits. All are handed out
    that save at least `threshold`; bisection finds the lowest threshold that the slots suffice for. A pair
    k, -k takes two, so one may be left: 0 gets it.
    """
    k = np.arange(supports.max() + 1)
    inside = k <= supports[:, None]
    width = np.where(k == 0, 1, 2)

    def handed_out(threshold: F64) -> I64:
        with np.errstate(over="ignore"):
            more = np.floor(1 / np.expm1(threshold[:, None] * math.log(2) / share[k]))
        return np.where(inside, 1 + more.astype(np.int64), 0)

    low, high = np.zeros(len(supports)) + 1e-6, np.ones(len(supports))
    for _ in range(60):
        middle = np.sqrt(low * high)
        fits = handed_out(middle) @ width <= slots
        low, high = np.where(fits, low, middle), np.where(fits, middle, high)
    frequencies = handed_out(high)
    frequencies[:, 0] += slots - frequencies @ width
    return frequencies


def _mean_bits(share: F64, half: I64, support: int, escape: int) -> float:
    """Mean bits of a symbol; an escape adds its sign and the Exp-Golomb code of what is beyond R."""
    inside = share[: support + 1] * np.log2(TOTAL / half[: support + 1])
    beyond = np.arange(1, len(share) - support)
    escaped = math.log2(TOTAL / escape) + 2 + 2 * np.floor(np.log2(beyond))
    return float(inside[0] + 2 * inside[1:].sum() + 2 * (share[support + 1 :] * escaped).sum())
