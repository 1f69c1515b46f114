"""What the anchors of the first stage are worth (`gspc.train.worth`), each with its Gaussians of that stage.

Where few anchors are drawn each counts for more, and others count than where all are. So the best are
measured again without the rest, the best of these again, and so on: a first level has but a few.
"""

from __future__ import annotations

import torch

from gspc.ops.rows import visible_rows
from gspc.train.shots import Shot
from gspc.train.trainer import Trainer
from gspc.train.utility.pictures import Pictures
from gspc.train.worth import gains, prices

# The best anchors, which make up these shares of the price of all, are measured together.
ROUNDS = (1.0, 0.6, 0.35, 0.2)
SLOPES = 0.5  # up to this share the picture is far from the photographs


class Anchors(Pictures):
    """Gains of anchors, measured in rounds: `begin`, `add` each view, `end`."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer)
        self.chance = torch.Generator().manual_seed(0)
        begin = self.first == 1
        self.price = torch.where(begin.any(1), prices(begin), 0.0)  # [N] bits
        self.present = begin.any(1)  # [N] what is measured
        self.gains = torch.zeros_like(self.price)  # [N] dB
        self.found = torch.zeros_like(self.price)  # [N] of this round
        self.slopes = False

    def begin(self, share: float) -> None:
        """Begins a round, of the best anchors that make up a share of the price of all."""
        if share < 1:
            worth = torch.where(self.present, self.gains / self.price, 0.0)
            order = torch.argsort(worth, descending=True)
            best = torch.zeros_like(self.present)
            best[order] = self.price[order].cumsum(0) <= share * self.price.sum()
            self.present &= best
        self.found.zero_()
        self.slopes = share < SLOPES

    def add(self, shot: Shot, share: float) -> None:
        """Adds what a view says; `share` is the view's of all."""
        visible, _ = visible_rows(self.world, self.model.log_scales, self.model.offsets, shot.camera)
        visible = visible[self.present[visible]]
        if not len(visible):
            return
        present = torch.ones(len(visible), 1, device=self.device, requires_grad=True)
        values = self.trainer.attributes.stored(visible, 1)
        mask = (self.first[visible] == 1) * present
        shown, wanted, weight = self.compared(shot, self.world[visible], values, mask, visible)
        self.found[visible] += share * gains(shown, wanted, weight, present, self.chance, slopes=self.slopes)

    def end(self) -> None:
        """Ends a round: what it measured of the best is added to what the least of them are worth, so that
        they stay the best."""
        if not bool(self.present.any()):
            return
        least = (self.gains / self.price)[self.present].amin()
        now = self.price * least + self.found.clamp_min(0)
        self.gains = torch.where(self.present, now, self.gains)
