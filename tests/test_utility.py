"""Gains of refinements and later Gaussians: against finite differences, and what a fit keeps of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from train_scenes import POOLED, noise_scene, trainer

from gspc.ops.heads import definition as heads
from gspc.ops.heads.types import HeadTensors, NeuralGaussians
from gspc.ops.raster import RasterOutput
from gspc.ops.raster import definition as raster
from gspc.ops.rows import visible_rows
from gspc.train.trainer import Trainer
from gspc.train.utility import measured, pictures
from gspc.train.utility.anchors import Anchors
from gspc.train.utility.steps import Steps
from gspc.train.worth import FEWEST_VIEWS, MOST_VIEWS, PROBES, chosen_views


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


@pytest.fixture
def smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of the readable definitions in double precision, without what jumps and has no gradient: faint
    alphas that are skipped, the ends of Gaussians and of rays. Small differences are then slopes."""
    project = raster.project

    def exact(value: Any) -> Any:
        return value.double() if isinstance(value, Tensor) else value

    def decoded(*given: Any, predicted: Tensor | None) -> NeuralGaussians:
        *parts, weights = given
        double = HeadTensors(*map(exact, weights))
        return heads.neural_gaussians(*map(exact, parts), double, predicted=exact(predicted))

    def drawn(backend: Any, *given: Any) -> RasterOutput:
        *parts, camera, background = given
        lens = (camera.fx, camera.fy, camera.cx, camera.cy)
        pose = torch.from_numpy(camera.world_to_camera)
        return RasterOutput(*raster.rasterize(*parts, pose, lens, camera.width, camera.height, background))

    def endless(*given: Any) -> raster.Projected:
        found = project(*given)
        return replace(found, half_sizes=torch.where(found.half_sizes > 0, 1e4, 0.0))

    monkeypatch.setattr(raster, "project", endless)
    monkeypatch.setattr(raster, "MIN_ALPHA", 0.0)
    monkeypatch.setattr(raster, "MIN_TRANSMITTANCE", 0.0)
    monkeypatch.setattr(pictures, "neural_gaussians", decoded)
    monkeypatch.setattr(pictures, "rasterize", drawn)


class Recorded(Steps):
    """Keeps what the error was asked about."""

    def error(self, *asked: Any) -> Tensor:
        self.asked = asked
        return super().error(*asked)

    @torch.no_grad()
    def decibels(self, values: list[Tensor], mask: Tensor) -> float:
        """PSNR with other values."""
        shot, anchors, _, _, visible = self.asked
        return -10 * math.log10(float(super().error(shot, anchors, values, mask, visible)))


SMALL_STEP = 1e-6  # of the way


@pytest.mark.parametrize("change", [{"refine_until": 2, "progressive_offsets": True, "chunks": 3}, {}])
def test_gains_are_slopes_along_the_way(smooth: None, change: dict[str, Any]) -> None:
    utility = Recorded(finished(change))
    shot = utility.trainer.shots.take(0, 99, scale=1.0, random_behind=False)
    utility.settle(0.0)
    utility.add(shot, 1.0)
    stage = utility.finer[-1]
    _, _, middle, mask, visible = utility.asked
    before, after = (utility.trainer.attributes.stored(visible, at) for at in (stage - 1, stage))
    ways = [b - a for a, b in zip(before, after, strict=True)]
    later = utility.first[visible]
    stays = torch.where(later > 0, later, stage).amin(1) >= stage
    # Every row goes the way that gains; otherwise chance would cancel most of it.
    gains = utility.refined[visible, :, stage - 2]
    for way, signs in zip(ways, gains.sign().unbind(1), strict=True):
        way.mul_(signs.view(-1, *[1] * (way.ndim - 1)))
    ends = [
        [m.double() + step * way for m, way in zip(middle, ways, strict=True)]
        for step in (-SMALL_STEP, SMALL_STEP)
    ]
    low, high = (utility.decibels(values, mask) for values in ends)
    predicted = float(gains.abs().sum())
    assert (high - low) / (2 * SMALL_STEP) == pytest.approx(predicted, rel=1e-3)
    assert not bool(gains[stays].any())
    if stage != utility.finer[0]:
        return
    new = utility.fresh[visible].sign() * (later > 1)
    low, high = (utility.decibels(middle, mask.double() + step * new) for step in (-SMALL_STEP, SMALL_STEP))
    predicted = float(utility.fresh[visible].abs().sum())
    assert (high - low) / (2 * SMALL_STEP) == pytest.approx(predicted, rel=1e-3)


