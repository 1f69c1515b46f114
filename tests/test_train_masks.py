"""What masks pay for the Gaussians that they open."""

from __future__ import annotations

import pytest
import torch
from train_scenes import SMALL, at_level, gradients, noise_scene, rate_of, sampled, trainer

from gspc.model.anchors import AnchorModel
from gspc.ops.rate import all_bits
from gspc.scene import SceneData
from gspc.train.rate.attributes import AttributesTerm
from gspc.train.rate.terms import POSITION_BITS, MasksTerm, Price


def attributes(model: AnchorModel, index: torch.Tensor, level: int) -> Price:
    """Rounded attributes of some anchors."""
    return AttributesTerm(model).price(at_level(model, index, level, noisy=False))


def symbols(model: AnchorModel, index: torch.Tensor, level: int) -> Price:
    """Mask symbols of some anchors."""
    return MasksTerm(model.shape.offsets).price(at_level(model, index, level, noisy=False))


@pytest.fixture(scope="module")
def scene() -> SceneData:
    return noise_scene()


def test_the_mask_loss_closes_masks(scene: SceneData) -> None:
    without = gradients(trainer(scene, SMALL, 40))["masks"]
    made = trainer(scene, SMALL.changed(mask_loss=5.0), 40)
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
    at = at_level(model, index, level, noisy=True)
    terms = (AttributesTerm(model), MasksTerm(model.shape.offsets))
    sum(term.price(at).bits for term in terms).backward()
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
    term, at = AttributesTerm(model), at_level(model, index, 1, noisy=False)
    whole = term.price(at)
    of_gaussians = float(all_bits([term.offsets.jobs(at)])[0].detach())
    anchors = (float(whole.bits.detach()) - of_gaussians) / model.anchors
    assert float(whole.cost.anchor) == pytest.approx(anchors, rel=1e-5)
    assert float(whole.cost.gaussian) == pytest.approx(of_gaussians / (10 * model.anchors), rel=1e-5)
    living = index % 3 == 0
    model.masks.data[~living] = -20.0
    some, alone = attributes(model, index, 1), attributes(model, index[living], 1)
    assert float(some.cost.anchor) == pytest.approx(float(alone.cost.anchor), rel=1e-5)
    assert float(some.cost.anchor) != pytest.approx(anchors, rel=1e-4)
    # At a later level, where nothing is new, a Gaussian would still cost what its values cost there.
    assert attributes(model, index[living], 2).cost.gaussian > 1


@pytest.mark.parametrize("level", [1, 2])
def test_marginal_cost_of_masks(scene: SceneData, level: int) -> None:
    """The derivatives of the masks' bits: one anchor more in a hundred, one Gaussian more in a thousand."""
    model = trainer(scene, SMALL, 40).model
    index = torch.arange(100)
    masks = model.masks.data
    masks.fill_(-20.0)
    masks[:, :3, 0] = 20.0  # three of each anchor's ten at level 1, two more at level 2
    masks[:, 3:5, 1] = 60.0
    found = symbols(model, index, level)
    before = float(found.bits.detach())
    anchor, gaussian = float(found.cost.anchor), float(found.cost.gaussian)
    more = float(symbols(model, torch.cat([index, index[:1]]), level).bits.detach()) - before
    alive = (3, 2)[level - 1]
    candidates = (10, 7)[level - 1]
    assert candidates / 10 * anchor + alive * gaussian == pytest.approx(more, rel=1e-3)
    masks[0, 9, level - 1] = 60.0
    more = float(symbols(model, index, level).bits.detach()) - before
    assert gaussian == pytest.approx(more, rel=1e-2)


@pytest.mark.parametrize("level", [1, 3])
def test_masks_pay_means_or_their_own_bits(
    scene: SceneData, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By means every open mask has the same rate gradient, but for its logit's slope, whether its anchor is
    sampled or not; else only the sample's have one, each its own."""
    monkeypatch.setattr("gspc.train.rate.loss.RATE_AT_LEAST", 8)
    found = {}
    for costs in ("mean", "own"):
        recipe = SMALL.changed(mask_costs=costs)
        made = trainer(scene, recipe, 40)
        sample = sampled(made, level)
        rate_loss, bits = rate_of(made, recipe, level, sample)
        rate_loss.backward()
        grad = made.model.masks.grad
        assert grad is not None
        found[costs] = grad[..., 0], float(rate_loss.detach()), float(bits)
        in_sample = torch.zeros(made.model.anchors, dtype=torch.bool)
        in_sample[sample.index] = True
    mean, own = found["mean"][0], found["own"][0]
    assert found["mean"][1:] == pytest.approx(found["own"][1:], rel=1e-6)  # the rate itself is the same
    assert not in_sample.all() and not own[~in_sample].any() and own[in_sample].abs().min() > 0
    assert mean.min() > 0 and mean.max() == pytest.approx(float(mean.min()), rel=1e-5)
    assert own[in_sample].std() > 1e-2 * own[in_sample].mean()
    if level == 1:  # all masks are open and equal: what the sample pays in all is what means add up to
        assert float(mean.sum()) == pytest.approx(float(own.sum()), rel=1e-4)


def test_masks_pay_for_positions_and_their_own_symbols(scene: SceneData) -> None:
    """An anchor's share of what it costs to place it and to say which of its Gaussians live."""
    slopes, cost = {}, None
    for switches in ({}, {"position_rate": True}, {"mask_rate": True}):
        recipe = SMALL.changed(**switches)
        made = trainer(scene, recipe, 40)
        with torch.no_grad():
            made.model.masks[:, 7:] = -9.0  # three of ten never appear
        sample = sampled(made, 1)
        rate_of(made, recipe, 1, sample)[0].backward()
        grad = made.model.masks.grad
        assert grad is not None
        slopes[" ".join(switches)] = float(grad[0, 0, 0])
        cost = symbols(made.model, sample.index, 1).cost  # the same with and without noise
    assert cost is not None
    per_bit = (slopes["position_rate"] - slopes[""]) / (POSITION_BITS / 10)
    expected = per_bit * float(cost.gaussian + cost.anchor / 10)
    assert per_bit > 0 and slopes["mask_rate"] - slopes[""] == pytest.approx(expected, rel=1e-3)
