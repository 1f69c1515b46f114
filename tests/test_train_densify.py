"""Growing and pruning, and that Adam's state follows."""

import math

import numpy as np
import pytest
import torch

from gspc.model.anchors import PER_ANCHOR, AnchorModel, ModelShape
from gspc.model.grid import choose_spec
from gspc.train.densify import CHOICES, FAINT, Statistics, densify
from gspc.train.guards import FEWEST_ANCHORS
from gspc.train.initialize import LATTICES
from gspc.train.optimizer import make_optimizer

K, F = 4, 8
INTERVAL = 100
MOST = 10_000  # anchors
THRESHOLD = 2e-4


def tiny_model(anchors=6, one_scale=False):
    torch.manual_seed(0)
    positions = (torch.arange(anchors)[:, None] * torch.tensor([64, 32, 0]) + (1 << 20)).int()
    shape = ModelShape(levels=2, rate_weights=(1e-3, 1e-4), features=F, offsets=K, one_scale=one_scale)
    spec = choose_spec(positions.numpy())
    origin = torch.full((3,), -0.01 * (1 << 20), dtype=torch.float64)
    model = AnchorModel(shape, spec, 0.01, origin, 1.0, anchors)
    model.positions.copy_(positions)
    with torch.no_grad():
        model.features.normal_()
        model.offsets.normal_(std=0.5)
        model.log_scales.fill_(math.log(0.2))
    optimizer = make_optimizer(model)
    for name in PER_ANCHOR:
        parameter = getattr(model, name)
        parameter.grad = torch.rand_like(parameter)
    optimizer.step()
    return model, optimizer


def seen(model, gradient, opacity=1.0, times=INTERVAL):
    """Every Gaussian drawn `times` times with this gradient (in units of half a picture of 8x2), every
    anchor of this opacity."""
    statistics = Statistics.empty(model)
    count = model.anchors * K
    pull = torch.tensor([0.6 * gradient / 4.0, 0.8 * gradient]).repeat(count, 1)
    for _ in range(times):
        statistics.add(
            torch.arange(model.anchors),
            torch.arange(count),
            torch.ones(count, dtype=torch.int32),
            pull,
            torch.full((count,), opacity / K),
            (4.0, 1.0),
        )
    return statistics


def keys(model):
    return [tuple(p) for p in model.positions.tolist()]


def test_quiet_gaussians_change_nothing():
    model, optimizer = tiny_model()
    before = model.features.clone()
    densify(model, optimizer, seen(model, THRESHOLD / 2), THRESHOLD, INTERVAL, MOST)
    assert model.anchors == 6 and torch.equal(model.features, before)


@pytest.mark.parametrize("one_scale", [False, True])
def test_growth_adds_distinct_anchors_near_their_gaussians(one_scale):
    model, optimizer = tiny_model(one_scale=one_scale)
    old = keys(model)
    gaussians = (model.world()[:, None] + model.offsets * torch.exp(model.log_scales[:, None, :3])).detach()
    statistics = densify(model, optimizer, seen(model, THRESHOLD * 5), THRESHOLD, INTERVAL, MOST)
    assert model.anchors > 6
    assert keys(model)[:6] == old and len(set(keys(model))) == model.anchors
    fresh = model.world()[6:].double()
    distance = torch.cdist(fresh, gaussians.reshape(-1, 3).double()).amin(1)
    stride = torch.exp(model.log_scales[6:, 0]).double()
    assert (distance <= stride * math.sqrt(3) / 2 + 1e-4).all()
    lattice = torch.round(stride / model.voxel_size).long()
    assert (model.positions[6:].long() % lattice[:, None] == 0).all()
    assert len(statistics.visible) == model.anchors and len(statistics.drawn) == model.anchors * K


def test_adam_state_follows_the_anchors():
    model, optimizer = tiny_model()
    moments = {name: optimizer.state[getattr(model, name)]["exp_avg"].clone() for name in PER_ANCHOR}
    densify(model, optimizer, seen(model, THRESHOLD * 5), THRESHOLD, INTERVAL, MOST)
    for name in PER_ANCHOR:
        got = optimizer.state[getattr(model, name)]["exp_avg"]
        assert got.shape == getattr(model, name).shape
        assert torch.equal(got[:6], moments[name]) and (got[6:] == 0).all()


