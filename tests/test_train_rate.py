"""What is in the rate, and what learns from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from train_scenes import POOLED, SMALL, at_level, noise_scene, rate_of, rows_of, sampled, trainer

from gspc.model import grid as grid_module
from gspc.model.calibrate import calibrate
from gspc.model.context import TwoLayer
from gspc.ops.rate import all_bits
from gspc.scene import SceneData
from gspc.train.rate import attributes
from gspc.train.rate.attributes import AttributesTerm
from gspc.train.rate.loss import LOSS_UNIT
from gspc.train.rate.sample import level_sample


@pytest.fixture(scope="module")
def scene() -> SceneData:
    return noise_scene()


@pytest.mark.parametrize("quantized", [False, True])
def test_chunks_see_only_earlier_channels(scene: SceneData, quantized: bool) -> None:
    """Changing channel c changes the bits of its own chunk and later ones; those before never."""
    made = trainer(scene, SMALL.changed(chunks=3, features=7), 40)
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
            rows = replace(rows_of(model, index), features=values)
            at = level_sample(model, rows, model.grid(model.positions[index]), 2, noisy=False)
            return all_bits([[AttributesTerm(model).features.appearance.job(at, torch.ones_like(values))]])[
                1
            ][0]

    values = model.features[index].detach()
    before = bits(values)
    assert before.shape == (40, 7)
    for channel in range(7):
        changed = values.clone()
        changed[:, channel] += 3.0
        differs = (bits(changed) != before).any(0)
        assert differs[channel]
        first, end = next(bounds for bounds in model.stream.group_bounds if channel < bounds[1])
        assert not differs[:first].any(), f"channel {channel} is seen by one before its chunk"
        others = [c for c in range(first, end) if c != channel]
        assert not differs[others].any(), f"channel {channel} is seen within its own chunk"
        assert end == 7 or differs[end:].any(), f"channel {channel} is seen by none after its chunk"


def test_relative_rate_weights_follow_the_pictures_loss(scene: SceneData) -> None:
    made = trainer(scene, SMALL, 40)
    sample = sampled(made, 2)
    fixed, relative = (
        rate_of(made, SMALL.changed(relative_rate=on), 2, sample, picture_loss=3 * LOSS_UNIT)[0].item()
        for on in (False, True)
    )
    assert relative == pytest.approx(3 * fixed, rel=1e-5)


def test_what_is_in_the_rate(scene: SceneData) -> None:
    """Positions and masks only when asked for; accumulated rates are those of the levels summed."""
    made = trainer(scene, SMALL, 40)
    sample = sampled(made, 3)

    def bits(level: int, **switches: object) -> float:
        return rate_of(made, SMALL.changed(**switches), level, sample)[1]

    plain = bits(1)
    assert bits(1, position_rate=True) > plain
    sample.rows.masks.data[
        ::2, ::2
    ] = -9.0  # half of half the Gaussians never appear, which takes bits to say
    plain = bits(1)
    assert bits(1, mask_rate=True) > plain * 1.001
    grid, term = made.model.grid(made.model.positions[sample.index]), AttributesTerm(made.model)
    torch.manual_seed(5)
    each = [
        term.price(level_sample(made.model, sample.rows, grid, level, noisy=True)).bits for level in (1, 2, 3)
    ]
    scale = made.model.anchors / len(sample.index)
    assert bits(3, accumulate="rate") == pytest.approx(float(sum(each).detach()) * scale, rel=1e-4)
    assert bits(2, accumulate="rate") > bits(2)


def test_refined_trits_do_not_move_the_values(scene: SceneData) -> None:
    """PCGS: three-way bits are taken on hard symbols; only networks and grid learn from them."""
    model = trainer(scene, SMALL, 40).model
    with torch.no_grad():
        model.masks.fill_(5.0)  # everything appears at level 1
    AttributesTerm(model).price(at_level(model, torch.arange(50), 2, noisy=True)).bits.backward()
    assert model.features.grad is None or not model.features.grad.any()
    net, _ = model.context.trit_net("features")
    assert net.second.weight.grad is not None and net.second.weight.grad.any()


@pytest.mark.parametrize(
    ("trits", "of_features", "of_scaling"),
    [
        ("learned", attributes.LearnedTrits, attributes.LearnedTrits),
        ("gaussian", attributes.GaussianTrits, attributes.GaussianTrits),
        ("rounded", attributes.UnboundedTrits, attributes.UnboundedTrits),
        ("mixed", attributes.LearnedTrits, attributes.GaussianTrits),
    ],
)
def test_each_attribute_has_the_trits_that_the_recipe_says(
    scene: SceneData, trits: str, of_features: type, of_scaling: type
) -> None:
    term = AttributesTerm(trainer(scene, SMALL.changed(trits=trits), 0).model)
    assert type(term.features.trits) is of_features and type(term.scaling.trits) is of_scaling
    assert term.offsets.trits is None  # not refined
    pool_only = AttributesTerm(trainer(scene, POOLED.changed(features=0, trits=trits), 0).model)
    assert pool_only.features.trits is None


def test_anchors_that_masks_removed_are_counted(scene: SceneData) -> None:
    """As many more as there are: the same bits weigh half as much."""
    made = trainer(scene, SMALL, 70)  # the grid is settled, so that its bits are not among them
    sample = sampled(made, 1)
    alone, counted = (
        rate_of(made, SMALL, 1, sample, pruned=pruned)[0].item() for pruned in (0, made.model.anchors)
    )
    assert counted == pytest.approx(alone / 2, rel=1e-6)


# Ingredients, and what they gave before the rate was made of terms: loss, bits, and the sum of the absolute
# gradients of masks and of the grid.
PINNED: dict[str, tuple[dict[str, object], tuple[float, ...]]] = {
    "terms": (
        {"position_rate": True, "mask_rate": True, "mask_costs": "own", "mask_loss": 0.5},
        (0.4214732, 1761.6632, 0.06772728, 2.577367e-05),
    ),
    "mean": (
        {"position_rate": True, "mask_rate": True, "mask_costs": "mean", "accumulate": "rate"},
        (0.002751842, 27485.176, 0.0006068352, 6.219572e-05),
    ),
    "trits": (
        {"trits": "rounded", "progressive_offsets": True, "accumulate": "rate", "one_scale": False},
        (0.004264279, 76327.11, 0.0008352121, 0.0001217953),
    ),
    "chunks": (
        {"trits": "mixed", "chunks": 3, "relative_rate": True, "rate_anchors": "visible"},
        (0.003303156, 1756.6086, 0.0002942941, 4.769636e-05),
    ),
}


@pytest.mark.parametrize("name", PINNED)
def test_rates_stay_what_they_were(scene: SceneData, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(grid_module, "SMALLEST_LOG2_3D", 8)  # the tables of then
    changes, expected = PINNED[name]
    recipe = SMALL.changed(**changes)
    made = trainer(scene, recipe, 40)
    with torch.no_grad():
        made.model.masks[:, 7:, 0] = -9.0  # seven of ten Gaussians appear at level 1, two at level 2
        made.model.masks[:, 8:, 1] = 9.0
    loss, bits = rate_of(made, recipe, 3, sampled(made, 3), picture_loss=2 * LOSS_UNIT, pruned=10)
    loss.backward()
    found = [
        loss.detach(),
        bits,
        *(p.grad.abs().sum() for p in (made.model.masks, made.model.grid.embeddings)),
    ]
    assert [float(value) for value in found] == pytest.approx(expected, rel=1e-3)
