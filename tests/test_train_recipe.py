"""What single ingredients do inside a training step: the pool, the residual decoder, chunks, rates, masks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gspc.codec import decode, encode
from gspc.codec.export import export_trained, step_table
from gspc.model import quantization as quant
from gspc.model.anchors import AnchorModel, ModelShape
from gspc.model.calibrate import calibrate
from gspc.model.context import TwoLayer
from gspc.model.heads import GaussianHeads
from gspc.model.masks import START
from gspc.model.storage import TrainedModel
from gspc.ops.heads import HeadTensors
from gspc.ops.rows import visible_rows
from gspc.presets import GSPC, PCGS, PoolGrid, Recipe
from gspc.rendering.rasterizer import choose_backend
from gspc.scene import Camera, SceneData, View
from gspc.train import rate
from gspc.train.densify import prune_closed
from gspc.train.initialize import initial_model
from gspc.train.rate import AnchorRows, level_bits
from gspc.train.schedule import Phase, Schedule
from gspc.train.trainer import TYPICAL_LOSS, TYPICAL_LOSS_WHILE_GROWING, Trainer

SMALL = replace(
    GSPC,
    features=6,
    pool=0,
    pool_grid="shared",
    residual_hidden=0,
    chunks=0,
    grid="scene",
    refine_until=0,
    progressive_offsets=False,
    trits="learned",
    accumulate="none",
    relative_rate=False,
    position_rate=False,
    mask_rate=False,
    mask_loss=0.0,
    downsampling="none",
)
POOLED = replace(SMALL, features=4, pool=5, pool_alone=0.5)
ITERATIONS = 100  # rate from 34, finish from 90


@pytest.fixture(scope="module")
def scene() -> SceneData:
    """Points in front of three cameras whose photographs are noise."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (150, 3)) + np.array([0.0, 0.0, 4.0])
    views = []
    for i in range(3):
        pose = np.eye(4)
        pose[0, 3] = 0.3 * (i - 1)
        camera = Camera(f"{i}.png", 32, 24, 30.0, 30.0, 16.0, 12.0, pose)
        pixels = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        views.append(View(camera, lambda pixels=pixels: pixels))
    colors = rng.integers(0, 255, points.shape, dtype=np.uint8)
    return SceneData("noise", tuple(views), (), points, colors, (0.0, 0.0, 0.0))


def trainer(scene: SceneData, recipe: Recipe, at: int, levels: int = 3) -> Trainer:
    """A trainer about to do iteration `at`."""
    torch.manual_seed(0)
    weights = tuple(1e-3 / 2**i for i in range(levels))
    model = initial_model(scene, ModelShape.of(recipe, levels, weights), None)
    with torch.no_grad():
        model.features.normal_(std=0.5)
        model.offsets.normal_(std=0.5)
    made = Trainer(scene, model, Schedule.of(recipe, ITERATIONS), choose_backend("cpu"), recipe)
    made.iteration = at
    return made


def gradients(made: Trainer) -> dict[str, torch.Tensor]:
    """Gradients of one step, which is not taken."""
    found: dict[str, torch.Tensor] = {}

    def keep() -> None:
        for name, parameter in made.model.named_parameters():
            found[name] = torch.zeros(1) if parameter.grad is None else parameter.grad.clone()

    made.optimizer.step = keep  # type: ignore[assignment, method-assign]
    made.step()
    return found


# ---- seeds ----


@pytest.mark.parametrize("change", [{"levels": 1}, {"trits": "gaussian"}, {"chunks": 3}])
def test_a_seed_starts_alike_whatever_the_contexts(scene: SceneData, change: dict[str, Any]) -> None:
    """Comparisons of models pair by seed: until the rate begins contexts have no part in a fit. One level has
    wider noise, so that its fit agrees until noise begins."""
    levels = change.get("levels", 3)
    recipe = replace(POOLED, **{name: value for name, value in change.items() if name != "levels"})
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


# ---- the pool ----


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
        got, _ = made.attributes.draw(visible, visible[:0], 5, 3)
        assert got.features.shape == (len(visible), 4) and got.predicted.shape == (len(visible), 5)
        assert not got.features.any() and got.predicted.any()
        got, _ = made.attributes.draw(visible, visible[:0], 50, 3)
        assert (got.features > 99.0).all()


