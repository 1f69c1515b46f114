"""Random starts: in view of the cameras, inside the silhouettes of objects that stand before nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gspc.data.demo import demo_cameras, look_at
from gspc.data.frame import canonical
from gspc.data.points import seen_by
from gspc.data.start import FARTHEST, RANDOM_POINTS, prepared, random_start, silhouette
from gspc.scene import Camera, SceneData, View

CAMERAS = demo_cameras(12, 64, 48)
BALL = 0.3  # radius


def outward(count: int = 12) -> list[Camera]:
    """Cameras in a room that look at its walls."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    around = np.stack([np.cos(angles), np.sin(angles), np.zeros(count)], 1)
    return [
        replace(CAMERAS[index], world_to_camera=look_at(around[index], 3 * around[index]))
        for index in range(count)
    ]


def ball(camera: Camera) -> np.ndarray:  # [H, W]
    """Where a camera sees a ball around the origin."""
    x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    rays = np.stack(np.broadcast_arrays(x[None], y[:, None], 1.0), axis=-1)
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    center = -camera.world_to_camera[:3, :3] @ camera.center
    return np.linalg.norm(np.cross(rays, center), axis=-1) < BALL


def scene_of(cameras: list[Camera], kind: str = "noise") -> SceneData:
    """Views without points: noise, a gray ball before white, or one that is opaque before nothing."""
    generator = np.random.default_rng(0)
    views = []
    for camera in cameras:
        pixels = generator.integers(0, 255, (camera.height, camera.width, 3), dtype=np.uint8)
        alpha = None
        if kind != "noise":
            shape = ball(camera)
            pixels = np.where(shape[:, :, None], np.uint8(90), np.uint8(255)).repeat(3, axis=2)
            # A highlight as white as what is behind the ball.
            pixels[tuple(np.argwhere(shape)[shape.sum() // 2])] = 255
        if kind == "alpha":
            alpha = (ball(camera) * 255).astype(np.uint8)
        views.append(
            View(
                camera,
                lambda pixels=pixels: pixels,
                alpha=None if alpha is None else (lambda alpha=alpha: alpha),
            )
        )
    white = (1.0, 1.0, 1.0)
    return SceneData("start", tuple(views), (), np.zeros((0, 3)), np.zeros((0, 3), np.uint8), white)


@pytest.mark.parametrize("cameras", [CAMERAS, outward()], ids=["object", "room"])
def test_random_points_are_in_view(cameras: list[Camera]) -> None:
    """In scenes that cameras stand around, and in those that they stand in."""
    scene = canonical(scene_of(cameras)).scene
    points, colors = random_start(scene)
    assert points.shape == colors.shape == (RANDOM_POINTS, 3)
    seen = seen_by(points, [view.camera for view in scene.train]) > 0
    assert seen[RANDOM_POINTS // 2 :].all()  # along the cameras' rays
    assert seen.mean() > 0.8 or cameras is not CAMERAS
    depths = np.min([np.linalg.norm(points - view.camera.center, axis=1) for view in scene.train], axis=0)
    assert np.median(depths) < 2 and depths.max() < 2 * FARTHEST
    np.testing.assert_array_equal(points, random_start(scene)[0])


@pytest.mark.parametrize("kind", ["white", "alpha"])
def test_points_start_in_the_hull(kind: str) -> None:
    framed = prepared(scene_of(CAMERAS, kind))
    points = framed.frame.to_user(framed.scene.points)
    assert framed.random == RANDOM_POINTS
    radius = np.linalg.norm(points, axis=1)
    assert np.quantile(radius, 0.9) < 1.7 * BALL  # a hull of twelve views and pixels of a twentieth
    assert (radius < BALL).mean() > 0.3


def test_highlights_are_no_holes() -> None:
    (view, *_) = scene_of(CAMERAS, "white").train
    shape = silhouette(view, (1.0, 1.0, 1.0))
    assert shape is not None
    assert shape[ball(view.camera)].all()
    assert shape.mean() < 0.5


def test_pictures_that_end_in_something_have_no_silhouette() -> None:
    (view, *_) = scene_of(CAMERAS).train
    assert silhouette(view, (1.0, 1.0, 1.0)) is None
