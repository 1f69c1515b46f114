"""What the anchors of the first stage are worth, each with its Gaussians of that stage.

That is how far views would move from the photographs without one. Training leaves no slope to see it by, but
a change d of the picture raises the squared error by d^2, summed over pixels. This sum is estimated for all
anchors at once: signs of chance, one for each value of the picture, times the derivative of that value by the
anchor's presence, added up, have it as the mean of their square (Hutchinson 1990).

Where few anchors are drawn each counts for more, and others count than where all are. So the best are
measured again without the rest, the best of these again, and so on: a first level has but a few.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops.rows import visible_rows
from gspc.train.shots import Shot
from gspc.train.trainer import Trainer
from gspc.train.utility.pictures import DECIBELS, LEAST_ERROR, Pictures

# The best anchors, which make up these shares of the price of all, are measured together.
ROUNDS = (1.0, 0.6, 0.35, 0.2)
# Up to this share the picture is far from the photographs, and the slope of the error counts, too. Where all
# are there it is what the views of training alone would like.
SLOPES = 0.5
# Prices in bits, which only choose what is measured again.
ANCHOR, GAUSSIAN = 30.0, 13.0
PROBES = 2  # draws of signs for each view


class Anchors(Pictures):
    """Gains of anchors, measured in rounds: `begin`, `add` each view, `end`."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer)
        self.chance = torch.Generator().manual_seed(0)
        gaussians = (self.first == 1).sum(1)
        self.price = ANCHOR + GAUSSIAN * gaussians  # [N]
        self.present = gaussians > 0  # [N] what is measured
        self.gains = torch.zeros_like(self.price)  # [N] dB
        self.found = torch.zeros_like(self.price)  # [N] of this round
        self.slopes = False

    def begin(self, share: float) -> None:
        """Begins a round, of the best anchors that make up a share of the price of all."""
        if share < 1:
            worth = torch.where(self.present, self.gains / self.price, 0.0)
            order = torch.argsort(worth, descending=True)
            price = torch.where(self.first[order].eq(1).any(1), self.price[order], 0.0)
            best = torch.zeros_like(self.present)
            best[order] = price.cumsum(0) <= share * price.sum()
            self.present &= best
        self.found.zero_()
        self.slopes = share < SLOPES

    def add(self, shot: Shot, share: float) -> None:
        """Adds what a view says; `share` is the view's of all."""
        visible, _ = visible_rows(self.world, self.model.log_scales.detach(), shot.camera)
        visible = visible[self.present[visible]]
        if not len(visible):
            return
        present = torch.ones(len(visible), 1, device=self.device, requires_grad=True)
        values = self.trainer.attributes.stored(visible, 1)
        mask = (self.first[visible] == 1) * present
        shown, wanted, weight = self.compared(shot, self.world[visible], values, mask, visible)
        error = weight * (shown - wanted).square().mean()
        change = self._squares(shown, present) * weight
        if self.slopes:
            (slope,) = torch.autograd.grad(error, present, retain_graph=True)
            change = change - slope[:, 0]
        self.found[visible] += share * DECIBELS * change / error.detach().clamp_min(LEAST_ERROR)

    def _squares(self, shown: Tensor, present: Tensor) -> Tensor:  # -> [v]
        """By how much the mean square of the picture [H, W, 3] changes without each of `present` [v, 1]."""
        squares = torch.zeros_like(present[:, 0])
        for _ in range(PROBES):
            signs = torch.randint(0, 2, shown.shape, generator=self.chance).to(shown) * 2 - 1
            (change,) = torch.autograd.grad((shown * signs).sum(), present, retain_graph=True)
            squares += change[:, 0].square() / (PROBES * shown.numel())
        return squares

    def end(self) -> None:
        """Ends a round: what it measured of the best is added to what the least of them are worth, so that
        they stay the best."""
        if not bool(self.present.any()):
            return
        least = (self.gains / self.price)[self.present].amin()
        now = self.price * least + self.found.clamp_min(0)
        self.gains = torch.where(self.present, now, self.gains)