@pytest.mark.parametrize("pool_grid", ["shared", "own"])
def test_the_grid_settles(scene: SceneData, pool_grid: PoolGrid) -> None:
    """It moves until its share of the run and not after, although moments are left."""
    made = trainer(scene, replace(POOLED, pool_grid=pool_grid), 49)
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


# ---- one log scale ----


@pytest.mark.parametrize("one", [True, False])
def test_the_center_of_one_log_scale_starts_at_its_mean(scene: SceneData, one: bool) -> None:
    """Once, when the contexts begin to learn; each of six starts at 0, as published."""
    made = trainer(scene, replace(SMALL, one_scale=one), 0)
    scales = made.model.shape.scales
    bias, f = made.model.context.trunk.second.bias, made.model.shape.features
    mean = made.model.log_scales.detach().mean(0) / made.model.shape.step_base.scaling
    first = next(i for i in range(ITERATIONS) if made.schedule.phase(i) is Phase.RATE)
    for iteration, moved in ((first - 1, False), (first, one), (first + 1, False)):
        bias.data.zero_()
        made.iteration = iteration
        gradients(made)
        want = mean if moved else torch.zeros(scales)
        torch.testing.assert_close(bias.detach()[f : f + scales], want, rtol=1e-5, atol=1e-6)
        assert not bias[:f].any() and not bias[f + scales :].any()
    assert mean.abs().max() > 5


# ---- the last phase ----


@pytest.mark.parametrize(
    "change",
    [{"one_scale": False}, {"refine_until": 2, "progressive_offsets": True, "chunks": 3}],
)
def test_the_last_phase_draws_what_the_stream_restores(scene: SceneData, change: dict[str, Any]) -> None:
    """Attributes of every level, to the units of the integer networks' outputs."""
    made = trainer(scene, replace(POOLED, **change), 95)
    made.step()
    exported = export_trained(TrainedModel(made.model, (), (0.0, 0.0, 0.0), {}))
    every = torch.arange(made.model.anchors)
    places = {tuple(p): i for i, p in enumerate(np.round(made.model.world().numpy(), 4).tolist())}
    for level in (1, 2, 3):
        with torch.no_grad():
            drawn, _ = made.attributes.draw(every, every[:0], 96, level)
        stream = decode(encode(exported), upto=level).scene
        rows = [places[tuple(p)] for p in np.round(stream.anchors, 4).tolist()]
        assert len(set(rows)) == len(rows) > 100
        alive = stream.gaussian_mask
        assert np.array_equal(drawn.mask.numpy()[rows] > 0.5, alive)
        near = 1.01 / quant.MEAN_RESOLUTION  # networks' outputs may round to the next unit
        base = made.model.shape.step_base
        for got, want, q0 in (
            (drawn.features.numpy()[rows], stream.features[:, 5:], base.features),
            (drawn.log_scales.numpy()[rows], stream.log_scales, base.scaling),
            (drawn.offsets.numpy()[rows][alive], stream.offsets[alive], base.offsets),
        ):
            away = np.abs(got - want) / q0
            assert np.mean(away < near) > 0.98 and np.mean(away < 1e-5) > 0.7, (level, q0)


def test_the_lattice_stays_in_the_last_phase(scene: SceneData) -> None:
    made = trainer(scene, POOLED, 94)
    made.step()  # leaves moments behind
    made.step()
    lattice, context = made.attributes.lattice(), made.model.context
    still = [p.detach().clone() for net in (context.steps, context.trunk) for p in net.parameters()]
    pool = made.model.pool.second.bias.detach().clone()
    made.step()
    assert made.attributes.lattice() is lattice
    after = [p for net in (context.steps, context.trunk) for p in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(still, after, strict=True))
    assert not torch.equal(made.model.pool.second.bias, pool)


