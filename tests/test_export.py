"""From a trained model to a stream: what is exported is what was trained, and costs what was estimated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from train_scenes import Quiet, at_level

from gspc.codec import decode, decode_symbols, encode, predict, step_table
from gspc.codec.export import export_trained
from gspc.config import DataOptions, FitOptions
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.format import describe, units
from gspc.model.masks import first_level
from gspc.model.storage import TrainedModel, load_model
from gspc.train import fit
from gspc.train.rate.attributes import AttributesTerm

LEVELS = 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> TrainedModel:
    folder = tmp_path_factory.mktemp("scene")
    write_demo_scene(folder, views=12, width=80, height=60, points=1500)
    options = FitOptions(iterations=240, levels=LEVELS, checkpoint_every=0)
    path = Path(folder) / "model.pt"
    fit(load_scene(folder, DataOptions()), path, options, Quiet())
    return load_model(path)


@pytest.fixture(scope="module")
def exported(trained):
    return export_trained(trained)


def alive(trained) -> torch.Tensor:
    return (first_level(trained.model.masks) > 0).any(1)


def test_positions_stay_where_they_were(trained, exported):
    world = exported.positions * exported.voxel_size + exported.origin
    np.testing.assert_allclose(world, trained.model.world().numpy()[alive(trained).numpy()], atol=1e-4)
    assert exported.positions.min() >= 0 and exported.positions.min(0).max() < 16


def test_finest_values_are_within_half_a_step_of_the_trained_ones(trained, exported):
    """Centers and steps come from the integer networks; the symbols must bring every value back around
    them."""
    means, steps = predict(exported.shape, exported.networks, exported.grid_signs, exported.positions)
    model, kept = trained.model, alive(trained).numpy()
    table, column = step_table(), 0
    pairs = (
        (model.features, exported.features, model.shape.attribute("features").refinement(LEVELS)),
        (model.log_scales, exported.scaling, model.shape.attribute("scaling").refinement(LEVELS)),
        (
            model.offsets.flatten(1),
            exported.offsets.reshape(len(means), -1),
            model.shape.attribute("offsets").refinement(LEVELS),
        ),
    )
    for i, (values, symbols, finer) in enumerate(pairs):
        q0 = exported.shape.attributes[i].step_base
        step = q0 * table[steps[:, i : i + 1]] / finer
        restored = means[:, column : column + symbols.shape[1]] * (q0 / 64) + symbols * step
        column += symbols.shape[1]
        error = np.abs(restored - values.detach().numpy()[kept])
        assert (error <= step * 0.5001).all()


def test_decoded_scales_are_the_trained_ones(trained, exported):
    """One value of the stream is all six of the scene."""
    assert exported.shape.scales == exported.scaling.shape[1] == trained.model.log_scales.shape[1] == 1
    scene = decode(encode(exported)).scene
    world = trained.model.world().numpy()[alive(trained).numpy()]
    order, found = (np.lexsort(np.round(points, 5).T) for points in (world, scene.anchors))
    _, steps = predict(exported.shape, exported.networks, exported.grid_signs, exported.positions)
    finer = trained.model.shape.attribute("scaling").refinement(LEVELS)
    step = exported.shape.attributes[1].step_base * step_table()[steps[order, 1]] / finer
    want = trained.model.log_scales.detach().numpy()[alive(trained).numpy()][order]
    error = np.abs(scene.log_scales[found] - want)
    assert error.shape == (len(want), 6)
    assert (error <= 0.5001 * step[:, None] + 1e-6).all() and error.max() > 0


def test_decoding_restores_every_symbol(exported):
    symbols = decode_symbols(encode(exported), LEVELS)
    order = np.lexsort(exported.positions.T)
    found = np.lexsort(symbols.positions.T)
    assert np.array_equal(symbols.positions[found], exported.positions[order])
    assert np.array_equal(symbols.gaussian_level[found], exported.gaussian_level[order])
    assert np.array_equal(symbols.features[found], exported.features[order])
    assert np.array_equal(symbols.scaling[found], exported.scaling[order])
    drawn = (exported.gaussian_level > 0)[order]
    assert np.array_equal(symbols.offsets[found][drawn], exported.offsets[order][drawn])


def test_simulated_integers_of_training_are_those_of_the_codec(trained, exported):
    """Centers and steps of the float networks with simulated quantization, against the integer networks."""
    means, steps = predict(exported.shape, exported.networks, exported.grid_signs, exported.positions)
    model = trained.model
    with torch.no_grad():
        context = model.grid(model.positions[alive(trained)])
        prediction, _ = model.context.predict(context)
    centers = [prediction.center_features, prediction.center_scaling, prediction.center_offsets]
    want = torch.cat(centers, 1).numpy() * units.MEAN_RESOLUTION
    assert np.abs(means - want).max() <= 2.0
    assert np.mean(np.abs(means - want) <= 0.75) > 0.99
    index = np.clip(np.round(prediction.r.numpy() * units.STEP_RESOLUTION) + units.STEP_CENTER, 0, 127)
    assert np.abs(steps - index).max() <= 1
    assert np.mean(steps == index) > 0.95


def twin(layer, x, variant=0, low=-(2**30), high=2**30) -> torch.Tensor:
    """An integer layer in torch: a float32 matrix product, exact while sums stay below 2^24, then int64."""
    product = x.float() @ torch.from_numpy(layer.weight).float().T
    y = product.long() + torch.from_numpy(layer.bias).long()
    shift = int(layer.shift[variant])
    z = (y * torch.from_numpy(layer.multiplier[variant]).long() + (1 << (shift - 1))) >> shift
    return z.clamp(low, high)


def test_torch_gives_the_same_integers_as_the_codec(trained, exported):
    means, steps = predict(exported.shape, exported.networks, exported.grid_signs, exported.positions)
    with torch.no_grad():
        context = trained.model.grid(trained.model.positions[alive(trained)]) * 512
    assert torch.equal(context, context.round())
    networks = exported.networks
    hidden = twin(networks.trunk.layers[0], context, 0, 0, 2047)
    center = twin(networks.center.layers[0], hidden, 0, -32767, 32767)
    assert np.array_equal(center[:, : means.shape[1]].numpy(), means)
    first, second = networks.steps.layers
    index = (twin(second, twin(first, context, 0, 0, 2047)) + 64).clamp(0, 127)
    assert np.array_equal(index.numpy(), steps)


def test_estimated_bits_are_the_bytes_on_disk(trained, exported):
    """Hard symbols under the float model against symbols and escapes of the file: within 2 % (plus lane
    flushes)."""
    info = describe(encode(exported))
    index = alive(trained).nonzero().squeeze(1)
    for level in range(1, LEVELS + 1):
        with torch.no_grad():
            sample = at_level(trained.model, index, level, noisy=False)
            estimate = float(AttributesTerm(trained.model).price(sample).bits) / 8
        parts = info.component_bytes
        coded = parts[level, "symbols"] + parts.get((level, "escapes"), 0)
        assert coded == pytest.approx(estimate, rel=0.02, abs=160), f"level {level}"


def test_file_and_model_are_the_same_scene_at_every_level(exported):
    whole = encode(exported)
    for level in range(1, LEVELS + 1):
        short = encode(exported, levels=level)
        one, other = decode(whole, upto=level), decode(short)
        assert one.symbol_hash == other.symbol_hash and one.level == other.level == level
        for name in ("anchors", "features", "log_scales", "offsets", "gaussian_mask"):
            assert np.array_equal(getattr(one.scene, name), getattr(other.scene, name))
