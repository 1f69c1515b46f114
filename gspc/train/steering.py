"""Rate weights that change while a fit runs, so that its stream takes the bytes that were asked for.

A proportional and integral controller on logarithms: bytes answer a change of the rate weights late, over
about a tenth of a run, and by about the third power of it.
"""

from __future__ import annotations

import math

BEGINS = 0.50  # share of the run: anchors no longer grow from here on, which no weight should fight
UPDATES = 100  # in a run: an estimate of the size takes as long as a few iterations
INTEGRAL = 0.30  # of the logarithmic error, per update
PROPORTIONAL = 2.0
MOST = math.log(
    200.0
)  # of the factor either way: beyond that a target is out of reach, and masks close for good


class Steering:
    """What the rate weights are multiplied with; 1 without a target."""

    def __init__(self, target: int | None, iterations: int) -> None:
        """`target`: bytes of the whole stream, or None."""
        self.target = target
        self.every = max(1, iterations // UPDATES)
        self.begins = int(BEGINS * iterations)
        self.integral = 0.0  # logarithm; what a checkpoint keeps, with `error`
        self.error = 0.0  # logarithm of estimate over target, of the last update

    @property
    def factor(self) -> float:
        """Of the rate weights."""
        return math.exp(min(max(self.integral + PROPORTIONAL * self.error, -MOST), MOST))

    def due(self, iteration: int) -> bool:
        """Whether `update` wants to know the size after this many iterations."""
        return self.target is not None and iteration >= self.begins and iteration % self.every == 0

    def update(self, estimated_bytes: int) -> None:
        """Takes in what the stream would take now."""
        assert self.target is not None
        self.error = math.log(max(estimated_bytes, 1) / self.target)
        self.integral = min(max(self.integral + INTEGRAL * self.error, -MOST), MOST)