@pytest.mark.parametrize("one", [True, False])
def test_the_gradient_passes_rounding(scene: SceneData, one: bool) -> None:
    """To a single log scale from all six that it stands for."""
    made = trainer(scene, replace(POOLED, one_scale=one), 95)
    made.step()
    model, every = made.model, torch.arange(made.model.anchors)
    for level in (1, 2, 3):
        drawn, _ = made.attributes.draw(every, every[:0], 97, level)
        weights = [torch.randn_like(part) for part in (drawn.features, drawn.log_scales, drawn.offsets)]
        parts = zip((drawn.features, drawn.log_scales, drawn.offsets), weights, strict=True)
        loss = sum((part * weight).sum() for part, weight in parts)
        found = torch.autograd.grad(loss, (model.features, model.log_scales, model.offsets))
        to_scales = weights[1].sum(1, keepdim=True) if one else weights[1]
        for got, want in zip(found, (weights[0], to_scales, weights[2]), strict=True):
            torch.testing.assert_close(got, want, rtol=0, atol=0)


def test_the_lattice_follows_the_anchors(scene: SceneData) -> None:
    """Pruned anchors take their points of the lattice with them; the others keep theirs."""
    made = trainer(scene, POOLED, 95)
    made.step()
    before, keep = made.attributes.lattice(), torch.arange(made.model.anchors) % 3 > 0
    with torch.no_grad():
        made.model.masks[~keep] = -50.0
    prune_closed(made.model, made.optimizer, made.statistics)
    after = made.attributes.lattice()
    assert made.model.anchors == int(keep.sum()) < len(keep)
    for old, new in zip((*before.centers, *before.steps), (*after.centers, *after.steps), strict=True):
        torch.testing.assert_close(new, old[keep])


def test_steps_of_the_lattice_are_the_streams() -> None:
    r = torch.tensor([-2.4, -2.0, -0.33, 0.0, 0.02, 1.9, 3.0])
    table = step_table()
    index = (torch.round(r * 32) + 64).clamp(0, 127).long()
    assert quant.tabled_step(r).double().tolist() == table[index.numpy()].tolist()


def test_contexts_and_pool_read_their_own_planes(scene: SceneData) -> None:
    model = trainer(scene, replace(POOLED, pool_grid="own"), 0).model
    spec = model.grid.spec
    assert model.context_size == spec.context_size // 2 == model.context.steps.first.in_features
    assert model.pool is not None and model.pool.first.in_features == spec.context_size // 2
    context, pool = model.split_grid(torch.arange(spec.context_size)[None])
    assert torch.equal(torch.cat([context, pool], 1), torch.arange(spec.context_size)[None])
    shared = trainer(scene, POOLED, 0).model
    values = torch.rand(2, shared.grid.spec.context_size)
    assert all(torch.equal(part, values) for part in shared.split_grid(values))


def test_new_anchors_start_without_residual(scene: SceneData) -> None:
    """Method section 4: f_r = 0 at first; a plain model's new anchors take their parents' features."""
    from gspc.train.densify import _append
    from gspc.train.optimizer import make_optimizer

    for recipe, zero in ((POOLED, True), (SMALL, False)):
        model = trainer(scene, recipe, 0).model
        before = model.anchors
        _append(model, make_optimizer(model), torch.tensor([5, 6]), torch.ones(2, recipe.features), 0.1)
        assert model.anchors == before + 2
        assert (model.features[before:] == (0.0 if zero else 1.0)).all()
        assert (model.masks[before:] == START).all()


# ---- heads with a residual decoder ----


def decoder(zero: bool) -> GaussianHeads:
    torch.manual_seed(1)
    heads = GaussianHeads(5, 4, 3, 8, 0.25, residual_hidden=6)
    if not zero:
        for layer in heads.residual_second.values():
            assert isinstance(layer, nn.Linear)
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    return heads


