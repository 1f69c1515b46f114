"""What refining and adding pays: which anchors' values are worth their finer digits, and which Gaussians
their bits.

Between a scene's first stage and its last one every attribute of every anchor moves by a known step, and
every later Gaussian opens its mask by 1. The gradient in the middle of that way, times the way, is the
first-order change of the views' error, of all of them at once: one forward and one backward pass per view
(integrated gradients, Sundararajan et al. 2017, by the midpoint rule). Parts share what they mend, so that is
right for the best of them only. The others are measured again in further rounds, with the best at the end of
their way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops.rows import visible_rows
from gspc.train.shots import Shot
from gspc.train.trainer import Trainer
from gspc.train.utility.pictures import Pictures
from gspc.train.worth import DECIBELS, LEAST_ERROR

# How far later Gaussians are open in the middle of their way: those at 0.5 are not drawn.
HALF_OPEN = 0.6
# What rounds after the first take as done, as shares of the price of all parts.
DONE = (0.06, 0.18)
# Prices in bits, which only choose what is done: a digit of a value, a Gaussian on an anchor that is there.
DIGIT, GAUSSIAN = 1.5, 20.0


class Steps(Pictures):
    """Gains of refinements and later Gaussians, measured in rounds: `settle`, then `add` each view."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer)
        shape, device = self.model.shape, self.device
        # Stages whose steps are finer than those of the stage before.
        self.finer = [s for s in range(2, shape.levels + 1) if any(a.refines_at(s) for a in shape.attributes)]
        self.refined = torch.zeros(self.model.anchors, 3, shape.levels - 1, device=device)
        self.fresh = torch.zeros(self.model.anchors, shape.offsets, device=device)
        self.done_refined = torch.zeros_like(self.refined, dtype=torch.bool)
        self.done_fresh = torch.zeros_like(self.fresh, dtype=torch.bool)

    @property
    def passes(self) -> int:
        """Passes over each view in all rounds."""
        return (1 + len(DONE)) * max(len(self.finer), 1)

    def settle(self, share: float) -> None:
        """Begins a round: the best parts, which make up a share of the price of all, keep their gains and are
        at the end of their way; the others are measured anew."""
        values = torch.tensor([a.values for a in self.model.shape.attributes], device=self.refined.device)
        prices = (DIGIT * values)[:, None].expand_as(self.refined)
        gain = torch.cat([self.refined.flatten(), self.fresh.flatten()])
        price = torch.cat([prices.flatten(), torch.full_like(self.fresh, GAUSSIAN).flatten()])
        price = torch.where(gain == 0, 0.0, price)
        order = torch.argsort(gain / price.clamp_min(1e-9), descending=True)
        best = torch.zeros_like(gain, dtype=torch.bool)
        best[order] = price[order].cumsum(0) <= share * price.sum()
        best &= gain > 0
        refined, fresh = best.split([self.refined.numel(), self.fresh.numel()])
        self.done_refined, self.done_fresh = refined.view_as(self.refined), fresh.view_as(self.fresh)
        self.refined *= self.done_refined
        self.fresh *= self.done_fresh

    def add(self, shot: Shot, share: float) -> None:
        """Adds what a view says; `share` is the view's of all."""
        visible, anchors = visible_rows(self.world, self.model.log_scales, self.model.offsets, shot.camera)
        if not len(visible):
            return
        for stage in self.finer or [2]:
            self._add(shot, share, visible, anchors, stage)

    def _add(self, shot: Shot, share: float, visible: Tensor, anchors: Tensor, stage: int) -> None:
        """What the view says about the steps of a stage and, the first time, about later Gaussians."""
        before, after = (self.trainer.attributes.stored(visible, at) for at in (stage - 1, stage))
        left = ~self.done_refined[visible, :, stage - 2]
        # An anchor that appears at the stage or later has its steps from the start.
        first = self.first[visible]
        left &= (torch.where(first > 0, first, stage).amin(1) < stage)[:, None]
        ways, middle = [], []
        for column, (a, b) in enumerate(zip(before, after, strict=True)):
            open_way = left[:, column].view(-1, *[1] * (a.ndim - 1))
            ways.append(torch.where(open_way, b - a, 0.0))
            middle.append((b - ways[-1] / 2).requires_grad_())
        new = (first > 1) & ~self.done_fresh[visible]
        mask = torch.where(new, HALF_OPEN, (first > 0).float()).requires_grad_()
        error = self.error(shot, anchors, middle, mask, visible)
        (DECIBELS * error / error.detach().clamp_min(LEAST_ERROR)).backward()
        for column, (values, way) in enumerate(zip(middle, ways, strict=True)):
            if values.grad is not None:
                gain = -(values.grad * way).flatten(1).sum(1)
                self.refined[visible, column, stage - 2] += share * gain
        if mask.grad is not None and stage == (self.finer or [2])[0]:
            self.fresh[visible] -= share * torch.where(new, mask.grad, 0.0)
