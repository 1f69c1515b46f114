"""Gains of refinements and later Gaussians: against finite differences, and what a fit keeps of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from train_scenes import POOLED, SMALL, noise_scene, trainer

from gspc.train.trainer import Trainer
from gspc.train.utility import FEWEST_VIEWS, MOST_VIEWS, Utility, chosen_views, measured


def finished(change: dict[str, Any], recipe=POOLED) -> Trainer:
    """A trainer whose networks are integers; some Gaussians appear at later levels."""
    made = trainer(noise_scene(), recipe.changed(**change), 99)
    with torch.no_grad():
        made.model.masks[::3, ::2, 0] = -5.0
        made.model.masks[::3, ::2, 1:] = -9.0
        made.model.masks[::3, ::2, 1 + torch.arange(2).repeat(1)] = 9.0
        made.model.masks[::6, ::2, 1] = -9.0
    made.step()
    return made


class Recorded(Utility):
    """Keeps what the error was asked about."""

    def error(self, *asked: Any) -> Tensor:
        self.asked = asked
        return super().error(*asked)

    @torch.no_grad()
    def decibels(self, values: list[Tensor], mask: Tensor) -> float:
        """PSNR with other values."""
        shot, anchors, _, _, visible = self.asked
        return -10 * math.log10(float(super().error(shot, anchors, values, mask, visible)))


@pytest.mark.parametrize("change", [{"refine_until": 2, "progressive_offsets": True, "chunks": 3}, {}])
def test_gains_are_slopes_along_the_way(change: dict[str, Any]) -> None:
    utility = Recorded(finished(change))
    shot = utility.trainer.shots.take(0, 99, scale=1.0, random_behind=False)
    utility.settle(0.0)
    utility.add(shot, 1.0)
    stage = utility.finer[-1]
    _, _, middle, mask, visible = utility.asked
    before, after = (utility.trainer.attributes.stored(visible, at) for at in (stage - 1, stage))
    for column in range(3):
        gains = utility.refined[visible, column, stage - 2]
        rows = gains.abs() > 0.2 * gains.abs().max()
        way = (after[column] - before[column]) * rows.view(-1, *[1] * (after[column].ndim - 1))
        ends = [[*middle[:column], middle[column] + s * 0.02 * way, *middle[column + 1 :]] for s in (-1, 1)]
        low, high = (utility.decibels(values, mask) for values in ends)
        assert (high - low) / 0.04 == pytest.approx(float(gains[rows].sum()), rel=0.1, abs=1e-4)
    if stage != utility.finer[0]:
        return
    gains = utility.fresh[visible]
    row, slot = divmod(int(gains.abs().argmax()), gains.shape[1])
    moved = torch.zeros_like(mask)
    moved[row, slot] = 0.02
    low, high = (utility.decibels(middle, mask + s * moved) for s in (-1, 1))
    assert (high - low) / 0.04 == pytest.approx(float(gains[row, slot]), rel=0.05)
