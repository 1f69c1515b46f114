"""Predictive scenes, feature chunks, refined offsets, trit models: whatever a stream can hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic
from codec_checks import assert_symbols, rows_in_scene
from synthetic import STEP_BASE, VARIANTS, reshaped
from synthetic_networks import layers_of

from gspc import _codec
from gspc.codec import decode, decode_symbols, encode, predict, predict_pool, truncate_levels
from gspc.errors import BitstreamError, InputError
from gspc.format import check
from gspc.format.scene import IntegerLayer, IntegerNetwork, QuantizedScene
from gspc.format.shape import ALL_LEVELS, NEVER, Pool
from gspc.reference import networks as reference
from gspc.reference.context import grid_context
from gspc.reference.tables import STEP

LEVELS = 3


@pytest.fixture(scope="module", params=VARIANTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def scene(name: str) -> QuantizedScene:
    return synthetic.tiny(150, levels=LEVELS, seed=21, variant=VARIANTS[name])


@pytest.fixture(scope="module")
def stream(scene: QuantizedScene) -> bytes:
    return encode(scene, slice_anchors=64)


def test_round_trip_and_fewer_levels(scene: QuantizedScene, stream: bytes) -> None:
    for level in range(1, LEVELS + 1):
        assert_symbols(scene, decode_symbols(stream, level), level)
        cut = truncate_levels(stream, level)
        assert cut == encode(scene, levels=level, slice_anchors=64)
        assert decode(cut).symbol_hash == decode(stream, upto=level, threads=1).symbol_hash


def test_every_instruction_set_and_order(scene: QuantizedScene, stream: bytes) -> None:
    before = _codec.active_isa()
    want = decode(stream)
    try:
        for isa in ("base", "v3", "v4"):
            _codec.set_isa(isa)
            assert encode(scene, slice_anchors=64, threads=1) == stream
            got = decode(stream, threads=2)
            assert got.symbol_hash == decode_symbols(stream, reverse=True).symbol_hash == want.symbol_hash
            np.testing.assert_array_equal(got.scene.features, want.scene.features)
    finally:
        _codec.set_isa(before)


def test_header(name: str, scene: QuantizedScene, stream: bytes) -> None:
    shape, variant = check(stream).header.shape, VARIANTS[name]
    assert shape == scene.shape
    assert shape.family == ("predictive" if variant.pool else "plain")
    assert [a.hidden > 0 for a in shape.attributes] == [
        variant.learned(i) and scene.symbols[i].shape[1] > 0 for i in range(3)
    ]


def test_values(name: str, scene: QuantizedScene, stream: bytes) -> None:
    """Pool features exactly, residuals and the rest from symbols, each attribute at its own step; six log
    scales from one value, where there is one."""
    variant = VARIANTS[name]
    for level in (1, LEVELS):
        symbols, found = decode_symbols(stream, level), decode(stream, upto=level).scene
        f, z = scene.features.shape[1], variant.scales
        assert check(stream).header.shape.scales == symbols.scaling.shape[1] == z
        assert found.residuals == (f if variant.pool else 0)
        assert found.features.shape == (len(symbols.positions), variant.pool + f)
        if variant.pool:
            pool = predict_pool(scene.shape, scene.networks, scene.grid_signs, symbols.positions)
            np.testing.assert_array_equal(found.features[:, : variant.pool], pool)
        thirds = [3.0 ** (variant.step_level(i, level) - 1) for i in range(3)]
        step = STEP[symbols.steps] / 2.0**14 * np.array(STEP_BASE) / thirds
        means = symbols.means / 64.0
        alive = np.repeat(symbols.gaussian_level > 0, 3, axis=1)
        offsets = means[:, f + z :] * STEP_BASE[2] + symbols.offsets.reshape(len(step), -1) * step[:, 2:]
        scaling = means[:, f : f + z] * STEP_BASE[1] + symbols.scaling * step[:, 1:2]
        want = (
            means[:, :f] * STEP_BASE[0] + symbols.features * step[:, 0:1],
            np.broadcast_to(scaling, (len(step), 6)),
            offsets * alive,
        )
        got = (found.features[:, variant.pool :], found.log_scales, found.offsets.reshape(offsets.shape))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_predictions(name: str, scene: QuantizedScene, stream: bytes) -> None:
    """Contexts read the planes that the pool does not own; the pool reads its own, or all."""
    means, steps = predict(scene.shape, scene.networks, scene.grid_signs, scene.positions)
    symbols = decode_symbols(stream)
    rows = rows_in_scene(scene, symbols)
    np.testing.assert_array_equal(means[rows], symbols.means)
    np.testing.assert_array_equal(steps[rows], symbols.steps)
    context = grid_context(scene.positions, scene.shape.grid, scene.grid_signs)
    own = 4 * scene.shape.own_planes
    left = context[:, : context.shape[1] - own]
    layers = layers_of(scene.networks, scene.shape)
    np.testing.assert_array_equal(steps, reference.step_indices(layers, left))
    if scene.networks.pool is not None:
        pool = predict_pool(scene.shape, scene.networks, scene.grid_signs, scene.positions)
        assert pool.dtype == np.float32
        np.testing.assert_array_equal(pool, reference.pool_features(layers, context[:, -own:]))


@pytest.mark.parametrize("count", [0, 1, 31, 32, 33, 65])
@pytest.mark.parametrize("levels", [1, 2, 8])
def test_boundaries(count: int, levels: int) -> None:
    for variant in ("everything", "pool-only", "unbounded-trits"):
        scene = synthetic.tiny(count, levels=levels, seed=count, variant=VARIANTS[variant])
        data = encode(scene, slice_anchors=32)
        for level in {1, levels}:
            assert_symbols(scene, decode_symbols(data, level), level)
        assert decode(data).scene.features.shape[0] == count


def test_wild_symbols(scene: QuantizedScene) -> None:
    """Escapes of every kind of run, up to the largest symbols."""
    rng = np.random.default_rng(0)
    big = (1 << 23) - 1
    features, offsets = scene.features.copy(), scene.offsets.copy()
    for values in (features, offsets):
        values[rng.random(values.shape) < 0.2] = big
        values[rng.random(values.shape) < 0.2] = -big
        near = rng.random(values.shape) < 0.3
        values[near] = rng.integers(-4000, 4000, values.shape)[near]
    offsets *= (scene.gaussian_level > 0)[:, :, None]
    wild = replace(scene, features=features, offsets=offsets)
    data = encode(wild, slice_anchors=64)
    for level in range(1, LEVELS + 1):
        assert_symbols(wild, decode_symbols(data, level), level)


def shifted(network: IntegerNetwork, rows: slice, amount: int) -> IntegerNetwork:
    """Outputs `rows` of the last layer are `amount` whatever the input."""
    *first, last = network.layers
    weight, bias, multiplier = last.weight.copy(), last.bias.copy(), last.multiplier.copy()
    weight[rows] = 0
    bias[rows] = amount * 16
    multiplier[:, rows] = 1 << int(last.shift[0] - 4) if last.shift[0] < 19 else 1 << 14
    if last.shift[0] >= 19:
        bias[rows] = amount << int(last.shift[0] - 14)
    return IntegerNetwork((*first, IntegerLayer(weight, bias, multiplier, last.shift)))


def test_trits_far_from_their_predicted_mean_are_escaped() -> None:
    scene = synthetic.tiny(100, seed=3, variant=VARIANTS["unbounded-trits"])
    nets = scene.networks
    of_features, of_scaling, of_offsets = nets.trits
    assert of_features is not None and of_scaling is not None
    n = scene.features.shape[1]
    far = shifted(shifted(of_features, slice(0, n), 600), slice(n, 2 * n), -60)
    low = shifted(shifted(of_scaling, slice(0, 6), -3000), slice(6, 12), -64)
    bad = replace(scene, networks=replace(nets, trits=(far, low, of_offsets)))
    data = encode(bad, slice_anchors=64)
    assert check(data).component("escapes") > check(encode(scene, slice_anchors=64)).component("escapes") + 50
    for level in (1, 2, 3):
        assert_symbols(bad, decode_symbols(data, level), level)


def test_ideal_bits_are_close_to_what_is_written() -> None:
    for variant in ("chunks", "unbounded-trits", "gaussian-trits"):
        scene = synthetic.scene(
            3000,
            levels=2,
            features=10,
            grid=synthetic.grid_spec(3, 1, 8, 8),
            variant=VARIANTS[variant],
            seed=5,
        )
        data = encode(scene)
        info, ideal = check(data), decode_symbols(data).ideal_bits
        for level in (1, 2):
            bits = sum(value for (at, _), value in ideal.items() if at == level)
            coded = 8 * info.component_bytes[level, "symbols"]
            assert bits * 0.9999 <= coded <= bits * 1.003 + 64, variant


def test_a_second_component_that_knows_saves_bits() -> None:
    """Chunks whose networks say nothing (weight 0) cost what one Gaussian costs, within 2 %."""
    scene = synthetic.scene(
        2000, levels=1, features=10, grid=synthetic.grid_spec(3, 1, 8, 8), variant=VARIANTS["chunks"], seed=6
    )
    quiet = tuple(shifted(net, slice(0, net.layers[1].weight.shape[0]), -40) for net in scene.networks.groups)
    chunked = replace(scene, networks=replace(scene.networks, groups=quiet))
    alone = replace(scene.shape, groups=None)
    plain = replace(scene, shape=alone, networks=replace(scene.networks, groups=()))
    bits = [decode_symbols(encode(s)).ideal_bits[1, "features"] for s in (chunked, plain)]
    assert bits[0] == pytest.approx(bits[1], rel=0.02)


def test_gaussian_trits_follow_the_scale() -> None:
    """With narrow predicted scales almost all trits are 0 and cost next to nothing."""
    scene = synthetic.tiny(200, levels=2, seed=8, variant=VARIANTS["gaussian-trits"])
    f = scene.features.shape[1]
    narrow = shifted(scene.networks.scale, slice(0, f + 6), -400)
    zeros = replace(
        reshaped(scene, 2, refined_until=NEVER),
        networks=replace(scene.networks, scale=narrow),
        features=np.zeros_like(scene.features),
        scaling=np.zeros_like(scene.scaling),
    )
    ideal = decode_symbols(encode(zeros)).ideal_bits
    first = np.where(scene.gaussian_level > 0, scene.gaussian_level, 9).min(axis=1)
    trits = np.count_nonzero(first == 1) * (f + 6)
    refined = ("refined_features", "refined_scaling")
    assert sum(ideal[2, name] for name in refined) < 0.01 * trits
    wide = decode_symbols(encode(scene)).ideal_bits
    assert sum(wide[2, name] for name in refined) > trits


# ---- heads ----


def test_residual_decoder_adds_logits() -> None:
    """One set of heads over [f_c, f_r] gives the sums of both decoders' logits."""
    variant = VARIANTS["own-planes"]
    scene = synthetic.tiny(4, variant=variant)
    heads, merged = scene.heads, decode(encode(scene)).scene.heads
    r = heads.residual
    assert r is not None
    rng = np.random.default_rng(2)
    pool, rest, view = rng.normal(size=(7, 6)), rng.normal(size=(7, 5)), rng.normal(size=(7, 4))

    def layer(part: object, x: np.ndarray) -> np.ndarray:
        weight = part.weight.astype(np.float64) * part.scale[:, None]  # type: ignore[attr-defined]
        return x @ weight.T + part.bias  # type: ignore[attr-defined]

    base = np.maximum(layer(heads.hidden, np.concatenate([pool, view], axis=1)), 0)
    residual = np.concatenate([rest, view], axis=1)
    appearance = layer(r.appearance_out, np.maximum(layer(r.appearance_hidden, residual), 0))
    shape = layer(r.shape_out, np.maximum(layer(r.shape_hidden, residual), 0))
    units, k = heads.opacity.weight.shape[1], heads.opacity.weight.shape[0]
    want = (
        layer(heads.opacity, base[:, :units]) + appearance[:, :k],
        layer(heads.color, base[:, units : 2 * units]) + appearance[:, k:],
        layer(heads.cov, base[:, 2 * units :]) + shape,
    )
    hidden = np.maximum(np.concatenate([pool, rest, view], axis=1) @ merged.w1.T + merged.b1, 0)
    size = units + variant.residual_hidden
    assert merged.w1.shape == (3 * size, 6 + 5 + 4)
    got = (
        hidden[:, :size] @ merged.w_opacity.T + merged.b_opacity,
        hidden[:, size : 2 * size] @ merged.w_color.T + merged.b_color,
        hidden[:, 2 * size :] @ merged.w_cov.T + merged.b_cov,
    )
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_heads_survive(scene: QuantizedScene, stream: bytes) -> None:
    got, want = decode(stream).scene.heads, scene.heads.dequantized()
    for name in ("w1", "b1", "w_opacity", "b_opacity", "w_color", "b_color", "w_cov", "b_cov"):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name))


