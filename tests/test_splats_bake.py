"""Baking: what one Gaussian becomes, and how close pictures of all of them come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rendering_scenes import camera, one_gaussian_scene, random_scene

from gspc.errors import InputError
from gspc.metrics import psnr
from gspc.rendering import Renderer
from gspc.scene import F32, Camera, DecodedScene, Gaussians
from gspc.splats import SplatRenderer, Splats, bake, refine, spread, sweep
from gspc.splats.drawing import draw
from gspc.splats.fitting import Sightings, fit
from gspc.splats.harmonics import basis
from gspc.splats.sweep import View, match_colors
from gspc.splats.view import gaussians_for_camera

SCENE = random_scene(anchors=120, cameras=12)


def quality(splats: Splats, scene: DecodedScene) -> float:
    """Mean PSNR in dB against the neural scene's pictures."""
    neural, plain = Renderer(scene), SplatRenderer(splats, background=scene.background)
    return float(np.mean([psnr(plain.render(view), neural.render(view)) for view in scene.cameras]))


def test_a_gaussian_that_never_changes_is_baked_exactly() -> None:
    scene = one_gaussian_scene(opacity=0.8, sigma=0.2, color=(0.9, 0.5, 0.25))
    found = bake(scene)
    np.testing.assert_allclose(found.means, [[0, 0, 2]], atol=1e-6)
    np.testing.assert_allclose(found.opacities, [0.8], atol=1e-4)
    np.testing.assert_allclose(found.scales, [[0.2] * 3], rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.quats), [[1, 0, 0, 0]], atol=1e-6)
    assert quality(found, scene) > 60


def test_harmonics_are_recovered_from_enough_directions() -> None:
    """Colors that are harmonics of degree 3, seen from 60 sides by Gaussians of one opacity and shape."""
    rng = np.random.default_rng(0)
    sh = rng.normal(0, 0.1, (5, 16, 3)).astype(np.float32)
    means = rng.normal(size=(5, 3)).astype(np.float32)
    centers = 5 * rng.normal(size=(60, 3))
    seen = Sightings.empty(means, np.ones((60, 5), np.float32), np.ones((60, 5), np.bool_))
    opacities = np.linspace(0.1, 0.9, 5).astype(np.float32)
    scales = rng.uniform(0.1, 1, (5, 3)).astype(np.float32)
    quats = rng.normal(size=(5, 4)).astype(np.float32)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    for number, center in enumerate(centers):
        rays = means - center
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        colors = np.einsum("mc,mcj->mj", basis(rays, 3), sh) + 0.5
        signs = rng.choice([-1, 1], (5, 1)).astype(np.float32)
        seen.add(number, center, np.arange(5), Gaussians(means, signs * quats, scales, opacities, colors))
    found = fit(seen, 3)
    np.testing.assert_allclose(found.sh, sh, atol=0.03)
    np.testing.assert_allclose(np.exp(found.log_scales), scales, rtol=1e-5)
    np.testing.assert_allclose(np.abs((found.quats * quats).sum(axis=1)), 1, atol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-found.logits)), opacities, atol=1e-5)


def test_a_camera_that_sees_more_of_a_gaussian_counts_more() -> None:
    means = np.zeros((1, 3), np.float32)
    pixels = np.array([[9.0], [1.0]], np.float32)
    seen = Sightings.empty(means, pixels, np.ones((2, 1), np.bool_))
    one = np.ones((1, 3), np.float32)
    quat = np.array([[1, 0, 0, 0]], np.float32)
    seen.add(0, np.array([0.0, 0, -3]), np.array([0]), Gaussians(means, quat, one, np.array([0.5]), 0 * one))
    seen.add(1, np.array([0.0, 0, 3]), np.array([0]), Gaussians(means, quat, 4 * one, np.array([0.5]), one))
    found = fit(seen, 0)
    np.testing.assert_allclose(found.log_scales, 0.1 * np.log(4), rtol=0.01)
    np.testing.assert_allclose(found.sh[0, 0] * basis(np.eye(3)[:1], 0)[0] + 0.5, 0.1, rtol=0.01)


