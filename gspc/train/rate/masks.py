"""How masks learn from the rate: whether they pay for what they open, and how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from gspc.model.anchors import AnchorModel
from gspc.model.masks import gaussian_mask, mask_logits
from gspc.recipe import MaskCosts
from gspc.train.rate.terms import Cost, times
from gspc.train.schedule import Schedule


class MaskPayment(Protocol):
    """What masks pay for the Gaussians that they open."""

    def __init__(self, model: AnchorModel, schedule: Schedule) -> None: ...

    def shown(self, masks: Tensor) -> Tensor:
        """The sample's mask parameters [n, K, S] as the terms of the rate see them."""

    def open_bits(
        self, level: int, costs: Sequence[Cost], open_masks: Tensor | None, iteration: int
    ) -> Tensor | float:
        """Zero [], with the gradient of what all anchors' open masks cost beside the terms.

        `costs` are those of the terms at `level`; `open_masks` [] says how many masks are open there, if it
        was counted.
        """


class OwnCosts:
    """A mask pays the bits of its own Gaussian, in the iterations that have its anchor in the sample."""

    def __init__(self, model: AnchorModel, schedule: Schedule) -> None:
        pass

    def shown(self, masks: Tensor) -> Tensor:
        """See `MaskPayment`, [n, K, S]: gradients flow through the terms."""
        return masks

    def open_bits(
        self, level: int, costs: Sequence[Cost], open_masks: Tensor | None, iteration: int
    ) -> float:
        """See `MaskPayment`; open_masks [] -> []."""
        return 0.0


class MeanCosts:
    """Every open mask pays what a Gaussian of the sample costs on average, in every iteration.

    An anchor is in the sample in one iteration of twenty, where its own bits would weigh twenty times as
    much: with a short run's haste a single such step closes a mask for good, whatever its Gaussian does for
    the pictures.
    """

    def __init__(self, model: AnchorModel, schedule: Schedule) -> None:
        self.model, self.schedule = model, schedule

    def shown(self, masks: Tensor) -> Tensor:
        """See `MaskPayment`, [n, K, S]: the terms give no gradient."""
        return masks.detach()

    def open_bits(
        self, level: int, costs: Sequence[Cost], open_masks: Tensor | None, iteration: int
    ) -> Tensor | float:
        """See `MaskPayment`; open_masks [] -> []."""
        if not self.schedule.masks_learn(iteration):
            return 0.0
        offsets = self.model.shape.offsets
        per_gaussian = sum(c.gaussian + c.anchor / offsets for c in costs)  # `anchor_mask`'s gradient
        if open_masks is None:
            open_masks = gaussian_mask(self.model.masks, level).sum()
        return times(per_gaussian, open_masks - open_masks.detach())


MASK_PAYMENTS: Mapping[MaskCosts, type[MaskPayment]] = {"own": OwnCosts, "mean": MeanCosts}


class MaskPenalty:
    """HAC's mask loss: the mean soft mask, whatever it costs."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def loss(self, masks: Tensor, level: int) -> Tensor:
        """Of mask parameters [n, K, S] at `level`, a scalar."""
        return self.weight * torch.sigmoid(mask_logits(masks, level)).mean()
