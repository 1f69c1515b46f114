"""The last phase: attributes on the lattice of the stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from train_scenes import POOLED, noise_scene, trainer

from gspc.codec import decode, encode, step_table
from gspc.codec.export import export_trained
from gspc.format import units
from gspc.model import quantization as quant
from gspc.model.storage import TrainedModel
from gspc.scene import SceneData
from gspc.train.densify import prune_closed


@pytest.fixture(scope="module")
def scene() -> SceneData:
    return noise_scene()


@pytest.mark.parametrize(
    "change",
    [{"one_scale": False}, {"refine_until": 2, "progressive_offsets": True, "chunks": 3}],
)
def test_the_last_phase_shows_what_the_stream_restores(scene: SceneData, change: dict[str, Any]) -> None:
    """Attributes of every level, to the units of the integer networks' outputs."""
    made = trainer(scene, POOLED.changed(**change), 95)
    made.step()
    exported = export_trained(TrainedModel(made.model, (), (0.0, 0.0, 0.0), {}))
    every = torch.arange(made.model.anchors)
    places = {tuple(p): i for i, p in enumerate(np.round(made.model.world().numpy(), 4).tolist())}
    for level in (1, 2, 3):
        with torch.no_grad():
            shown, _ = made.attributes.restored(every, every[:0], 96, level)
        stream = decode(encode(exported), upto=level).scene
        rows = [places[tuple(p)] for p in np.round(stream.anchors, 4).tolist()]
        assert len(set(rows)) == len(rows) > 100
        alive = stream.gaussian_mask
        assert np.array_equal(shown.mask.numpy()[rows] > 0.5, alive)
        near = 1.01 / units.MEAN_RESOLUTION  # networks' outputs may round to the next unit
        base = made.model.shape.step_base
        for got, want, q0 in (
            (shown.features.numpy()[rows], stream.features[:, 5:], base.features),
            (shown.log_scales.numpy()[rows], stream.log_scales, base.scaling),
            (shown.offsets.numpy()[rows][alive], stream.offsets[alive], base.offsets),
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
    made = trainer(scene, POOLED.changed(one_scale=one), 95)
    made.step()
    model, every = made.model, torch.arange(made.model.anchors)
    for level in (1, 2, 3):
        shown, _ = made.attributes.restored(every, every[:0], 97, level)
        weights = [torch.randn_like(part) for part in (shown.features, shown.log_scales, shown.offsets)]
        parts = zip((shown.features, shown.log_scales, shown.offsets), weights, strict=True)
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