def test_contributions_are_the_blending_weights() -> None:
    """The gradient that baking weighs by, against a picture drawn with one Gaussian's color at a time."""
    scene = random_scene(anchors=6)
    from gspc.rendering.heads import gaussians_for_view

    view = scene.cameras[0]
    shown = gaussians_for_view(scene, view)
    drawn = draw(shown, view, scene.background)
    ones = np.zeros_like(drawn.picture)
    ones[..., 0] = 1
    found = drawn.gradients(ones).colors[:, 0]
    for number in range(len(shown.means)):
        colors = np.zeros_like(shown.colors)
        colors[number, 0] = 1
        alone = draw(replace(shown, colors=colors), view, (0, 0, 0)).picture[..., 0]
        assert found[number] == pytest.approx(alone.sum(), abs=1e-3)


def test_baked_pictures_are_close_and_higher_degrees_closer() -> None:
    by_degree = [quality(bake(SCENE, degree), SCENE) for degree in range(4)]
    assert by_degree[0] > 22
    assert by_degree[1] > by_degree[0] + 1
    assert by_degree[3] > by_degree[1]
    assert by_degree[3] > 27


def test_refining_takes_much_of_the_error() -> None:
    baked = bake(SCENE)
    refined = refine(baked, SCENE, 250)
    assert quality(refined, SCENE) > quality(baked, SCENE) + 2
    np.testing.assert_array_equal(refined.means, baked.means)


def test_baking_is_reproducible_and_reports_progress() -> None:
    heard: list[tuple[int, int]] = []
    one = bake(SCENE, 2, lambda done, total: heard.append((done, total)))
    other = bake(SCENE, 2)
    np.testing.assert_array_equal(one.sh, other.sh)
    assert heard == [(number, len(heard)) for number in range(1, len(heard) + 1)]


def test_only_gaussians_that_are_alive_are_baked() -> None:
    mask = np.zeros_like(SCENE.gaussian_mask)
    mask[3, 1] = mask[40] = True
    few = replace(SCENE, gaussian_mask=mask)
    assert bake(few).count <= int(mask.sum())
    with pytest.raises(InputError, match="holds no Gaussians"):
        bake(replace(SCENE, gaussian_mask=np.zeros_like(mask)))
    with pytest.raises(InputError, match="suggests no cameras"):
        bake(replace(SCENE, cameras=()))


def test_matching_colors_makes_pictures_agree() -> None:
    """Wrong harmonics, right shapes: a few rounds find colors that look the same."""
    splats = bake(SCENE)
    views = []
    for view in SCENE.cameras:
        drawn = draw(
            gaussians_for_camera(splats, view),
            view,
            SCENE.background,
        )
        ones = np.zeros_like(drawn.picture)
        ones[..., 0] = 1
        views.append(View(view, drawn.picture, drawn.gradients(ones).colors[:, 0]))
    gray = replace(splats, sh=np.zeros_like(splats.sh))
    found = match_colors(gray, views, SCENE.background, 6)

    def error(one: Splats) -> float:
        plain = SplatRenderer(one, background=SCENE.background)
        return float(np.mean([np.square(plain.render(v.camera) - v.picture).mean() for v in views]))

    assert error(found) < 0.02 * error(gray)


def test_views_that_stay_projected_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory is short, every view is projected again in every round; the result is the same."""
    kept = bake(SCENE)
    monkeypatch.setattr(sweep, "KEPT", 0)
    assert np.array_equal(bake(SCENE).sh, kept.sh)


def test_pictures_on_the_way_are_those_of_the_scene() -> None:
    heard: list[tuple[Camera, F32]] = []
    bake(SCENE, on_picture=lambda *sight: heard.append(sight))
    assert len(heard) == len(SCENE.cameras)
    renderer = Renderer(SCENE)
    for seen_from, picture in heard:
        assert np.abs(renderer.render(SCENE.frame.camera_to_user(seen_from)) - picture).max() < 1e-5


def test_spread_takes_cameras_far_from_each_other() -> None:
    row = [camera(name=f"{number}") for number in range(20)]
    line = []
    for x, one in enumerate(row):
        pose = np.eye(4)
        pose[0, 3] = -x
        line.append(replace(one, world_to_camera=pose))
    chosen = [one.name for one in spread(line, 3)]
    assert chosen[:2] == ["0", "19"]
    assert chosen[2] in ("9", "10")
    assert spread(line, 50) == line