def test_a_round_leaves_the_best_at_the_end_of_their_way() -> None:
    utility = Recorded(finished({"refine_until": 2}))
    shot = utility.trainer.shots.take(0, 99, scale=1.0, random_behind=False)
    utility.settle(0.0)
    utility.add(shot, 1.0)
    first = utility.refined.clone()
    utility.settle(0.1)
    done = utility.done_refined
    assert 0 < int(done.sum()) < done.numel() / 5 and float(first[done].min()) > 0
    utility.add(shot, 1.0)
    assert torch.equal(utility.refined[done], first[done])
    _, _, middle, mask, visible = utility.asked
    fine = utility.trainer.attributes.stored(visible, 2)
    for column, (values, end) in enumerate(zip(middle, fine, strict=True)):
        rows = done[visible, column, 0]
        assert torch.equal(values[rows], end[rows])
    assert torch.equal(mask > 0.99, utility.done_fresh[visible] | (utility.first[visible] == 1))


def test_masked_pixels_say_nothing() -> None:
    utility = Steps(finished({"refine_until": 2}))
    shot = utility.trainer.shots.take(0, 99, scale=1.0, random_behind=False)
    utility.settle(0.0)
    utility.add(replace(shot, mask=torch.zeros(shot.target.shape[:2], dtype=torch.bool)), 1.0)
    assert not bool(utility.refined.any()) and not bool(utility.fresh.any())


def test_an_anchor_is_worth_what_it_changes(smooth: None) -> None:
    """Against pictures with a bit more and a bit less of it, one anchor at a time, under the same signs
    of chance."""
    anchors = Anchors(finished({"refine_until": 2}))
    shot = anchors.trainer.shots.take(0, 99, scale=1.0, random_behind=False)
    anchors.begin(1.0)
    anchors.add(shot, 1.0)
    anchors.end()
    visible, positions = visible_rows(
        anchors.world, anchors.model.log_scales, anchors.model.offsets, shot.camera
    )
    values = anchors.trainer.attributes.stored(visible, 1)
    mask = (anchors.first[visible] == 1).double()

    def picture(mask: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            shown, wanted, _ = anchors.compared(shot, positions, values, mask, visible)
        return shown, wanted

    whole, wanted = picture(mask)
    error = float((whole - wanted).square().mean())
    chance = torch.Generator().manual_seed(0)
    signs = [torch.randint(0, 2, whole.shape, generator=chance) * 2 - 1 for _ in range(PROBES)]
    best = torch.argsort(anchors.gains[visible], descending=True)[:20]
    assert float(anchors.gains[visible[best]].min()) > 0
    for row in best.tolist():
        ends = []
        for step in (-SMALL_STEP, SMALL_STEP):
            moved = mask.clone()
            moved[row] *= 1 + step
            ends.append(picture(moved)[0])
        change = (ends[1] - ends[0]) / (2 * SMALL_STEP)
        expected = 10 / math.log(10) * sum(float((change * s).sum()) ** 2 for s in signs)
        expected /= PROBES * whole.numel() * error
        assert float(anchors.gains[visible[row]]) == pytest.approx(expected, rel=1e-3)


def test_rounds_keep_the_best_the_best() -> None:
    anchors = Anchors(finished({"refine_until": 2}))
    shot = anchors.trainer.shots.take(0, 99, scale=1.0, random_behind=False)
    for share in (1.0, 0.5, 0.2):
        anchors.begin(share)
        present = anchors.present.clone()
        price = anchors.price * (anchors.first == 1).any(1)
        assert float(anchors.price[present].sum() / price.sum()) == pytest.approx(share, abs=0.03)
        before = anchors.gains.clone()
        anchors.add(shot, 1.0)
        anchors.end()
        assert torch.equal(anchors.gains[~present], before[~present])
        worth = anchors.gains / anchors.price
        if share < 1:
            assert float(worth[present].min()) >= float(worth[~present].max())


def test_which_views_are_looked_at() -> None:
    assert chosen_views(10, 30_000, 3) == list(range(10))
    assert len(chosen_views(10_000, 300_000, 3)) == MOST_VIEWS
    rounds = [chosen_views(100, 1000, 3, turn, 3) for turn in range(3)]
    assert all(len(set(some)) == FEWEST_VIEWS and min(some) < 5 and max(some) > 90 for some in rounds)
    assert len({number for some in rounds for number in some}) > 2 * FEWEST_VIEWS
    assert len(chosen_views(100, 2, 3)) == 2


def test_what_cannot_be_measured() -> None:
    heard: list[str] = []
    made = finished({"refine_until": 2})
    assert measured(made, heard.append, lambda: True) is None and len(heard) == 1
    early = trainer(noise_scene(), POOLED, 40)
    assert measured(early, heard.append, lambda: False) is None and len(heard) == 1
    gains = measured(made, heard.append, lambda: False)
    assert gains is not None and bool(gains.refined.any()) and bool(gains.fresh.any())
    assert bool(gains.anchors.any())
