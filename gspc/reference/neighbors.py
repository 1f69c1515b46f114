"""What the neighbors of a node say about its children (pcgs(5), POSITIONS, What is around a child)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

Place = tuple[int, int, int]  # coordinates of a node among those of its depth

DIRECTIONS = [(x, y, z) for z, y, x in product((-1, 0, 1), repeat=3) if (x, y, z) != (0, 0, 0)]
LEAST = (0, 3, 1, 1)  # weight of an expected neighbor by its order: at least this
HIT, NEAR = (0, 4, 3, 3), (0, 2, 1, 0)  # what a child of a neighbor adds to the weight, by order


@dataclass
class Neighbor:
    """A node that holds keys, as its neighbors see it. Children are masks, bit c for child c."""

    children: int  # that hold keys, as far as they are known
    many: int  # that hold two fresh keys or more
    coded: bool  # whether all children are known; else the neighbor is expected


@dataclass
class Around:
    """Sums over the neighbors of a node, by child."""

    count: int = 0  # neighbors
    score: list[int] = field(default_factory=lambda: [0] * 8)
    many: list[int] = field(default_factory=lambda: [0] * 8)
    # [child][axis]: 0 no neighbor there, 1 expected and no hit, 2 coded and no hit, 3 hit
    face: list[list[int]] = field(default_factory=lambda: [[0] * 3 for _ in range(8)])

    def add(self, direction: Place, neighbor: Neighbor) -> None:
        """Counts a neighbor in, for the children that it touches."""
        self.count += 1
        axes = [axis for axis, step in enumerate(direction) if step]
        for child in touched(direction):
            weight, hit = touching(neighbor.children, child, axes)
            self.score[child] += weight if neighbor.coded else max(weight, LEAST[len(axes)])
            if neighbor.coded:
                self.many[child] += touching(neighbor.many, child, axes)[0]
            if len(axes) == 1:
                self.face[child][axes[0]] = 3 if hit else 2 if neighbor.coded else 1


def touched(direction: Place) -> list[int]:
    """The children on the side of a node where the neighbor in some direction is.

    >>> touched((1, 0, 0)), touched((-1, 1, 1))
    ([1, 3, 5, 7], [6])
    """
    return [
        child
        for child in range(8)
        if all(not step or (step > 0) == bool(child >> axis & 1) for axis, step in enumerate(direction))
    ]


def touching(mask: int, child: int, axes: Sequence[int]) -> tuple[int, int]:
    """What a neighbor with children `mask` gives the child that it touches: a weight, and 1 for a hit, which
    is a key right across. `axes` are those along which the neighbor is away."""
    flips = sum(1 << axis for axis in axes)
    across = child ^ flips
    hit = mask >> across & 1
    near = sum(mask >> other & 1 for other in range(8) if not (other ^ across) & flips)
    return HIT[len(axes)] * hit + NEAR[len(axes)] * near, hit
