"""Morton keys (pcgs(5), TERMS)."""

from __future__ import annotations

import numpy as np

from gspc.format.limits import MAX_POSITION_BITS
from gspc.reference.arrays import I32, U64


def morton_keys(positions: I32) -> U64:
    """Keys [N] of positions [N, 3]: bit 3i is bit i of x, bit 3i + 1 that of y, bit 3i + 2 that of z.

    >>> morton_keys(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 3]])).tolist()
    [1, 2, 36]
    """
    keys = np.zeros(len(positions), dtype=np.uint64)
    for axis, values in enumerate(positions.astype(np.uint64).T):
        for bit in range(MAX_POSITION_BITS):
            keys |= (values >> np.uint64(bit) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return keys


def morton_positions(keys: U64) -> I32:
    """Positions [N, 3] of keys [N].

    >>> morton_positions(np.array([1, 2, 36], dtype=np.uint64)).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 0, 3]]
    """
    positions = np.zeros((len(keys), 3), dtype=np.int32)
    for axis in range(3):
        for bit in range(MAX_POSITION_BITS):
            one = keys >> np.uint64(3 * bit + axis) & np.uint64(1)
            positions[:, axis] |= one.astype(np.int32) << bit
    return positions