def logits(weights: HeadTensors, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The three stacked networks of the fused op, written out; x [n, F + 4]."""
    hidden = torch.relu(x @ weights.w1.T + weights.b1).chunk(3, dim=1)
    return {
        "opacity": hidden[0] @ weights.w_opacity.T + weights.b_opacity,
        "color": hidden[1] @ weights.w_color.T + weights.b_color,
        "cov": hidden[2] @ weights.w_cov.T + weights.b_cov,
    }


def test_residual_decoder_adds_its_logits(scene: SceneData) -> None:
    """Predict-GS Eq. 5: attributes of the coarse prediction plus the corrections of shape and appearance."""
    heads = decoder(zero=False)
    f_c, f_r, view = torch.randn(7, 5), torch.randn(7, 4), torch.randn(7, 4)
    got = logits(heads.weights(quantized=False), torch.cat([f_c, f_r, view], 1))
    correction = {
        name: heads.residual_second[name](torch.relu(heads.residual_first[name](torch.cat([f_r, view], 1))))
        for name in ("shape", "appearance")
    }
    opacity, color = correction["appearance"][:, :3], correction["appearance"][:, 3:]
    added = {"opacity": opacity, "color": color, "cov": correction["shape"]}
    for name, more in added.items():
        coarse = heads.second[name](torch.relu(heads.first[name](torch.cat([f_c, view], 1))))
        torch.testing.assert_close(got[name], coarse + more)


def test_at_its_start_the_residual_decoder_draws_the_coarse_prediction() -> None:
    heads = decoder(zero=True)
    f_c, view = torch.randn(7, 5), torch.randn(7, 4)
    weights = heads.weights(quantized=False)
    one, other = (logits(weights, torch.cat([f_c, torch.randn(7, 4) * 10, view], 1)) for _ in range(2))
    for name in one:
        coarse = heads.second[name](torch.relu(heads.first[name](torch.cat([f_c, view], 1))))
        torch.testing.assert_close(one[name], coarse)
        torch.testing.assert_close(other[name], coarse)


# ---- rates ----


@pytest.mark.parametrize("quantized", [False, True])
def test_chunks_see_only_earlier_channels(scene: SceneData, quantized: bool) -> None:
    """Changing channel c changes the bits of its own chunk and later ones; those before never."""
    made = trainer(scene, replace(SMALL, chunks=3, features=7), 40)
    model = made.model
    with torch.no_grad():
        for net in model.context.chunk_nets:
            assert isinstance(net, TwoLayer)
            net.second.weight.mul_(20)  # so that what is seen shows
        model.features.mul_(4)
    if quantized:
        calibrate(model)
    index = torch.arange(40)

    def bits(values: torch.Tensor) -> torch.Tensor:  # [40, F], by channel
        with torch.no_grad():
            rows = AnchorRows(values, model.log_scales[index], model.offsets[index], model.masks[index])
            context, _ = model.split_grid(model.grid(model.positions[index]))
            parts = model.shape.values(rows.features, rows.log_scales, rows.offsets)
            attributes = model.shape.attribute_rows(parts, *model.context.predict_level(context, 2))
            each = torch.ones_like(values)
            return rate._appearance_bits(model, "features", attributes["features"], 2, each, noisy=False)[1]

    values = model.features[index].detach()
    before = bits(values)
    assert before.shape == (40, 7)
    for channel in range(7):
        changed = values.clone()
        changed[:, channel] += 3.0
        differs = (bits(changed) != before).any(0)
        assert differs[channel]
        chunk = next(j for j in range(3) if channel < model.context.sizes.chunk(j)[1])
        first, end = model.context.sizes.chunk(chunk)
        assert not differs[:first].any(), f"channel {channel} is seen by one before its chunk"
        others = [c for c in range(first, end) if c != channel]
        assert not differs[others].any(), f"channel {channel} is seen within its own chunk"
        assert end == 7 or differs[end:].any(), f"channel {channel} is seen by none after its chunk"


def test_relative_rate_weights_follow_the_pictures_loss(scene: SceneData) -> None:
    made = trainer(scene, SMALL, 40)
    view = scene.train[0]
    torch.manual_seed(3)
    _, _, draw = made._distortion(view.camera, torch.from_numpy(view.load().copy()), 2, True)
    rates = {}
    for relative in (False, True):
        made.recipe = replace(SMALL, relative_rate=relative)
        made.picture_loss = 3 * TYPICAL_LOSS
        torch.manual_seed(5)
        rates[relative] = float(made._rate(2, draw)[0].detach())
    assert rates[True] == pytest.approx(3 * rates[False], rel=1e-5)


def test_relative_growth_follows_the_pictures_loss(scene: SceneData) -> None:
    made = trainer(scene, replace(SMALL, densify_threshold=2e-4, relative_growth=False), 40)
    made.picture_loss = 4 * TYPICAL_LOSS_WHILE_GROWING
    assert made._densify_threshold() == 2e-4
    made.recipe = replace(made.recipe, relative_growth=True)
    assert made._densify_threshold() == pytest.approx(4e-4)  # gradients go with the root of the loss


def test_masks_wait_for_the_contexts(scene: SceneData) -> None:
    for at, moves in ((36, False), (40, True)):
        made = trainer(scene, replace(SMALL, mask_loss=1.0), at)
        before = made.model.masks.detach().clone()
        assert made.step().phase is Phase.RATE
        assert torch.equal(made.model.masks, before) != moves


def test_the_first_steps_are_the_recipes(scene: SceneData) -> None:
    """Q0 of the features as asked for; of one log scale finer than of six."""
    for step, one, scaling in ((0.25, False, 0.2), (1.0, False, 0.2), (0.25, True, 0.08)):
        recipe = replace(SMALL, feature_step=step, one_scale=one)
        assert trainer(scene, recipe, 0).model.shape.step_base.as_tuple() == (step, scaling, 0.2)


def test_one_log_scale_shows_what_six_equal_ones_do(scene: SceneData) -> None:
    """The same anchors are visible, also where they reach in from outside the picture."""
    found = []
    for one in (True, False):
        made = trainer(scene, replace(SMALL, one_scale=one), 40)
        with torch.no_grad():
            sizes = torch.linspace(-4.0, 0.5, made.model.anchors)
            made.model.log_scales.copy_(sizes[:, None].expand_as(made.model.log_scales))
        camera = replace(scene.train[0].camera, fx=60.0, fy=60.0)
        found.append(visible_rows(made.model.world(), made.model.log_scales.detach(), camera)[0])
    assert torch.equal(*found) and 0 < len(found[0]) < made.model.anchors


def test_what_is_in_the_rate(scene: SceneData) -> None:
    """Positions and masks only when asked for; accumulated rates are those of the levels summed."""
    made = trainer(scene, SMALL, 40)
    view = scene.train[0]
    torch.manual_seed(3)
    _, _, draw = made._distortion(view.camera, torch.from_numpy(view.load().copy()), 3, True)

    def bits(level: int, **switches: object) -> float:
        made.recipe = replace(SMALL, **switches)  # type: ignore[arg-type]
        torch.manual_seed(7)
        return made._rate(level, draw)[1]

    plain = bits(1)
    assert bits(1, position_rate=True) > plain
    draw.rows.masks.data[::2, ::2] = -9.0  # half of half the Gaussians never appear, which takes bits to say
    plain = bits(1)
    assert bits(1, mask_rate=True) > plain * 1.001
    torch.manual_seed(7)
    each = [
        level_bits(made.model, draw.sample, level, noisy=True, rows=draw.rows).attributes
        for level in (1, 2, 3)
    ]
    scale = made.model.anchors / len(draw.sample)
    assert bits(3, accumulate="rate") == pytest.approx(float(sum(each).detach()) * scale, rel=1e-4)
    assert bits(2, accumulate="rate") > bits(2)


def test_the_mask_loss_closes_masks(scene: SceneData) -> None:
    without = gradients(trainer(scene, SMALL, 40))["masks"]
    made = trainer(scene, replace(SMALL, mask_loss=5.0), 40)
    found = gradients(made)["masks"]
    sampled = (found - without).flatten()
    assert (sampled >= -1e-9).all() and sampled.max() > 0


@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_rate_closes_masks(scene: SceneData, level: int) -> None:
    """Fewer Gaussians are fewer bits: the gradient of every mask parameter of the level is positive where the
    Gaussian is new at it, and stays away from what was there before."""
    made = trainer(scene, SMALL, 40)
    model = made.model
    index = torch.arange(model.anchors)
    with torch.no_grad():  # Gaussian k appears at level 1 + k % 3, all of an anchor at once where n % 3 = 0
        k = torch.arange(10)
        model.masks[..., 0] = torch.where(k % 3 == 0, 2.0, -9.0)
        for plane in (1, 2):
            model.masks[..., plane] = torch.where(k % 3 == plane, 11.0, -9.0)
    found = level_bits(model, index, level, noisy=True)
    (found.attributes + found.masks).backward()
    grad = model.masks.grad
    assert grad is not None
    new = (torch.arange(10) % 3 == level - 1).expand(model.anchors, 10)
    assert (grad[..., 0][new] > 0).all()
    if level < 3:
        assert not grad[..., level:].any()  # planes of later levels


def test_mean_costs_of_a_level(scene: SceneData) -> None:
    """What an anchor and a Gaussian cost on average, over those that live at the level, dead ones aside."""
    model = trainer(scene, SMALL, 40).model
    index = torch.arange(model.anchors)
    model.masks.data.fill_(1.0)
    found = level_bits(model, index, 1, noisy=False)
    anchors = float((found.features + found.scaling).detach()) / model.anchors
    assert found.attributes_cost.anchor == pytest.approx(anchors, rel=1e-5)
    assert found.attributes_cost.gaussian == pytest.approx(
        float(found.offsets.detach()) / (10 * model.anchors), rel=1e-5
    )
    living = index % 3 == 0
    model.masks.data[~living] = -20.0
    some, alone = level_bits(model, index, 1, noisy=False), level_bits(model, index[living], 1, noisy=False)
    assert some.attributes_cost.anchor == pytest.approx(alone.attributes_cost.anchor, rel=1e-5)
    assert some.attributes_cost.anchor != pytest.approx(anchors, rel=1e-4)
    # At a later level, where nothing is new, a Gaussian would still cost what its values cost there.
    assert level_bits(model, index[living], 2, noisy=False).attributes_cost.gaussian > 1


@pytest.mark.parametrize("level", [1, 2])
def test_marginal_cost_of_masks(scene: SceneData, level: int) -> None:
    """The derivatives of the masks' bits: one anchor more in a hundred, one Gaussian more in a thousand."""
    model = trainer(scene, SMALL, 40).model
    index = torch.arange(100)
    masks = model.masks.data
    masks.fill_(-20.0)
    masks[:, :3, 0] = 20.0  # three of each anchor's ten at level 1, two more at level 2
    masks[:, 3:5, 1] = 60.0
    found = level_bits(model, index, level, noisy=False)
    more = float(
        level_bits(model, torch.cat([index, index[:1]]), level, noisy=False).masks.detach()
        - found.masks.detach()
    )
    alive = (3, 2)[level - 1]
    candidates = (10, 7)[level - 1]
    cost = found.masks_cost
    assert candidates / 10 * cost.anchor + alive * cost.gaussian == pytest.approx(more, rel=1e-3)
    masks[0, 9, level - 1] = 60.0
    more = float(level_bits(model, index, level, noisy=False).masks.detach() - found.masks.detach())
    assert cost.gaussian == pytest.approx(more, rel=1e-2)


@pytest.mark.parametrize("level", [1, 3])
def test_masks_pay_means_or_their_own_bits(
    scene: SceneData, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By means every open mask has the same rate gradient, but for its logit's slope, whether its anchor is
    sampled or not; else only the sample's have one, each its own."""
    monkeypatch.setattr("gspc.train.trainer.RATE_AT_LEAST", 8)
    view = scene.train[0]
    found = {}
    for costs in ("mean", "own"):
        made = trainer(scene, replace(SMALL, mask_costs=costs), 40)  # type: ignore[arg-type]
        torch.manual_seed(3)
        _, _, draw = made._distortion(view.camera, torch.from_numpy(view.load().copy()), level, True)
        torch.manual_seed(5)
        rate_loss, bits = made._rate(level, draw)
        rate_loss.backward()
        grad = made.model.masks.grad
        assert grad is not None
        found[costs] = grad[..., 0], float(rate_loss.detach()), bits
        sampled = torch.zeros(made.model.anchors, dtype=torch.bool)
        sampled[draw.sample] = True
    mean, own = found["mean"][0], found["own"][0]
    assert found["mean"][1:] == pytest.approx(found["own"][1:], rel=1e-6)  # the rate itself is the same
    assert not sampled.all() and not own[~sampled].any() and own[sampled].abs().min() > 0
    assert mean.min() > 0 and mean.max() == pytest.approx(float(mean.min()), rel=1e-5)
    assert own[sampled].std() > 1e-2 * own[sampled].mean()
    if level == 1:  # all masks are open and equal: what the sample pays in all is what means add up to
        assert float(mean.sum()) == pytest.approx(float(own.sum()), rel=1e-4)


def test_masks_pay_for_positions_and_their_own_symbols(scene: SceneData) -> None:
    """An anchor's share of what it costs to place it and to say which of its Gaussians live."""
    view = scene.train[0]
    slopes, symbols = {}, None
    for switches in ({}, {"position_rate": True}, {"mask_rate": True}):
        made = trainer(scene, replace(SMALL, **switches), 40)
        with torch.no_grad():
            made.model.masks[:, 7:] = -9.0  # three of ten never appear
        torch.manual_seed(3)
        _, _, draw = made._distortion(view.camera, torch.from_numpy(view.load().copy()), 1, True)
        torch.manual_seed(5)
        made._rate(1, draw)[0].backward()
        grad = made.model.masks.grad
        assert grad is not None
        slopes[" ".join(switches)] = float(grad[0, 0, 0])
        symbols = level_bits(made.model, draw.sample, 1, noisy=False)
    assert symbols is not None
    per_bit = (slopes["position_rate"] - slopes[""]) / (rate.POSITION_BITS / 10)
    cost = symbols.masks_cost  # the same with and without noise
    expected = per_bit * (cost.gaussian + cost.anchor / 10)
    assert per_bit > 0 and slopes["mask_rate"] - slopes[""] == pytest.approx(expected, rel=1e-3)


def test_masks_average_over_as_many_views_as_the_recipe_says(scene: SceneData) -> None:
    """One gradient, then none: masks go on for as long as their momentum, other parameters for theirs."""

    def travelled(momentum: float) -> dict[str, float]:
        made = trainer(scene, replace(SMALL, mask_momentum=momentum), 40)
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


def test_refined_trits_do_not_move_the_values(scene: SceneData) -> None:
    """PCGS: three-way bits are taken on hard symbols; only networks and grid learn from them."""
    model = trainer(scene, SMALL, 40).model
    with torch.no_grad():
        model.masks.fill_(5.0)  # everything appears at level 1
    found = level_bits(model, torch.arange(50), 2, noisy=True)
    found.attributes.backward()
    assert model.features.grad is None or not model.features.grad.any()
    net, _ = model.context.trit_net("features")
    assert net.second.weight.grad is not None and net.second.weight.grad.any()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"chunks": 3},
        {"progressive_offsets": True},
        {"trits": "gaussian"},
        {"trits": "mixed"},
        {"pool": 4, "features": 3, "pool_grid": "own"},
    ],
)
def test_calibration_covers_every_network(scene: SceneData, changes: dict[str, object]) -> None:
    model: AnchorModel = trainer(scene, replace(SMALL, **changes), 0).model  # type: ignore[arg-type]
    networks = [net for net in model.modules() if isinstance(net, TwoLayer)]
    expected = 2 + {"learned": 2, "gaussian": 0, "mixed": 1}[model.shape.trits]
    expected += (changes.get("chunks", 1) - 1) + ("progressive_offsets" in changes) + ("pool" in changes)  # type: ignore[operator]
    assert len(networks) == expected
    assert not model.quantized and not any(net.units > 0 for net in networks)
    calibrate(model)
    assert model.quantized and all(net.units > 0 for net in networks)
    assert all(torch.isfinite(net.units) for net in networks)


def test_attributes_that_are_not_refined_keep_their_step(scene: SceneData) -> None:
    recipe = replace(SMALL, progressive_quantization=False)
    shape = ModelShape.of(recipe, 3, (1e-3,) * 3)
    assert [shape.refinement(name, 3) for name in ("features", "scaling", "offsets")] == [1, 1, 1]
    shape = ModelShape.of(replace(SMALL, progressive_offsets=True, progressive_scaling=False), 3, (1e-3,) * 3)
    assert [shape.refinement(name, 3) for name in ("features", "scaling", "offsets")] == [9, 1, 9]
    assert quant.refinement(3) == 9
    once = ModelShape.of(replace(SMALL, refine_until=2), 4, (1e-3,) * 4)
    assert [once.refinement("features", level) for level in (1, 2, 3, 4)] == [1, 3, 3, 3]
    assert [once.refines_at("features", level) for level in (1, 2, 3, 4)] == [False, True, False, False]
    assert not once.refines_at("offsets", 2)
    assert ModelShape.of(PCGS, 4, (1e-3,) * 4).refined == 3
