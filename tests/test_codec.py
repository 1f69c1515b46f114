"""The codec core: what goes in comes out, at every level, instruction set and number of threads."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import synthetic
from codec_checks import assert_symbols, coarser, rows_in_scene
from synthetic import STEP_BASE
from synthetic_networks import layers_of

from gspc import _codec
from gspc.codec import decode, decode_symbols, encode, predict, truncate_levels
from gspc.errors import BitstreamError, InputError
from gspc.format.scene import IntegerLayer, IntegerNetwork, QuantizedScene
from gspc.reference import networks as reference
from gspc.reference.context import grid_context
from gspc.reference.tables import STEP


@pytest.fixture(scope="module")
def small() -> QuantizedScene:
    return synthetic.scene(700, seed=3)


@pytest.fixture(scope="module")
def stream(small: QuantizedScene) -> bytes:
    return encode(small, slice_anchors=200)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_round_trip_at_every_level(small: QuantizedScene, stream: bytes, level: int) -> None:
    symbols = decode_symbols(stream, level)
    assert symbols.level == level
    assert_symbols(small, symbols, level)


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 64, 65])
@pytest.mark.parametrize("levels", [1, 2, 8])
def test_round_trip_at_boundaries(count: int, levels: int) -> None:
    scene = synthetic.tiny(count, levels=levels, seed=count)
    data = encode(scene, slice_anchors=32)
    for level in range(1, levels + 1):
        assert_symbols(scene, decode_symbols(data, level), level)
    assert decode(data).scene.anchors.shape == (count, 3)


def test_values_are_restored_from_symbols(small: QuantizedScene, stream: bytes) -> None:
    for level in (1, 3):
        symbols, scene = decode_symbols(stream, level), decode(stream, upto=level).scene
        f = small.features.shape[1]
        step = STEP[symbols.steps] / 2.0**14 * np.array(STEP_BASE)
        means = symbols.means / 64.0
        third = 3.0 ** (level - 1)
        features = means[:, :f] * STEP_BASE[0] + symbols.features * (step[:, 0:1] / third)
        scales = means[:, f : f + 6] * STEP_BASE[1] + symbols.scaling * (step[:, 1:2] / third)
        offsets = means[:, f + 6 :] * STEP_BASE[2] + symbols.offsets.reshape(len(step), -1) * step[:, 2:3]
        np.testing.assert_allclose(scene.features, features, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(scene.log_scales, scales, rtol=1e-6, atol=1e-6)
        alive = symbols.gaussian_level > 0
        np.testing.assert_array_equal(scene.gaussian_mask, alive)
        offsets = offsets.reshape(scene.offsets.shape) * alive[:, :, None]
        np.testing.assert_allclose(scene.offsets, offsets, rtol=1e-6, atol=1e-6)
        world = symbols.positions * small.voxel_size + small.origin
        np.testing.assert_array_equal(scene.anchors, world.astype(np.float32))
        assert (scene.level, scene.levels) == (level, 3)


def test_grids_of_levels_nest(stream: bytes) -> None:
    """What a level adds refines what was there: a value moves by at most half a step of the level before."""
    coarse, fine = decode_symbols(stream, 1), decode_symbols(stream, 3)
    where = {tuple(p): i for i, p in enumerate(fine.positions.tolist())}
    rows = np.array([where[tuple(p)] for p in coarse.positions.tolist()])
    np.testing.assert_array_equal(coarse.features, coarser(fine.features[rows], 2))
    np.testing.assert_array_equal(coarse.means, fine.means[rows])
    np.testing.assert_array_equal(coarse.steps, fine.steps[rows])
    assert np.abs(fine.features[rows] - 9 * coarse.features).max() <= 4


def test_everything_else_survives(small: QuantizedScene, stream: bytes) -> None:
    scene = decode(stream).scene
    heads = small.heads.dequantized()
    for name in ("w1", "b1", "w_opacity", "b_opacity", "w_color", "b_color", "w_cov", "b_cov"):
        np.testing.assert_array_equal(getattr(scene.heads, name), getattr(heads, name))
    assert scene.heads.distance_scale == heads.distance_scale
    assert scene.background == small.background
    assert scene.metadata == {"source": "synthetic"}
    assert len(scene.cameras) == len(small.cameras)
    for got, put in zip(scene.cameras, small.cameras, strict=True):
        assert (got.name, got.width, got.height) == (put.name, put.width, put.height)
        assert (got.fx, got.fy, got.cx, got.cy) == (put.fx, put.fy, put.cx, put.cy)
        np.testing.assert_allclose(got.world_to_camera, put.world_to_camera, atol=5e-7)


def test_slightly_sheared_camera_is_stored_in_full(small: QuantizedScene) -> None:
    """A quaternion would straighten it. Poses that are farther from rotations are refused."""
    pose = np.eye(4)
    pose[:3, :3] = [[1.0, 2.0**-12, 0.0], [0.0, 1.0 + 2.0**-12, 0.0], [2.0**-13, 0.0, 1.0]]
    scene = replace(synthetic.tiny(4), cameras=(replace(small.cameras[0], world_to_camera=pose, name="ä b"),))
    camera = decode(encode(scene)).scene.cameras[0]
    assert camera.name == "ä b"
    np.testing.assert_array_equal(camera.world_to_camera, pose)


def test_prediction_is_what_the_decoder_uses(small: QuantizedScene, stream: bytes) -> None:
    means, steps = predict(small.shape, small.networks, small.grid_signs, small.positions)
    symbols = decode_symbols(stream)
    rows = rows_in_scene(small, symbols)
    np.testing.assert_array_equal(means[rows], symbols.means)
    np.testing.assert_array_equal(steps[rows], symbols.steps)
    context = grid_context(small.positions, small.shape.grid, small.grid_signs)
    layers, values = layers_of(small.networks, small.shape), means.shape[1]
    np.testing.assert_array_equal(steps, reference.step_indices(layers, context))
    center = reference.output(layers["center"], reference.hidden(layers["trunk"], context))
    np.testing.assert_array_equal(means, center[:, :values])


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_dropping_levels_gives_the_file_of_fewer_levels(
    small: QuantizedScene, stream: bytes, levels: int
) -> None:
    cut = truncate_levels(stream, levels)
    assert cut == encode(small, levels=levels, slice_anchors=200)
    assert decode(cut).symbol_hash == decode(stream, upto=levels).symbol_hash
    assert len(cut) < len(stream) or levels == 3
    if levels < 3:
        with pytest.raises(BitstreamError, match=f"level {levels + 1}"):
            truncate_levels(cut, levels + 1)


@pytest.mark.parametrize("isa", ["base", "v3", "v4"])
def test_same_bytes_and_symbols_on_every_instruction_set(
    small: QuantizedScene, stream: bytes, isa: str
) -> None:
    before = _codec.active_isa()
    try:
        _codec.set_isa(isa)
        assert encode(small, slice_anchors=200, threads=1) == stream
        for threads in (1, 2, 3):
            assert (
                decode(stream, threads=threads).symbol_hash
                == decode_symbols(stream, reverse=True).symbol_hash
            )
        by_isa = decode(stream).symbol_hash
        _codec.set_isa(before)
        assert decode(stream).symbol_hash == by_isa
    finally:
        _codec.set_isa(before)


def test_wild_symbols_and_shifted_scales_survive() -> None:
    """Escapes far outside the tables, negative and huge, in every run."""
    scene = synthetic.tiny(50, levels=2, seed=9)
    rng = np.random.default_rng(0)
    big = (1 << 23) - 1
    wild = scene.features.copy()
    wild[rng.random(wild.shape) < 0.2] = big
    wild[rng.random(wild.shape) < 0.2] = -big
    scaling = rng.integers(-1000, 1000, scene.scaling.shape).astype(np.int32)
    offsets = (
        rng.integers(-100000, 100000, scene.offsets.shape) * (scene.gaussian_level > 0)[:, :, None]
    ).astype(np.int32)
    scene = replace(scene, features=wild, scaling=scaling, offsets=offsets)
    data = encode(scene)
    assert_symbols(scene, decode_symbols(data), 2)
    assert_symbols(scene, decode_symbols(data, 1), 1)


def test_positions_at_the_ends_of_space() -> None:
    scene = synthetic.tiny(4, levels=1)
    corners = np.array(
        [[0, 0, 0], [(1 << 21) - 1] * 3, [0, (1 << 21) - 1, 5], [7, 0, 1 << 20]], dtype=np.int32
    )
    scene = replace(scene, positions=corners)
    symbols = decode_symbols(encode(scene, slice_anchors=1))
    assert_symbols(scene, symbols, 1)


def test_ideal_bits_are_close_to_what_is_written() -> None:
    scene = synthetic.scene(3000, levels=2, seed=5)
    data = encode(scene)
    from gspc.format import describe

    info = describe(data)
    ideal = decode_symbols(data).ideal_bits
    for level in (1, 2):
        bits = sum(value for (lv, _), value in ideal.items() if lv == level)
        coded = 8 * info.component_bytes[level, "symbols"]
        assert bits * 0.9999 <= coded <= bits * 1.002 + 64


def test_slices_grow_so_that_the_index_fits() -> None:
    scene = synthetic.tiny(3000, levels=3, seed=2)
    data = encode(scene, slice_anchors=1)
    from gspc.format import describe

    info = describe(data)
    assert info.chunks[1].offset + 24 + info.chunks[1].length <= 16384
    assert 500 < len(info.slice_keys) <= 2048
    assert_symbols(scene, decode_symbols(data), 3)


def test_constant_symbols_cost_nothing_but_hold_the_anchor_limit() -> None:
    """Padding keeps at most 8 new anchors per slice byte even when all else is nearly free."""
    scene = synthetic.scene(
        2000, levels=1, features=1, offsets=1, grid=synthetic.grid_spec(1, 1, 6, 6), hidden=(4, 4, 4, 4)
    )
    line = np.stack([np.arange(2000), np.zeros(2000), np.zeros(2000)], axis=1).astype(np.int32)
    scene = replace(scene, positions=line, gaussian_level=np.ones((2000, 1), np.uint8))
    symbols = decode_symbols(encode(scene))
    assert len(symbols.positions) == 2000


# ---- errors ----


def test_levels_that_are_not_there(stream: bytes) -> None:
    with pytest.raises(BitstreamError, match="level 4 was asked for, the stream has 3"):
        decode(stream, upto=4)
    with pytest.raises(BitstreamError, match="count from 1"):
        decode(stream, upto=0)


def test_memory_limit(stream: bytes) -> None:
    with pytest.raises(BitstreamError, match="--max-memory"):
        decode(stream, max_memory=100_000)
    assert decode(stream, max_memory=64 << 20).level == 3


def bad_scenes() -> list[tuple[str, QuantizedScene]]:
    scene = synthetic.tiny(20)
    twice = scene.positions.copy()
    twice[3] = twice[4]
    outside = scene.positions.copy()
    outside[0, 1] = 1 << 21
    negative = scene.positions.copy()
    negative[0, 1] = -1
    dead = scene.gaussian_level.copy()
    dead[5] = 0
    late = scene.gaussian_level.copy()
    late[5, 0] = 4
    huge = scene.features.copy()
    huge[2, 2] = 1 << 23
    trunk = scene.networks.trunk.layers[0]
    loud = IntegerLayer(
        np.full_like(trunk.weight, 127), trunk.bias + (1 << 24), trunk.multiplier, trunk.shift
    )
    far = IntegerLayer(
        trunk.weight, trunk.bias, np.full_like(trunk.multiplier, 32767), np.ones_like(trunk.shift)
    )
    return [
        ("same position", replace(scene, positions=twice)),
        ("outside", replace(scene, positions=outside)),
        ("outside", replace(scene, positions=negative)),
        ("no Gaussian", replace(scene, gaussian_level=dead)),
        ("after the last level", replace(scene, gaussian_level=late)),
        ("23 bits", replace(scene, features=huge)),
        ("2\\^24", replace(scene, networks=replace(scene.networks, trunk=IntegerNetwork((loud,))))),
        ("2\\^31", replace(scene, networks=replace(scene.networks, trunk=IntegerNetwork((far,))))),
        ("voxel size must be positive", replace(scene, voxel_size=float("nan"))),
        ("steps must be positive", synthetic.reshaped(scene, 1, step_base=0.0)),
        ("64 cameras", replace(scene, cameras=synthetic.cameras(65))),
        ("do not belong together", replace(scene, scaling=scene.scaling[:-1])),
    ]


@pytest.mark.parametrize(("message", "scene"), bad_scenes())
def test_scenes_that_the_format_cannot_hold(message: str, scene: QuantizedScene) -> None:
    with pytest.raises(InputError, match=message):
        encode(scene)


def test_codec_needs_no_torch() -> None:
    code = "import gspc.codec, gspc.format, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import gspc.format, sys; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
