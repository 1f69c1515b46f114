"""What the bits of an iteration are made of, and what they weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Opening:
    """What masks pay for being open, beside the bits of the sample: no bits, but the gradient of a cost for
    each of them."""

    # Of a Gaussian and of an anchor, which its Gaussians share; float64 [] or numbers. All add up.
    costs: Sequence[tuple[Tensor | float, Tensor | float]]
    offsets: int  # Gaussians of an anchor
    open_masks: Tensor  # [] how many are open


@dataclass(frozen=True)
class Signs:
    """Signs that are coded with one adaptive binary model."""

    share: Tensor  # [] of +1
    count: int


@dataclass(frozen=True)
class Weight:
    """factor (rate_weight (relative / unit)), or without the last two."""

    factor: float
    rate_weight: float
    relative: Tensor | float | None = None  # float64 [] on the device
    unit: float = 1.0

    def value(self) -> Tensor | float:  # -> []
        """The product."""
        if self.relative is None:
            return self.factor * self.rate_weight
        return self.factor * (self.rate_weight * (self.relative / self.unit))


@dataclass(frozen=True)
class Bits:
    """Bits of an iteration."""

    sample: Sequence[Tensor]  # [] each, of the sample
    share: float  # how many times the sample is all anchors
    openings: Sequence[Opening]
    grid: Signs | None  # the grid's tables, while they learn
    values: int  # all of them are divided by it
