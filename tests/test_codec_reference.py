"""The C++ core against the numpy decoder that was written from the format page."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import synthetic

from gspc.codec import decode, decode_symbols, encode
from gspc.codec.reference import decode_reference, hash_words
from gspc.errors import BitstreamError


@pytest.mark.parametrize("seed", [0, 1])
def test_same_symbols_and_parameters(seed: int) -> None:
    scene = synthetic.tiny(90, levels=3, seed=seed)
    data = encode(scene, slice_anchors=40)
    for level in (1, 2, 3):
        got, model = decode_reference(data, level)
        want = decode_symbols(data, level)
        for field in fields(got):
            if field.name != "ideal_bits":
                np.testing.assert_array_equal(getattr(got, field.name), getattr(want, field.name), field.name)
        assert got.symbol_hash == decode(data, upto=level).symbol_hash
        for name in ("hidden", "opacity", "color", "cov"):
            for part in ("weight", "scale", "bias"):
                want_part = getattr(getattr(scene.heads, name), part)
                np.testing.assert_array_equal(getattr(getattr(model.heads, name), part), want_part)
        for put, read in zip(scene.grid_signs, model.grid_signs, strict=True):
            np.testing.assert_array_equal(read, put)
        assert model.grid == scene.grid
        for name in ("steps", "trunk", "center", "scale"):
            for a, b in zip(
                getattr(scene.networks, name).layers, getattr(model.networks, name).layers, strict=True
            ):
                np.testing.assert_array_equal(a.weight, b.weight)
                np.testing.assert_array_equal(a.bias, b.bias)
                np.testing.assert_array_equal(a.multiplier[: len(b.multiplier)], b.multiplier)
                np.testing.assert_array_equal(a.shift[: len(b.shift)], b.shift)


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
