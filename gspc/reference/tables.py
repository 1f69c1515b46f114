"""The integer tables that have a formula (pcgs(5), TABLES), under their names there.

Every value is far enough from a half that double precision rounds it as the page means it; tests compare all
of them with the numbers that the core has pinned.
"""

from __future__ import annotations

import math

import numpy as np

from gspc.format.limits import MAX_LEVELS
from gspc.reference.arrays import I64

TABLE_BITS = 14  # the frequencies of a table of symbols add up to 2^14
GAUSSIANS = 128


def rounded(x: float) -> int:
    """The nearest integer; halves do not occur."""
    return math.floor(x + 0.5)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x))


def sigma(index: int) -> float:
    """Standard deviation of scale index 0 to 127, in steps: twelve to an octave."""
    return float(2 ** (index / 12 - 3))


def phi(x: float) -> float:
    """The normal distribution function."""
    return math.erfc(-x / math.sqrt(2)) / 2


# Step sizes by step index, and what Gaussian tables, networks and mixtures need of them.
STEP: I64 = np.array([rounded(2**14 * (1 + math.tanh((i - 64) / 32))) for i in range(128)])
LOGQ: I64 = np.array([rounded(12 * math.log2(step / 2**14)) for step in STEP.tolist()])
INVSTEP: I64 = np.array([rounded(2**26 / step) for step in STEP.tolist()])

# By stage, which counts from 1.
INV3: I64 = np.array([0, *(rounded(2**16 / 3 ** (s - 1)) for s in range(1, MAX_LEVELS + 1))])
LOG3: I64 = np.array([0, *(rounded(12 * (s - 1) * math.log2(3)) for s in range(1, MAX_LEVELS + 1))])

# Mixtures: weight of the second component, the normal distribution, scales and what a support covers.
MIX: I64 = np.array([min(rounded(256 * sigmoid((i - 32) / 4)), 255) for i in range(64)])
NORMAL: I64 = np.array([rounded(2**16 * phi(j / 128)) for j in range(-576, 577)])  # [j + 576]
ISIGMA: I64 = np.array([rounded(2**23 / sigma(i)) for i in range(GAUSSIANS)])
REACH: I64 = np.array([rounded(64 * sigma(i)) + 8 for i in range(GAUSSIANS)])  # 1/16 steps

# Shares from which a Gaussian's trit takes the next trit table.
ZERO: I64 = np.array([rounded(2**16 * sigmoid((i - 31.5) / 4)) for i in range(63)])
PLUS: I64 = np.array([rounded(2**16 * sigmoid((i - 31.5) / 8)) for i in range(63)])
