"""What the rate of a level is made of: terms that price a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gspc.model.entropy import binary_entropy
from gspc.train.rate.sample import LevelSample

POSITION_BITS = 8.0  # per anchor; what octree coding of trained clouds costs, level 1 of fox and lego


@dataclass(frozen=True)
class Cost:
    """Bits that one more anchor, without its Gaussians, and one more Gaussian take at a level: numbers, or
    float64 [] on the device."""

    anchor: Tensor | float
    gaussian: Tensor | float


@dataclass(frozen=True)
class Price:
    """What a term takes of a level."""

    bits: Tensor  # [] of the sample, with gradients
    cost: Cost  # of more of the same


class Term(Protocol):
    """A part of the rate."""

    def price(self, at: LevelSample) -> Price:
        """Bits that the level adds for the sample, and what one more anchor or Gaussian would cost."""


class PositionsTerm:
    """Where the anchors are that appear."""

    def price(self, at: LevelSample) -> Price:
        """See `Term`."""
        appearing = at.tally.appearing if at.tally else at.anchors.appears.sum()
        return Price(POSITION_BITS * appearing, Cost(POSITION_BITS, 0.0))


class MasksTerm:
    """Which Gaussians appear: one symbol for each that could, those of all anchors alive that were not there
    before, coded with one adaptive model. k ones among n symbols take n H(k / n) bits."""

    def __init__(self, offsets: int) -> None:
        self.offsets = offsets

    def price(self, at: LevelSample) -> Price:
        """See `Term`."""
        if at.tally:
            return Price(at.tally.mask_bits, Cost(at.tally.anchor_cost, at.tally.gaussian_cost))
        candidates = ((1 - at.gaussians.refined) * at.anchors.alive).sum()
        appearing = at.gaussians.appears.sum() / candidates.clamp_min(1.0)
        return Price(candidates * binary_entropy(appearing), self._cost(appearing.detach().double()))

    def _cost(self, appearing: Tensor) -> Cost:  # []
        """Derivatives of n H(k / n) by n, times the symbols of an anchor, and by k."""
        p = appearing.clamp(1e-3, 1 - 1e-3)
        return Cost(-self.offsets * torch.log2(1 - p), torch.log2((1 - p) / p))
