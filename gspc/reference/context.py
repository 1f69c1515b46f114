"""Values of the context at a position, from the signs of the grid (pcgs(5), CONTEXT)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gspc.format.grid import GridPlane, GridSpec
from gspc.reference.arrays import I32, I64, Bool

AXES = ((0, 1, 2), (0, 1), (0, 2), (1, 2))  # of planes xyz, xy, xz, yz
PRIMES = (1, 2654435761, 805459861)


def coordinate(p: I64, low: int, size: int) -> I64:
    """Normalized coordinates [N] in [0, 2^20) of integer ones: the box fills the middle 15/16, space outside
    is contracted into what is left."""
    below = low - p
    above = p - (low + size)
    inner = (1 << 15) + (p - low) * ((1 << 20) - (1 << 16)) // size
    u = np.where(p < low, (1 << 15) - (below << 15) // np.maximum(below + size, 1), inner)
    u = np.where(p >= low + size, (1 << 20) - (1 << 15) + (above << 15) // np.maximum(above + size, 1), u)
    return np.minimum(u, (1 << 20) - 1)


def plane_context(plane: GridPlane, signs: Bool, u: Sequence[I64]) -> I64:
    """Context values [N, 4] of one plane, given its signs [entries, 4] and normalized coordinates x, y, z."""
    axes = AXES[plane.dims]
    scaled = [u[axis] * plane.resolution for axis in axes]
    cells = [v >> 20 for v in scaled]
    fractions = [(v >> 12) & 255 for v in scaled]
    values = np.where(signs, 1, -1)
    total = np.zeros((len(u[0]), 4), dtype=np.int64)
    for corner in range(1 << len(axes)):
        steps = [corner >> i & 1 for i in range(len(axes))]
        at = [cell + step for cell, step in zip(cells, steps, strict=True)]
        weight = np.ones_like(u[0])
        for fraction, step in zip(fractions, steps, strict=True):
            weight = weight * (fraction if step else 256 - fraction)
        total += weight[:, None] * values[entry(plane, at)]
    half, shift = (1 << 14, 15) if plane.dims == 0 else (1 << 6, 7)
    return (total + half) >> shift


def entry(plane: GridPlane, corner: Sequence[I64]) -> I64:
    """Entries [N] of corners: numbered if all of them fit the table, else hashed."""
    if plane.dense:
        side = plane.resolution + 1
        return np.sum([c * side**i for i, c in enumerate(corner)], axis=0)
    hashed = np.zeros_like(corner[0])
    for c, prime in zip(corner, PRIMES, strict=False):
        hashed = hashed ^ (c * prime & 0xFFFFFFFF)
    return hashed & ((1 << plane.log2_size) - 1)


def grid_context(positions: I32, grid: GridSpec, signs: Sequence[Bool]) -> I64:
    """Context [N, 4 planes] in [-512, 512] at integer positions [N, 3], given the signs of every plane."""
    p = positions.astype(np.int64)
    u = [coordinate(p[:, axis], grid.box_low[axis], grid.box_size[axis]) for axis in range(3)]
    return np.concatenate([plane_context(*pair, u) for pair in zip(grid.planes, signs, strict=True)], axis=1)
