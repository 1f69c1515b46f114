"""Heads of a decoded scene and the culling before them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from rendering_scenes import camera, look_at, one_gaussian_scene, random_scene

from gspc.rendering import heads as heads_module
from gspc.rendering.culling import anchor_bounds, visible_anchors
from gspc.rendering.heads import gaussians_for_view, reference_gaussians
from gspc.scene import Camera, DecodedScene, Gaussians

FIELDS = ("means", "quats", "scales", "opacities", "colors")


def scalar_gaussians(scene: DecodedScene, view: Camera) -> dict[str, np.ndarray]:
    """The definition in Python floats, one Gaussian at a time."""
    heads, hidden = scene.heads, scene.heads.w_opacity.shape[1]
    out: dict[str, list] = {key: [] for key in FIELDS}
    center = -view.world_to_camera[:3, :3].T @ view.world_to_camera[:3, 3]
    for n in range(len(scene.anchors)):
        ray = scene.anchors[n].astype(float) - center
        distance = math.sqrt(ray @ ray)
        x = np.concatenate([scene.features[n], ray / distance, [distance * heads.distance_scale]])
        h = np.maximum(heads.w1 @ x + heads.b1, 0)
        for k in range(scene.offsets.shape[1]):
            opacity = math.tanh(heads.w_opacity[k] @ h[:hidden] + heads.b_opacity[k])
            if not (opacity > 0 and scene.gaussian_mask[n, k]):
                continue
            color = (
                heads.w_color[3 * k : 3 * k + 3] @ h[hidden : 2 * hidden] + heads.b_color[3 * k : 3 * k + 3]
            )
            cov = heads.w_cov[7 * k : 7 * k + 7] @ h[2 * hidden :] + heads.b_cov[7 * k : 7 * k + 7]
            scaling = np.exp(scene.log_scales[n].astype(float))
            out["means"].append(scene.anchors[n] + scene.offsets[n, k] * scaling[:3])
            out["quats"].append(cov[3:] / math.sqrt(cov[3:] @ cov[3:]))
            out["scales"].append(scaling[3:] / (1 + np.exp(-cov[:3])))
            out["opacities"].append(opacity)
            out["colors"].append(1 / (1 + np.exp(-color)))
    return {key: np.array(value) for key, value in out.items()}


@pytest.mark.parametrize("function", [reference_gaussians, gaussians_for_view])
def test_against_the_definition(function) -> None:
    scene = random_scene(60)
    expected = scalar_gaussians(scene, scene.cameras[0])
    result = function(scene, scene.cameras[0])
    assert 0 < len(result.means) < scene.gaussian_mask.sum()
    for key in FIELDS:
        value = getattr(result, key)
        assert value.dtype == np.float32 and value.flags.c_contiguous, key
        np.testing.assert_allclose(value, expected[key], rtol=2e-5, atol=2e-6, err_msg=key)


@pytest.mark.parametrize("function", [reference_gaussians, gaussians_for_view])
def test_visible_selects_anchors(function) -> None:
    scene = random_scene(40)
    rows = np.array([3, 4, 11, 39])
    subset = dataclasses.replace(
        scene,
        **{
            key: getattr(scene, key)[rows]
            for key in ("anchors", "features", "log_scales", "offsets", "gaussian_mask")
        },
    )
    visible = np.isin(np.arange(40), rows)
    a, b = function(scene, scene.cameras[1], visible), function(subset, scene.cameras[1])
    for key in FIELDS:
        assert np.array_equal(getattr(a, key), getattr(b, key)), key


@pytest.mark.parametrize("function", [reference_gaussians, gaussians_for_view])
def test_nothing_alive_gives_empty_arrays(function) -> None:
    for scene, rows in ((random_scene(0), None), (random_scene(5), np.zeros(5, bool))):
        result = function(scene, scene.cameras[0], rows)
        assert [getattr(result, key).shape for key in FIELDS] == [(0, 3), (0, 4), (0, 3), (0,), (0, 3)]
    dead = dataclasses.replace(random_scene(5), gaussian_mask=np.zeros((5, 4), bool))
    assert len(function(dead, dead.cameras[0]).means) == 0


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = random_scene(50)
    whole = reference_gaussians(scene, scene.cameras[0])
    monkeypatch.setattr(heads_module, "CHUNK", 7)
    for key in FIELDS:
        np.testing.assert_allclose(
            getattr(reference_gaussians(scene, scene.cameras[0]), key),
            getattr(whole, key),
            rtol=1e-6,
            atol=1e-6,
        )


def project(point, view: Camera) -> tuple[float, float, float]:
    p = view.world_to_camera @ np.array([*point, 1.0])
    return view.fx * p[0] / p[2] + view.cx, view.fy * p[1] / p[2] + view.cy, p[2]


def test_a_known_point_lands_on_the_known_pixel() -> None:
    view = Camera("c", 640, 480, 500.0, 400.0, 320.0, 240.0, np.eye(4))
    assert project((1.0, 0.5, 2.0), view) == (570.0, 340.0, 2.0)  # x right, y down, z forward
    # A quarter turn around y: the world's +x lies ahead, the world's -z to the right.
    turned = look_at("c", (0, 0, 0), (1, 0, 0), 640, 480, 500.0)
    assert project((2.0, 0.0, 0.0), turned) == pytest.approx((320, 240, 2))
    np.testing.assert_allclose(turned.center, [0, 0, 0], atol=1e-12)
    moved = look_at("c", (1, 2, 3), (0, 0, 0), 640, 480, 500.0)
    np.testing.assert_allclose(moved.center, [1, 2, 3], atol=1e-12)
    assert project((0, 0, 0), moved) == pytest.approx((320, 240, math.sqrt(14)))
    half = moved.resized(320, 120)
    u, v, _ = project((0.3, 0.1, -0.2), moved)
    assert project((0.3, 0.1, -0.2), half)[:2] == pytest.approx((u / 2, v / 4))


def touches(gaussians: Gaussians, index: int, view: Camera) -> bool:
    """Whether one Gaussian has an alpha of 1/255 or more at any pixel, by brute force (EWA as in gsplat)."""
    rotation, translation = view.world_to_camera[:3, :3], view.world_to_camera[:3, 3]
    mean = rotation @ gaussians.means[index] + translation
    if mean[2] < 0.01:
        return False
    w, x, y, z = gaussians.quats[index].astype(float)
    q = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    half = rotation @ q @ np.diag(gaussians.scales[index].astype(float))
    tx, ty = mean[0] / mean[2], mean[1] / mean[2]
    lim_x, lim_y = 0.15 * view.width / view.fx, 0.15 * view.height / view.fy
    tx = np.clip(tx, -(view.cx / view.fx + lim_x), (view.width - view.cx) / view.fx + lim_x)
    ty = np.clip(ty, -(view.cy / view.fy + lim_y), (view.height - view.cy) / view.fy + lim_y)
    jacobian = np.array([[view.fx, 0, -view.fx * tx], [0, view.fy, -view.fy * ty]]) / mean[2]
    cov = jacobian @ half @ half.T @ jacobian.T + 0.3 * np.eye(2)
    center = [view.fx * mean[0] / mean[2] + view.cx, view.fy * mean[1] / mean[2] + view.cy]
    grid = np.stack(np.meshgrid(np.arange(view.width) + 0.5, np.arange(view.height) + 0.5), -1) - center
    power = 0.5 * np.einsum("hwi,ij,hwj->hw", grid, np.linalg.inv(cov), grid)
    return bool((gaussians.opacities[index] * np.exp(-power)).max() >= 1 / 255)


def test_culling_drops_no_gaussian_that_is_drawn() -> None:
    rng = np.random.default_rng(5)
    dropped = drawn = 0
    for seed in range(12):
        scene = random_scene(60, seed=seed)
        scene.anchors[:] *= rng.choice([1, 4, 10])
        scene.log_scales[:] += np.float32(rng.choice([-1, 0, 1.5]))
        scene.heads.b_opacity[:] += 3
        position = rng.standard_normal(3) * rng.choice([0.1, 1, 4])
        base = look_at("v", position, rng.standard_normal(3) * 0.1, 40, 30, float(rng.choice([15, 40, 200])))
        view = dataclasses.replace(base, cx=float(rng.uniform(5, 35)), fy=base.fx * rng.uniform(0.5, 2))
        kept = visible_anchors(anchor_bounds(scene), view)
        others = ~kept
        gaussians = reference_gaussians(scene, view, others)
        for index in range(len(gaussians.means)):
            assert not touches(gaussians, index, view)
        inside = reference_gaussians(scene, view, kept)
        drawn += sum(touches(inside, index, view) for index in range(len(inside.means)))
        dropped += int(others.sum())
    assert dropped > 200 and drawn > 200  # the test means something


def test_culling_drops_what_is_behind_and_beside() -> None:
    view = camera(width=90, height=70, focal=100.0)
    positions = {(0, 0, 2): True, (0, 0, -2): False, (5, 0, 2): False, (0, -5, 2): False, (0.8, 0, 2): True}
    for position, visible in positions.items():
        bounds = anchor_bounds(one_gaussian_scene(position, sigma=0.02))
        assert visible_anchors(bounds, view).tolist() == [visible], position
    # A wide one beside the picture reaches into it.
    assert visible_anchors(anchor_bounds(one_gaussian_scene((5, 0, 2), sigma=2.0)), view).tolist() == [True]


def test_culling_drops_the_dead_and_the_infinite() -> None:
    scene = one_gaussian_scene()
    view = camera()
    assert visible_anchors(anchor_bounds(scene), view).tolist() == [True]
    dead = dataclasses.replace(scene, gaussian_mask=np.zeros((1, 1), bool))
    assert not visible_anchors(anchor_bounds(dead), view).any()
    for value in (100.0, 1e30):
        huge = dataclasses.replace(scene, log_scales=np.full((1, 6), value, np.float32))
        assert not visible_anchors(anchor_bounds(huge), view).any()
    far = dataclasses.replace(scene, anchors=np.array([[3e38, 3e38, 3e38]], np.float32))
    visible_anchors(anchor_bounds(far), view)  # no warning, no exception
    assert visible_anchors(anchor_bounds(random_scene(0)), view).shape == (0,)
