"""How the ground plane of a scene is divided into blocks, and which photographs a block needs.

The plane is contracted around the central third of the scene: there distances stay as they are, outside
they shrink as in mip-NeRF 360 (Barron et al. 2022, section 3), along each axis by itself, so that the
plane without end becomes a square. Halos have their width there: outer blocks, which reach to infinity, get
a halo, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gspc.data.frame import depths_in
from gspc.errors import InputError
from gspc.format.tile import PLAN, Pair
from gspc.scene import F64, Camera

I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]

EDGES = (0.01, 0.99)  # quantiles between which a scene's points lie, but for strays
THIRD = 1 / 3  # of that extent are its middle
HALO = 0.1  # width of the halo, of the block's in the contracted plane
SHARE = 0.1  # of what a photograph shows, from which a block changes it
CELLS = 48  # along each side of a picture, in which the nearest points stand for what it shows


@dataclass(frozen=True)
class Contraction:
    """The ground plane [-inf, inf]^2 as the square [-2, 2]^2; the middle of the scene is [-1, 1]^2."""

    middle: F64  # [2]
    half: F64  # [2] half the size of the central third

    @classmethod
    def around(cls, plan: F64) -> Contraction:  # [P, 2]
        """The contraction around the central third of points."""
        low, high = np.quantile(plan, EDGES, axis=0)
        half = (high - low) * THIRD / 2
        return cls((low + high) / 2, np.where(half > 0, half, 1.0))

    def __call__(self, plan: F64) -> F64:  # [n, 2] -> [n, 2]
        """Contracted coordinates; infinity becomes 2."""
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = (plan - self.middle) / self.half
            size = np.abs(scaled)
            return np.where(size <= 1, scaled, np.sign(scaled) * (2 - 1 / size))


@dataclass(frozen=True)
class Box:
    """A block of the ground plane, named after its column and row."""

    name: str
    low: Pair
    high: Pair

    def holds(self, plan: F64) -> Bool:  # [n, 2] -> [n]
        """Half open: each point lies in one block."""
        return np.asarray(((plan >= self.low) & (plan < self.high)).all(axis=1))

    def touches(self, other: Box) -> bool:
        """Whether the two share an edge or a corner."""
        low, high = np.maximum(self.low, other.low), np.minimum(self.high, other.high)
        return bool((low <= high).all())


def split(plan: F64, columns: int, rows: int) -> tuple[Box, ...]:  # [P, 2]
    """Blocks with about as many points each: columns along x, each divided along z by itself. Raises
    InputError where points lie so that a block would be empty."""
    boxes = []
    for column, (left, right) in enumerate(_parts(plan[:, 0], columns)):
        inside = plan[(plan[:, 0] >= left) & (plan[:, 0] < right)]
        for row, (near, far) in enumerate(_parts(inside[:, 1], rows)):
            boxes.append(Box(f"{column}-{row}", (left, near), (right, far)))
    return tuple(boxes)


def _parts(values: F64, count: int) -> list[Pair]:
    edges = np.quantile(values, np.arange(1, count) / count) if len(values) else np.zeros(count - 1)
    ends = [-np.inf, *edges.tolist(), np.inf]
    if not len(values) or len(set(ends)) < count + 1 or not np.histogram(values, ends)[0].all():
        raise InputError(f"its points do not fill {count} blocks side by side; give a coarser --grid")
    return list(itertools.pairwise(ends))


def halo(box: Box, plan: F64, contraction: Contraction) -> Bool:  # [n, 2] -> [n]
    """Points outside a block, but near it in the contracted plane."""
    low, high = contraction(np.array([box.low, box.high]))
    margin = (high - low) * HALO
    near = contraction(plan)
    around = ((near >= low - margin) & (near < high + margin)).all(axis=1)
    return np.asarray(around & ~box.holds(plan))


def nearest_points(camera: Camera, points: F64) -> I64:  # [P, 3] -> [n]
    """The points that a picture shows: in each of `CELLS` by `CELLS` parts of it the nearest one, which hides
    those behind it."""
    depths = depths_in(camera, points)
    rows = np.flatnonzero(np.isfinite(depths))
    local = (points[rows] - camera.center) @ camera.world_to_camera[:3, :3].T
    x = (local[:, 0] / local[:, 2] * camera.fx + camera.cx) / camera.width
    y = (local[:, 1] / local[:, 2] * camera.fy + camera.cy) / camera.height
    cells = np.minimum((x * CELLS).astype(np.int64), CELLS - 1) * CELLS + np.minimum(
        (y * CELLS).astype(np.int64), CELLS - 1
    )
    order = np.lexsort((depths[rows], cells))
    first = np.unique(cells[order], return_index=True)[1]
    return rows[order[first]]


@dataclass(frozen=True)
class Shown:
    """What one photograph shows, and from where."""

    places: F64  # [c, 2] of its cameras on the ground plane
    points: I64  # [n] rows of the points that it shows


def members(boxes: Sequence[Box], plan: F64, shown: Sequence[Shown]) -> Bool:  # -> [blocks, photographs]
    """Which photographs each block needs: those taken inside it, and those of which it is at least `SHARE`;
    and, so that none is lost, each photograph is with the block that it shows most of."""
    block_of = np.full(len(plan), -1)
    for number, box in enumerate(boxes):
        block_of[box.holds(plan)] = number
    result = np.zeros((len(boxes), len(shown)), np.bool_)
    for column, one in enumerate(shown):
        counts = np.bincount(block_of[one.points], minlength=len(boxes))
        result[:, column] = counts >= max(1.0, SHARE * counts.sum())
        result[int(counts.argmax()), column] |= bool(counts.any())
        for number, box in enumerate(boxes):
            result[number, column] |= bool(box.holds(one.places).any())
    return result


def on_plan(points: F64) -> F64:  # [n, 3] -> [n, 2]
    """Points seen from above."""
    return points[:, PLAN]