@pytest.mark.parametrize(("factor", "left"), [(0.5, FEWEST_ANCHORS), (2.0, 100)])
def test_faint_anchors_go(factor, left):
    """All but the brightest, which a floor keeps so that a scene never empties."""
    model, optimizer = tiny_model(100)
    statistics = seen(model, 0.0, FAINT * factor)
    statistics.opacity[7] = INTERVAL
    positions = model.positions.clone()
    densify(model, optimizer, statistics, THRESHOLD, INTERVAL, MOST)
    assert model.anchors == left
    assert (positions[7] == model.positions).all(1).any()
    assert optimizer.state[model.masks]["exp_avg"].shape == model.masks.shape


def test_faint_anchors_stay_while_heads_are_new():
    model, optimizer = tiny_model(100)
    statistics = seen(model, 0.0, FAINT / 2)
    after = densify(model, optimizer, statistics, THRESHOLD, INTERVAL, MOST, judges_faint=False)
    assert model.anchors == 100 and not after.visible.any()  # and are judged anew


def test_the_strongest_half_grows():
    """Pulls that only the coarsest lattice answers to; of those that pull alike, all or none."""
    model, optimizer = tiny_model()
    statistics = seen(model, 1.0)
    order = torch.randperm(6 * K, generator=torch.Generator().manual_seed(0))
    ranks = torch.arange(6 * K).clamp_min(2).float()  # three that are last together
    statistics.gradient[order] = THRESHOLD * (1.1 + 0.03 * ranks) * INTERVAL
    world = model.world()[:, None] + model.offsets * torch.exp(model.log_scales[:, None, :3])
    voxels = (world.detach().double() - model.origin) / model.voxel_size
    cells = (torch.round(voxels / LATTICES[0]) * LATTICES[0]).reshape(-1, 3).long()
    occupied = set(map(tuple, (torch.round(model.positions.double() / LATTICES[0]) * LATTICES[0]).tolist()))
    wanted = set(map(tuple, cells[order[3 * K :]].tolist())) - occupied
    densify(model, optimizer, statistics, THRESHOLD, INTERVAL, MOST)
    assert set(keys(model)[6:]) == wanted and len(wanted) > 3


def test_pulls_that_are_alike_are_not_told_apart():
    among = torch.tensor([True, True, False, True, True])
    pull = torch.tensor([1.0, 3.0, 9.0, 2.0, 2.0])
    choose = CHOICES["strongest"]
    assert choose(among, pull, 0.5, None).tolist() == [False, True, False, True, True]
    assert choose(among, pull, 0.25, None).tolist() == [False, True, False, False, False]
    assert choose(among, pull, 1.0, None).tolist() == among.tolist()
    assert not choose(among, pull, 0.1, None).any()
    assert not choose(torch.zeros_like(among), pull, 1.0, None).any()


def test_chance_takes_a_share():
    among = torch.arange(20_000) % 2 == 0
    torch.manual_seed(0)
    chosen = CHOICES["chance"](among, among.float(), 0.75, None)
    assert not chosen[~among].any() and abs(int(chosen.sum()) - 7500) < 200


def test_growth_ends_at_the_ceiling_with_the_strongest():
    model, optimizer = tiny_model()
    statistics = seen(model, THRESHOLD * 5)
    densify(model, optimizer, statistics, THRESHOLD, INTERVAL, 9)
    assert model.anchors == 9
    densify(model, optimizer, seen(model, THRESHOLD * 5), THRESHOLD, INTERVAL, 9)
    assert model.anchors == 9


def test_what_was_rarely_seen_keeps_counting():
    model, optimizer = tiny_model()
    statistics = seen(model, THRESHOLD * 5, 0.0, times=30)
    after = densify(model, optimizer, statistics, THRESHOLD, INTERVAL, MOST)
    assert model.anchors == 6
    assert (after.visible == 30).all() and (after.drawn == 30).all()
    after = densify(model, optimizer, seen(model, 0.0, 1.0), THRESHOLD, INTERVAL, MOST)
    assert (after.visible == 0).all() and (after.drawn == 0).all()


@pytest.mark.parametrize(("points", "tables"), [(10, (10, 11)), (20_000, (10, 11)), (75_000, (11, 12))])
def test_the_grid_of_more_points_is_larger(points, tables):
    rng = np.random.default_rng(0)
    spec = choose_spec(rng.integers(0, 1 << 20, (points, 3)))
    assert {(p.dims > 0, p.log2_size) for p in spec.planes} == {(False, tables[0]), (True, tables[1])}
    published = choose_spec(rng.integers(0, 1 << 20, (points, 3)), reference=True)
    assert {p.log2_size for p in published.planes} == {13, 15}
