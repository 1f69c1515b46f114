"""Anchors that are not worth their bits leave the training."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from train_scenes import SMALL, noise_scene, trainer

from gspc.model.masks import first_level
from gspc.train.densify import prune_worthless
from gspc.train.guards import FEWEST_ANCHORS
from gspc.train.schedule import WEIGHED_AT, Schedule
from gspc.train.worth import ANCHOR, GAUSSIAN, gains, prices


def test_anchors_are_weighed_when_growth_is_over_and_once_more() -> None:
    assert not any(Schedule.of(SMALL, 200).weighs(i) for i in range(200))
    for iterations in (300, 1000, 30_000):
        schedule = Schedule.of(SMALL, iterations)
        weighed = [i for i in range(iterations) if schedule.weighs(i)]
        assert len(weighed) == 2
        assert not any(schedule.densifies(i) or schedule.rounds(i) for i in weighed)
        assert all(schedule.masks_learn(i) and i > iterations / 2 for i in weighed)


def test_price_of_an_anchor() -> None:
    level_of = torch.tensor([[0, 1, 3], [0, 0, 0], [2, 2, 2]], dtype=torch.uint8)
    expected = [ANCHOR + count * GAUSSIAN for count in (2, 0, 3)]
    assert prices(level_of).tolist() == expected


def test_gain_of_a_picture_that_is_a_sum() -> None:
    """Each anchor adds a picture of its own: what is lost without it is its square over the error."""
    chance = torch.Generator().manual_seed(1)
    parts = torch.rand(3, 8, 9, 3, generator=chance) * torch.tensor([0.3, 0.1, 0.0]).view(3, 1, 1, 1)
    wanted = torch.rand(8, 9, 3, generator=chance)
    present = torch.ones(3, 1, requires_grad=True)
    shown = (parts * present.view(3, 1, 1, 1)).sum(0)
    error = (shown - wanted).square().mean().detach()
    many = [gains(shown, wanted, 1.0, present, chance) for _ in range(2000)]
    found = torch.stack(many).mean(0)
    expected = 10 / torch.tensor(10.0).log() * parts.square().mean((1, 2, 3)) / error
    assert found.tolist() == pytest.approx(expected.tolist(), rel=0.05)
    with_slopes = gains(shown, wanted, 1.0, present, chance, slopes=True)
    same = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    with_slopes, plain = (
        gains(shown, wanted, 1.0, present, state, slopes=slopes)
        for state, slopes in zip(same, (True, False), strict=True)
    )
    slope = 2 * (parts * (shown - wanted).detach()).mean((1, 2, 3))
    difference = 10 / torch.tensor(10.0).log() * slope / error
    assert (plain - with_slopes).detach().tolist() == pytest.approx(difference.tolist(), rel=1e-3, abs=1e-6)


def test_who_is_worth_too_little_goes() -> None:
    made = trainer(noise_scene(), SMALL, 55)
    price = prices(first_level(made.model.masks))
    assert made.model.anchors > 2 * FEWEST_ANCHORS
    worth = torch.linspace(0, 4, made.model.anchors)
    left = (worth >= 1.5).nonzero()[:, 0]
    before = made.model.positions
    gains = worth * price / price.sum()
    statistics = prune_worthless(made.model, made.optimizer, made.statistics, gains, 1.5)
    assert torch.equal(made.model.positions, before[left])
    assert len(statistics.visible) == len(left)
    prune_worthless(made.model, made.optimizer, statistics, gains[left], 1000.0)
    assert made.model.anchors == max(
        FEWEST_ANCHORS, int((price[left].cumsum(0) <= price[left].sum() / 2).sum())
    )


@pytest.mark.parametrize("least", [1e-9, 0.0])
def test_a_step_of_training_weighs(least: float) -> None:
    """Who has no Gaussians goes, and so does who draws next to nothing."""
    made = trainer(noise_scene(), SMALL.changed(least_worth=least, prune_by_masks=False), 55)
    made.schedule = replace(made.schedule, weighed_at=WEIGHED_AT)
    with torch.no_grad():
        made.model.masks[3:8] = -9.0
    before = made.model.positions
    made.step()
    left = (before[:, None] == made.model.positions).all(2).any(1)
    assert int(left.sum()) == made.model.anchors == len(before) - made.pruned
    assert bool(left[3:8].any()) == (least == 0) and int(left.sum()) > len(before) / 2
    pruned = made.pruned
    made.step()
    assert made.pruned == pruned and (pruned > 0) == (least > 0)
