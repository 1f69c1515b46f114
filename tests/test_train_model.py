"""Models that recipes ask for: planes of the grid, residual decoder, steps, networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from train_scenes import POOLED, SMALL, noise_scene, trainer

from gspc.model.anchors import AnchorModel, ModelShape
from gspc.model.calibrate import calibrate
from gspc.model.context import TwoLayer
from gspc.model.heads import GaussianHeads
from gspc.ops.heads import HeadTensors
from gspc.presets import PCGS
from gspc.scene import SceneData


@pytest.fixture(scope="module")
def scene() -> SceneData:
    return noise_scene()


def test_contexts_and_pool_read_their_own_planes(scene: SceneData) -> None:
    model = trainer(scene, POOLED.changed(pool_grid="own"), 0).model
    spec = model.grid.spec
    assert model.stream.context_size == spec.context_size // 2 == model.context.steps.first.in_features
    assert model.pool is not None and model.pool.first.in_features == spec.context_size // 2
    context, pool = model.split_grid(torch.arange(spec.context_size)[None])
    assert torch.equal(torch.cat([context, pool], 1), torch.arange(spec.context_size)[None])
    shared = trainer(scene, POOLED, 0).model
    values = torch.rand(2, shared.grid.spec.context_size)
    assert all(torch.equal(part, values) for part in shared.split_grid(values))


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


@pytest.mark.parametrize("seed", range(8))
def test_half_of_the_slots_start_open_whatever_the_seed(seed: int) -> None:
    """Features are near 0 at first, and what is not drawn does not learn."""
    torch.manual_seed(seed)
    heads = GaussianHeads(32, 16, 10, 64, 1.0, residual_hidden=32)
    view = nn.functional.normalize(torch.randn(500, 3), dim=1)
    x = torch.cat([torch.zeros(500, 48), view, torch.ones(500, 1)], 1)
    open_slots = logits(heads.weights(quantized=False), x)["opacity"] > 0
    assert 0.3 < open_slots.float().mean() < 0.7 and open_slots.any(1).float().mean() > 0.98


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


def test_at_its_start_the_residual_decoder_shows_the_coarse_prediction() -> None:
    heads = decoder(zero=True)
    f_c, view = torch.randn(7, 5), torch.randn(7, 4)
    weights = heads.weights(quantized=False)
    one, other = (logits(weights, torch.cat([f_c, torch.randn(7, 4) * 10, view], 1)) for _ in range(2))
    for name in one:
        coarse = heads.second[name](torch.relu(heads.first[name](torch.cat([f_c, view], 1))))
        torch.testing.assert_close(one[name], coarse)
        torch.testing.assert_close(other[name], coarse)


def test_the_first_steps_are_the_recipes(scene: SceneData) -> None:
    """Q0 of the features as asked for; of one log scale finer than of six."""
    for step, one, scaling in ((0.25, False, 0.2), (1.0, False, 0.2), (0.25, True, 0.08)):
        recipe = SMALL.changed(feature_step=step, one_scale=one)
        assert trainer(scene, recipe, 0).model.shape.step_base.as_tuple() == (step, scaling, 0.2)


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
    model: AnchorModel = trainer(scene, SMALL.changed(**changes), 0).model  # type: ignore[arg-type]
    networks = [net for net in model.modules() if isinstance(net, TwoLayer)]
    expected = 2 + {"learned": 2, "gaussian": 0, "mixed": 1}[model.shape.trits]
    expected += (changes.get("chunks", 1) - 1) + ("progressive_offsets" in changes) + ("pool" in changes)  # type: ignore[operator]
    assert len(networks) == expected
    assert not model.quantized and not any(net.units > 0 for net in networks)
    calibrate(model)
    assert model.quantized and all(net.units > 0 for net in networks)
    assert all(torch.isfinite(net.units) for net in networks)


def test_attributes_that_are_not_refined_keep_their_step(scene: SceneData) -> None:
    recipe = SMALL.changed(progressive_quantization=False)
    shape = ModelShape.of(recipe, 3, (1e-3,) * 3)
    assert [a.refinement(3) for a in shape.attributes] == [1, 1, 1]
    shape = ModelShape.of(SMALL.changed(progressive_offsets=True, progressive_scaling=False), 3, (1e-3,) * 3)
    assert [a.refinement(3) for a in shape.attributes] == [9, 1, 9]
    once = ModelShape.of(SMALL.changed(refine_until=2), 4, (1e-3,) * 4)
    features, _, offsets = once.attributes
    assert [features.refinement(level) for level in (1, 2, 3, 4)] == [1, 3, 3, 3]
    assert [features.refines_at(level) for level in (1, 2, 3, 4)] == [False, True, False, False]
    assert not offsets.refines_at(2)
    assert ModelShape.of(PCGS, 4, (1e-3,) * 4).refined == 3
