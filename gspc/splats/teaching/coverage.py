"""Who is seen by how many cameras, and the cameras that together see most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gspc.scene import F32, Camera
from gspc.splats.teaching.looking import sized
from gspc.splats.teaching.sight import Eye

SEVERAL = 3  # cameras from which a Gaussian's place and size can be told
TRACKED = 200_000  # Gaussians at most that are kept account of: enough to know shares to a thousandth
PIXELS = 320 * 240  # of the pictures; in much smaller ones the blur of a pixel hides what lies behind

Seen = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Coverage:
    """Shares of the splat's Gaussians, each counted by its opacity.

    hidden: what no picture showed that was looked at, those aimed at it included; it lies within matter.
    by_one, by_several: of the rest, what is seen by one camera, or SEVERAL, at least.
    """

    hidden: float
    by_one: float
    by_several: float


@dataclass(frozen=True)
class Account:
    """The Gaussians that are kept account of."""

    rows: NDArray[np.int64]  # [T]
    weights: F32  # [T], their sum is 1

    @classmethod
    def of(cls, weights: F32) -> Account:
        """All of them or, of very many, a sample to whose members the weight is spread evenly."""
        alive = np.flatnonzero(weights)
        if len(alive) <= TRACKED:
            return cls(alive, weights[alive] / weights[alive].sum())
        passed = np.cumsum(weights, dtype=np.float64)
        steps = (np.arange(TRACKED) + 0.5) / TRACKED * passed[-1]
        rows, times = np.unique(np.searchsorted(passed, steps), return_counts=True)
        return cls(rows, (times / TRACKED).astype(np.float32))

    def seen(self, eye: Eye, cameras: Sequence[Camera]) -> Seen:  # [V, T]
        """Whom each camera sees."""
        found = np.zeros((len(cameras), len(self.rows)), np.bool_)
        for number, camera in enumerate(cameras):
            found[number] = eye.seen(sized(camera, PIXELS))[self.rows]
        return found

    def coverage(self, seen: Seen, visible: Seen) -> Coverage:
        """What cameras cover that see `seen` [V, T], where any picture at all showed `visible` [T]."""
        times = seen.sum(axis=0)
        there = float(self.weights[visible].sum()) or 1.0
        by_one, by_several = (float(self.weights[times >= n].sum()) / there for n in (1, SEVERAL))
        return Coverage(max(0.0, 1 - there), min(by_one, 1.0), min(by_several, 1.0))


class Choice:
    """Takes cameras one after the other, each time the one that adds most: the weight that it sees, every
    Gaussian the less the more cameras see it already, times the worth of its picture."""

    def __init__(self, seen: Seen, weights: F32, worth: Sequence[float], times: Counts) -> None:
        """`times` [T], how many cameras see each Gaussian so far, counts along."""
        self.seen, self.weights, self.times = seen, weights, times
        self.left = np.array(worth, np.float32)  # 0: taken
        self._values = seen.astype(np.float32)

    def take(self, among: NDArray[np.bool_] | None = None) -> int | None:
        """The next camera, of `among` [V] where that is given; None when none adds anything."""
        gains = (self._values @ (self.weights / np.square(1.0 + self.times, dtype=np.float32))) * self.left
        if among is not None:
            gains[~among] = 0
        best = int(gains.argmax()) if len(gains) else 0
        if not len(gains) or gains[best] <= 0:
            return None
        self.left[best] = 0
        self.times += self.seen[best]
        return best
