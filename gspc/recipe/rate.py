"""What the rate in the training loss consists of and how much it weighs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gspc.recipe.group import Group, about

Accumulate = Literal["none", "rate", "rate-and-fidelity"]
RateAnchors = Literal["all", "visible"]
MaskCosts = Literal["own", "mean"]


@dataclass(frozen=True)
class Rate(Group):
    """Weights and terms of the rate; `gspc.train.rate` makes an object of each."""

    coarsest_rate_weight: float = field(
        default=1e-2, metadata=about("rate weight (lambda) of level 1", 0, 10)
    )
    finest_rate_weight: float = field(
        default=2e-5, metadata=about("rate weight of the last level; those between are even in log", 0, 10)
    )
    relative_rate: bool = field(
        default=True,
        metadata=about("rate weights relative to the picture's loss, alike in dB for every scene"),
    )
    accumulate: Accumulate = field(
        default="none",
        metadata=about("what the loss counts of the levels before the one that an iteration trains"),
    )
    position_rate: bool = field(default=True, metadata=about("positions in the rate"))
    mask_rate: bool = field(default=True, metadata=about("masks in the rate"))
    mask_costs: MaskCosts = field(
        default="mean",
        metadata=about(
            "what masks pay for a Gaussian: its own bits whenever its anchor is in the rate's sample, or the "
            "sample's mean all the time"
        ),
    )
    mask_loss: float = field(
        default=0.0, metadata=about("weight of the mean soft mask (HAC's mask loss)", 0, 10)
    )
    rate_anchors: RateAnchors = field(default="all", metadata=about("anchors whose rate is sampled"))

    def weights(self, levels: int) -> tuple[float, ...]:
        """Lambda of each level, evenly spread on a log scale."""
        first, last = self.coarsest_rate_weight, self.finest_rate_weight
        if levels == 1:
            return (last,)
        if first == 0 or last == 0:
            return tuple(first + (last - first) * i / (levels - 1) for i in range(levels))
        return tuple(first * (last / first) ** (i / (levels - 1)) for i in range(levels))