# ---- errors ----


def test_the_memory_limit_counts_all_six_scales() -> None:
    """Restored from one: what the arrays of a large scene take is never let through as enough for them."""
    stream = encode(synthetic.tiny(40_000, variant=VARIANTS["one-scale"]), slice_anchors=512)
    scene = decode(stream, threads=1).scene
    arrays = (scene.anchors, scene.features, scene.log_scales, scene.offsets, scene.gaussian_mask)
    with pytest.raises(BitstreamError, match="raise --max-memory"):
        decode(stream, threads=1, max_memory=sum(array.nbytes for array in arrays))


def bad_scenes() -> list[tuple[str, QuantizedScene]]:
    def tiny(name: str) -> QuantizedScene:
        return synthetic.tiny(20, variant=VARIANTS[name])

    def nets(scene: QuantizedScene, **changes: object) -> QuantizedScene:
        return replace(scene, networks=replace(scene.networks, **changes))  # type: ignore[arg-type]

    chunks, pool, plain = tiny("chunks"), tiny("shared-pool"), tiny("plain")
    loud = pool.networks.pool
    assert loud is not None
    first = loud.layers[0]
    loud = IntegerNetwork(
        (IntegerLayer(first.weight, first.bias + (1 << 24), first.multiplier, first.shift), loud.layers[1])
    )
    hidden, out = chunks.networks.groups[1].layers
    wide = IntegerLayer(
        hidden.weight, hidden.bias, np.full_like(hidden.multiplier, 32767), np.ones_like(hidden.shift)
    )
    broken = (chunks.networks.groups[0], IntegerNetwork((wide, out)), *chunks.networks.groups[2:])
    groups = chunks.networks.groups
    glaring = replace(plain.heads.color, scale=np.full_like(plain.heads.color.scale, 3e38))
    bare = reshaped(reshaped(plain, hidden=0), 1, hidden=0)
    return [
        ("scaling must have 1 or 6", synthetic.tiny(20, variant=synthetic.Variant(scales=3))),
        ("not refined by one", reshaped(plain, refined_until=NEVER)),
        ("not refined by one", reshaped(plain, trit_model="gaussian")),
        ("one of the trit networks is missing", reshaped(plain, 2, refined_until=ALL_LEVELS)),
        ("the same last refined level", reshaped(plain, refined_until=2)),
        ("no code for these trit models", reshaped(plain, 1, trit_model="unbounded")),
        ("more than one level needs trit networks", nets(bare, trits=(None, None, None))),
        ("layers expected", nets(plain, trits=(None, None, None))),
        ("layers expected", nets(chunks, groups=groups[:2])),
        ("layers expected", nets(chunks, groups=groups * 3)),
        ("weight: .* values expected", replace(plain, shape=replace(plain.shape, trunk_hidden=11))),
        ("weight: .* values expected", replace(pool, shape=replace(pool.shape, pool=Pool(6, 9, 1)))),
        ("network pool row 0: sum", nets(pool, pool=loud)),
        ("network group 2 row .*2\\^31", nets(chunks, groups=broken)),
        ("scales and biases must be within", replace(plain, heads=replace(plain.heads, color=glaring))),
        ("hidden heads", replace(pool, heads=plain.heads)),
        ("heads: 4 layers expected, not 8", replace(plain, heads=tiny("own-planes").heads)),
        ("heads: 8 layers expected, not 4", replace(tiny("own-planes"), heads=plain.heads)),
    ]


@pytest.mark.parametrize(("message", "scene"), bad_scenes())
def test_scenes_that_the_format_cannot_hold(message: str, scene: QuantizedScene) -> None:
    with pytest.raises(InputError, match=message):
        encode(scene)


def test_no_pool_to_predict() -> None:
    scene = synthetic.tiny(3)
    with pytest.raises(InputError, match="without a pool"):
        predict_pool(scene.shape, scene.networks, scene.grid_signs, scene.positions)


def test_memory_limit(stream: bytes) -> None:
    with pytest.raises(BitstreamError, match="--max-memory"):
        decode(stream, max_memory=300_000)
    assert decode(stream, max_memory=16 << 20).level == LEVELS
