"""What refining and adding pays: which anchors' values are worth their finer digits, and which Gaussians
their bits, in decibels of the training views.

Between a scene's first stage and its last one every attribute of every anchor moves by a known step, and
every later Gaussian opens its mask by 1. The gradient in the middle of that way, times the way, is the
first-order change of the views' error, of all of them at once: one forward and one backward pass per view
(integrated gradients, Sundararajan et al. 2017, by the midpoint rule). Parts share what they mend, so that is
right for the best of them only. The others are measured again in further rounds, with the best at the end of
their way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gspc.model.masks import first_level
from gspc.model.storage import Gains
from gspc.ops.constants import constant
from gspc.ops.heads import neural_gaussians
from gspc.ops.rows import visible_rows
from gspc.rendering.rasterizer import rasterize
from gspc.train.masking import only_counting
from gspc.train.shots import Shot, center_of
from gspc.train.trainer import Trainer

# Of the iterations; a pass takes about as long as one. A short fit spends more, so that gains mean something.
SHARE = 0.02
FEWEST_VIEWS, MOST_VIEWS = 24, 150
# How far later Gaussians are open in the middle of their way: those at 0.5 are not drawn.
HALF_OPEN = 0.6
# What rounds after the first take as done, as shares of the price of all parts.
DONE = (0.06, 0.18)
# Prices in bits, which only choose what is done: a digit of a value, a Gaussian on an anchor that is there.
DIGIT, GAUSSIAN = 1.5, 20.0
DECIBELS = 10 / math.log(10)


def measured(trainer: Trainer, say: Callable[[str], None], interrupted: Callable[[], bool]) -> Gains | None:
    """What parts of a trained model are worth, on views of its scene. None where it has no parts, is not as
    its stream will hold it yet, or when the measuring was `interrupted`."""
    levels = trainer.model.shape.levels
    if levels == 1 or not trainer.model.quantized:
        return None
    utility = Utility(trainer)
    count = len(trainer.shots.views)
    say("measuring what each refinement is worth to the training views")
    for number_of_round, done in enumerate((0.0, *DONE)):
        utility.settle(done)
        views = chosen_views(count, trainer.iteration, utility.passes, number_of_round)
        for number in views:
            if interrupted():
                return None
            shot = trainer.shots.take(number, trainer.iteration, scale=1.0, random_behind=False)
            utility.add(shot, 1 / len(views))
    return utility.gains()


def chosen_views(views: int, iterations: int, passes: int, turn: int = 0) -> list[int]:
    """Numbers of the training views that are looked at, evenly spread, others in each round `turn`: as many
    as `SHARE` of a run's iterations lets each of its `passes` see."""
    most = max(min(FEWEST_VIEWS, iterations), int(SHARE * iterations / passes))
    count = min(views, most, MOST_VIEWS)
    shift = turn * views // (count * (1 + len(DONE)))
    return [(i * views // count + shift) % views for i in range(count)]


class Utility:
    """Gains of a trained model whose networks are integers, as its stream restores it."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.model = trainer, trainer.model
        shape, device = self.model.shape, trainer.device
        self.first = first_level(self.model.masks)
        self.world = self.model.world()
        with torch.no_grad():
            self.weights = self.model.heads.weights(quantized=True)
        # Stages whose steps are finer than those of the stage before.
        self.finer = [s for s in range(2, shape.levels + 1) if any(a.refines_at(s) for a in shape.attributes)]
        self.refined = torch.zeros(self.model.anchors, 3, shape.levels - 1, device=device)
        self.fresh = torch.zeros(self.model.anchors, shape.offsets, device=device)
        self.done_refined = torch.zeros_like(self.refined, dtype=torch.bool)
        self.done_fresh = torch.zeros_like(self.fresh, dtype=torch.bool)

    @property
    def passes(self) -> int:
        """Passes over each view."""
        return (1 + len(DONE)) * max(len(self.finer), 1)

    def gains(self) -> Gains:
        """What was measured, on the CPU."""
        return Gains(self.refined.cpu(), self.fresh.cpu())

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
        visible, anchors = visible_rows(self.world, self.model.log_scales.detach(), shot.camera)
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
        # The slope of a view's PSNR: a mean over views then predicts that of their PSNR, in which views that
        # fit badly count no more than others.
        (DECIBELS * error / error.detach().clamp_min(1e-10)).backward()
        for column, (values, way) in enumerate(zip(middle, ways, strict=True)):
            if values.grad is not None:
                gain = -(values.grad * way).flatten(1).sum(1)
                self.refined[visible, column, stage - 2] += share * gain
        if mask.grad is not None and stage == (self.finer or [2])[0]:
            self.fresh[visible] -= share * torch.where(new, mask.grad, 0.0)

    def error(
        self, shot: Shot, anchors: Tensor, values: Sequence[Tensor], mask: Tensor, visible: Tensor
    ) -> Tensor:
        """Mean squared error [] of a view drawn of the anchors `visible` [v], which lie at `anchors` [v, 3]
        and have features, log scales and offsets `values` and the masks [v, K]."""
        features, log_scales, offsets = values
        gaussians = neural_gaussians(
            features,
            log_scales,
            offsets,
            mask,
            anchors,
            constant(center_of(shot.camera), mask.device),
            self.weights,
            predicted=self.trainer.attributes.pooled(visible),
        )
        parts = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.colors)
        raster = rasterize(self.trainer.backend, *parts, shot.camera, shot.background)
        shown, wanted, weight = only_counting(raster.image, shot.target, shot.mask)
        if wanted.dtype == torch.uint8:
            wanted = wanted.float() / 255
        return weight * (shown.clamp(0, 1) - wanted).square().mean()
