"""How masks learn from the rate: whether they pay for what they open, and how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from gspc.model.anchors import AnchorModel
from gspc.model.masks import gaussian_mask, mask_logits
from gspc.ops.weigh import Opening
from gspc.recipe import MaskCosts
from gspc.train.rate.terms import Cost
from gspc.train.schedule import Schedule


class MaskPayment(Protocol):
    """What masks pay for the Gaussians that they open."""

    def __init__(self, model: AnchorModel, schedule: Schedule) -> None: ...

    def shown(self, masks: Tensor) -> Tensor:
        """The sample's mask parameters [n, K, S] as the terms of the rate see them."""

    def opening(
        self, level: int, costs: Sequence[Cost], open_masks: Tensor | None, iteration: int
    ) -> Opening | None:
        """What all anchors' open masks cost beside the terms.

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

    def opening(
        self, level: int, costs: Sequence[Cost], open_masks: Tensor | None, iteration: int
    ) -> Opening | None:
        """See `MaskPayment`; open_masks []."""
        return None


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

    def opening(
        self, level: int, costs: Sequence[Cost], open_masks: Tensor | None, iteration: int
    ) -> Opening | None:
        """See `MaskPayment`; open_masks []. An anchor's cost is shared by `anchor_mask`'s gradient."""
        if not self.schedule.masks_learn(iteration):
            return None
        if open_masks is None:
            open_masks = gaussian_mask(self.model.masks, level).sum()
        return Opening([(c.gaussian, c.anchor) for c in costs], self.model.shape.offsets, open_masks)


MASK_PAYMENTS: Mapping[MaskCosts, type[MaskPayment]] = {"own": OwnCosts, "mean": MeanCosts}


class MaskPenalty:
    """HAC's mask loss: the mean soft mask, whatever it costs."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def loss(self, masks: Tensor, level: int) -> Tensor:
        """Of mask parameters [n, K, S] at `level`, a scalar."""
        return self.weight * torch.sigmoid(mask_logits(masks, level)).mean()
