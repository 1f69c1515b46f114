"""The C++ core against the numpy decoder that was written from the format page."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import synthetic
from synthetic import STEP_BASE
from synthetic_networks import layers_of

from gspc import _codec
from gspc.codec import decode, decode_symbols, encode, predict_pool
from gspc.errors import BitstreamError
from gspc.format.scene import QuantizedLayer, QuantizedScene
from gspc.reference.decode import decode_reference, hash_words
from gspc.reference.model import Model


def assert_layers_equal(put: Any, read: Any) -> None:
    """Every array of two dataclasses of layers; what was read may have fewer gains."""
    for part in fields(put):
        a, b = getattr(put, part.name), getattr(read, part.name)
        if part.name in ("multiplier", "shift"):
            a = a[: len(b)]
        np.testing.assert_array_equal(a, b, part.name)


@pytest.mark.parametrize("name", synthetic.VARIANTS)
def test_same_symbols_and_parameters(name: str) -> None:
    variant = synthetic.VARIANTS[name]
    scene = synthetic.tiny(60, levels=3, seed=1, variant=variant)
    features = scene.features.shape[1]
    data = encode(scene, slice_anchors=40)
    for level in (1, 2, 3):
        got, model = decode_reference(data, level)
        want = decode_symbols(data, level)
        for field in fields(got):
            if field.name != "ideal_bits":
                np.testing.assert_array_equal(getattr(got, field.name), getattr(want, field.name), field.name)
        decoded = decode(data, upto=level)
        assert got.symbol_hash == decoded.symbol_hash
        assert decoded.scene.residuals == (features if variant.pool else 0)
        if variant.pool:
            np.testing.assert_array_equal(
                decoded.scene.features[:, : variant.pool], model.pool_features(got.positions)
            )
        steps = 3.0 ** (variant.step_level(0, level) - 1)
        step = STEP_BASE[0] * _codec.step_table()[got.steps[:, :1]] / 2**14 / steps
        values = got.means[:, :features] * STEP_BASE[0] / 64 + got.features * step
        np.testing.assert_array_equal(decoded.scene.features[:, variant.pool :], values.astype(np.float32))
        assert_same_model(scene, model, level)


def test_pool_of_any_position() -> None:
    scene = synthetic.tiny(50, levels=2, seed=3, variant=synthetic.VARIANTS["own-planes"])
    _, model = decode_reference(encode(scene))
    positions = np.random.default_rng(0).integers(0, 1 << 21, (40, 3)).astype(np.int32)
    positions[0], positions[1] = 0, (1 << 21) - 1
    for threads in (1, 2):
        got = predict_pool(scene.shape, scene.networks, scene.grid_signs, positions, threads=threads)
        np.testing.assert_array_equal(got, model.pool_features(positions))
    assert got.dtype == np.float32 and got.std() > 0.1


def test_residual_decoder_adds_its_logits() -> None:
    """HEADS of pcgs(5) against the one set of heads that renderers get."""
    scene = synthetic.tiny(50, levels=1, seed=3, variant=synthetic.VARIANTS["own-planes"])
    decoded = decode(encode(scene)).scene
    stored, heads = scene.heads, decoded.heads
    assert stored.residual is not None
    units = len(stored.opacity.weight[0])
    rng = np.random.default_rng(1)
    f_c, f_r = decoded.features[:, :6].astype(np.float64), decoded.features[:, 6:].astype(np.float64)
    view = rng.normal(size=(len(f_c), 4))

    def linear(layer: QuantizedLayer, x: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        weight = layer.weight[rows] * layer.scale[rows, None].astype(np.float64)
        return x @ weight.T + layer.bias[rows]

    x, y = np.hstack([f_c, view]), np.hstack([f_r, view])
    first = np.maximum(linear(stored.hidden, x), 0)
    shape = linear(stored.residual.shape_out, np.maximum(linear(stored.residual.shape_hidden, y), 0))
    appearance = linear(
        stored.residual.appearance_out, np.maximum(linear(stored.residual.appearance_hidden, y), 0)
    )
    k = scene.offsets.shape[1]
    opacity = linear(stored.opacity, first[:, :units]) + appearance[:, :k]
    color = linear(stored.color, first[:, units : 2 * units]) + appearance[:, k:]
    cov = linear(stored.cov, first[:, 2 * units :]) + shape

    h = np.maximum(np.hstack([f_c, f_r, view]) @ heads.w1.T.astype(np.float64) + heads.b1, 0)
    more = h.shape[1] // 3
    for want, weight, bias, block in (
        (opacity, heads.w_opacity, heads.b_opacity, 0),
        (color, heads.w_color, heads.b_color, 1),
        (cov, heads.w_cov, heads.b_cov, 2),
    ):
        got = h[:, block * more : (block + 1) * more] @ weight.T.astype(np.float64) + bias
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def assert_same_model(scene: QuantizedScene, model: Model, level: int) -> None:
    """What was read up to `level` is what was put."""
    heads = scene.heads
    put = {name: getattr(heads, name) for name in ("hidden", "opacity", "color", "cov")}
    put |= vars(heads.residual) if heads.residual is not None else {}
    assert put.keys() == model.heads.layers.keys()
    for name, read in model.heads.layers.items():
        assert_layers_equal(put[name], read)
    assert heads.distance_scale == model.heads.distance_scale
    for signs, read in zip(scene.grid_signs, model.grid_signs, strict=True):
        np.testing.assert_array_equal(read, signs)
    assert model.shape.grid == scene.shape.grid
    layers = layers_of(scene.networks, scene.shape)
    missing = layers.keys() - model.layers.keys()
    assert missing == ({name for name in layers if name.startswith("trit_")} if level == 1 else set())
    for name, read in model.layers.items():
        assert_layers_equal(layers[name], read)


def test_one_level_and_escapes() -> None:
    scene = synthetic.tiny(40, levels=1, seed=7)
    wild = scene.features * 1000
    from dataclasses import replace

    data = encode(replace(scene, features=wild))
    got, _ = decode_reference(data)
    np.testing.assert_array_equal(np.sort(got.features, axis=None), np.sort(wild, axis=None))
    assert got.symbol_hash == decode(data).symbol_hash


def test_damage_is_refused() -> None:
    data = encode(synthetic.tiny(20))
    with pytest.raises(BitstreamError, match="truncated"):
        decode_reference(data[:-1])
    with pytest.raises(BitstreamError, match="level 4"):
        decode_reference(data, 4)


def test_hash_is_the_documented_polynomial() -> None:
    factor = 0x9E3779B97F4A7C15
    value = 5
    values = np.array([3, -1, 1 << 22, 0, -(1 << 23)])
    for v in values.tolist():
        value = (value * factor + v) % 2**64
    assert hash_words(5, values) == value
