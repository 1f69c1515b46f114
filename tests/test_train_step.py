"""What single ingredients do inside a training step: seeds, the pool, the grid, one log scale, masks."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from train_scenes import ITERATIONS, POOLED, SMALL, gradients, noise_scene, trainer

from gspc.model.masks import START
from gspc.ops.rows import visible_rows
from gspc.recipe import PoolGrid
from gspc.scene import SceneData
from gspc.train.densify import LOSS_UNIT, _append, growth_threshold
from gspc.train.optimizer import make_optimizer
from gspc.train.schedule import Phase


@pytest.fixture(scope="module")
def scene() -> SceneData:
    return noise_scene()


@pytest.mark.parametrize("change", [{"levels": 1}, {"trits": "gaussian"}, {"chunks": 3}])
def test_a_seed_starts_alike_whatever_the_contexts(scene: SceneData, change: dict[str, Any]) -> None:
    """Comparisons of models pair by seed: until the rate begins contexts have no part in a fit. One level has
    wider noise, so that its fit agrees until noise begins."""
    levels = change.get("levels", 3)
    recipe = POOLED.changed(**change)
    found = []
    for ingredients, count in ((POOLED, 3), (recipe, levels)):
        made = trainer(scene, ingredients, 0, count)
        while made.schedule.phase(made.iteration) is Phase.WARMUP:
            made.step()
        found.append(dict(made.model.named_parameters()))
        assert made.iteration > 5
    for name, values in found[0].items():
        if not name.startswith(("context", "masks")):
            assert torch.equal(values, found[1][name]), name


def test_residuals_have_no_gradient_while_the_pool_is_alone(scene: SceneData) -> None:
    alone = gradients(trainer(scene, POOLED, 20))
    assert not alone["features"].any()
    assert alone["pool.first.weight"].any() and alone["grid.embeddings"].any()
    joined = gradients(trainer(scene, POOLED, 60))
    assert joined["features"].any() and joined["pool.first.weight"].any()


def test_the_picture_does_not_see_residuals_while_the_pool_is_alone(scene: SceneData) -> None:
    """Even large ones."""
    made = trainer(scene, POOLED, 20)
    visible = torch.arange(made.model.anchors)
    with torch.no_grad():
        made.model.features.fill_(100.0)
        got, _ = made.attributes.restored(visible, visible[:0], 5, 3)
        assert got.features.shape == (len(visible), 4) and got.predicted.shape == (len(visible), 5)
        assert not got.features.any() and got.predicted.any()
        got, _ = made.attributes.restored(visible, visible[:0], 50, 3)
        assert (got.features > 99.0).all()


@pytest.mark.parametrize("pool_grid", ["shared", "own"])
def test_the_grid_settles(scene: SceneData, pool_grid: PoolGrid) -> None:
    """It moves until its share of the run and not after, although moments are left."""
    made = trainer(scene, POOLED.changed(pool_grid=pool_grid), 49)
    start = made.model.grid.embeddings.detach().clone()
    made.step()
    before, fusion = made.model.grid.embeddings.detach().clone(), made.model.pool.second.bias.detach().clone()
    assert not torch.equal(before, start)
    some = torch.tensor([3, 1, 3])
    assert torch.equal(made.attributes.grid_rows(some, 50), made.model.grid(made.model.positions[some]))
    assert not made.attributes.grid_rows(some, 50).requires_grad
    made.step()
    assert torch.equal(made.model.grid.embeddings, before)
    assert not torch.equal(made.model.pool.second.bias, fusion)


def test_settled_grid_values_follow_the_anchors(scene: SceneData) -> None:
    made = trainer(scene, POOLED, 60)
    every = torch.arange(made.model.anchors)
    values = made.attributes.grid_rows(every, 60)
    made.model.positions = made.model.positions.flip(0)
    assert torch.equal(made.attributes.grid_rows(every, 60), values.flip(0)) and not torch.equal(
        values, values.flip(0)
    )


@pytest.mark.parametrize("one", [True, False])
def test_the_centers_of_log_scales_start_at_their_means(scene: SceneData, one: bool) -> None:
    """Once, when the contexts begin to learn."""
    made = trainer(scene, SMALL.changed(one_scale=one), 0)
    scales = made.model.shape.scales
    assert scales == (1 if one else 6)
    bias, f = made.model.context.trunk.second.bias, made.model.shape.features
    mean = made.model.log_scales.detach().mean(0) / made.model.shape.step_base.scaling
    first = next(i for i in range(ITERATIONS) if made.schedule.phase(i) is Phase.RATE)
    for iteration, moved in ((first - 1, False), (first, True), (first + 1, False)):
        bias.data.zero_()
        made.iteration = iteration
        gradients(made)
        want = mean if moved else torch.zeros(scales)
        torch.testing.assert_close(bias.detach()[f : f + scales], want, rtol=1e-5, atol=1e-6)
        assert not bias[:f].any() and not bias[f + scales :].any()
    assert mean.abs().max() > 5


def test_one_log_scale_shows_what_six_equal_ones_do(scene: SceneData) -> None:
    """The same anchors are visible, also where they reach in from outside the picture."""
    found = []
    for one in (True, False):
        made = trainer(scene, SMALL.changed(one_scale=one), 40)
        with torch.no_grad():
            sizes = torch.linspace(-4.0, 0.5, made.model.anchors)
            made.model.log_scales.copy_(sizes[:, None].expand_as(made.model.log_scales))
        camera = dataclasses.replace(scene.train[0].camera, fx=60.0, fy=60.0)
        model = made.model
        found.append(visible_rows(model.world(), model.log_scales, model.offsets, camera)[0])
    assert torch.equal(*found) and 0 < len(found[0]) < made.model.anchors


def test_new_anchors_start_without_residual(scene: SceneData) -> None:
    """Method section 4: f_r = 0 at first; a plain model's new anchors take their parents' features."""
    for recipe, zero in ((POOLED, True), (SMALL, False)):
        model = trainer(scene, recipe, 0).model
        before = model.anchors
        _append(
            model,
            make_optimizer(model),
            torch.tensor([5, 6]),
            torch.ones(2, recipe.representation.features),
            0.1,
        )
        assert model.anchors == before + 2
        assert (model.features[before:] == (0.0 if zero else 1.0)).all()
        assert (model.masks[before:] == START).all()


def test_relative_growth_follows_the_pictures_loss(scene: SceneData) -> None:
    easy = 4 * LOSS_UNIT
    recipe = SMALL.changed(densify_threshold=2e-4, relative_growth=False)
    assert trainer(scene, recipe, 40).growth.at(easy) == 2e-4
    relative = growth_threshold(recipe.changed(relative_growth=True).schedule)
    assert relative.at(easy) == pytest.approx(4e-4)  # gradients go with the root of the loss


def test_masks_wait_for_the_contexts(scene: SceneData) -> None:
    for at, moves in ((36, False), (40, True)):
        made = trainer(scene, SMALL.changed(mask_loss=1.0), at)
        before = made.model.masks.detach().clone()
        assert made.step().phase is Phase.RATE
        assert torch.equal(made.model.masks, before) != moves


def test_masks_average_over_as_many_views_as_the_recipe_says(scene: SceneData) -> None:
    """One gradient, then none: masks go on for as long as their momentum, other parameters for theirs."""

    def travelled(momentum: float) -> dict[str, float]:
        made = trainer(scene, SMALL.changed(mask_momentum=momentum), 40)
        parameters = {"masks": made.model.masks, "offsets": made.model.offsets}
        for group in made.optimizer.param_groups:
            group["lr"] = 0.01
        steps = {name: [p.detach().clone()] for name, p in parameters.items()}
        for gradient in (1.0, 0.0, 0.0):
            for p in parameters.values():
                p.grad = torch.full_like(p, gradient)
            made.optimizer.step()
            for name, p in parameters.items():
                steps[name].append(p.detach().clone())
        return {n: float((s[3] - s[2]).mean() / (s[1] - s[0]).mean()) for n, s in steps.items()}

    # Of bias-corrected means: m = (1 - b) b^2 / (1 - b^3), v = (1 - c) c^2 / (1 - c^3) with c = 0.999.
    expected = {b: (1 - b) * b**2 / (1 - b**3) * math.sqrt(3 * 0.999 / 0.999**2) for b in (0.9, 0.98)}
    for momentum in (0.9, 0.98):
        found = travelled(momentum)
        assert found["masks"] == pytest.approx(expected[momentum], rel=1e-3)
        assert found["offsets"] == pytest.approx(expected[0.9], rel=1e-3)


@pytest.mark.parametrize("at", [10, 40])
def test_masked_pixels_train_nothing(scene: SceneData, at: int) -> None:
    """Whatever they show, in every picture of the loss; while pixels that count do train."""
    counts = np.zeros((24, 32), bool)
    counts[:, 16:] = True

    def with_left(value: int, mask: NDArray[np.bool_] | None) -> SceneData:
        views = []
        for view in scene.train:
            pixels = view.load().copy()
            pixels[:, :16] = value
            loads = dataclasses.replace(view, load=lambda pixels=pixels: pixels)
            views.append(dataclasses.replace(loads, mask=None if mask is None else lambda: mask))
        return dataclasses.replace(scene, train=tuple(views))

    recipe = SMALL.changed(accumulate="rate-and-fidelity", mask_loss=1.0)
    black, white = (gradients(trainer(with_left(value, counts), recipe, at)) for value in (0, 255))
    assert all(torch.equal(black[name], white[name]) for name in black)
    assert black["features"].any()
    whole = gradients(trainer(with_left(0, None), recipe, at))
    assert not torch.equal(whole["features"], black["features"])
