"""Small hand-made decoded scenes and cameras for the rendering tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gspc.scene import Camera, DecodedScene, Heads


def logit(value: float) -> float:
    return float(np.log(value / (1 - value)))


def camera(
    name: str = "front.png", width: int = 9, height: int = 7, focal: float = 10.0, **changes
) -> Camera:
    """Looks along +z from the origin; the principal point is the middle of the picture."""
    pose = np.eye(4)
    base = Camera(name, width, height, focal, focal, width / 2, height / 2, pose)
    return replace(base, **changes)


def look_at(name: str, position, target, width: int, height: int, focal: float) -> Camera:
    position, target = np.asarray(position, float), np.asarray(target, float)
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
    return Camera(name, width, height, focal, focal, width / 2, height / 2, pose)


def one_gaussian_scene(
    position=(0.0, 0.0, 2.0),
    sigma: float = 0.2,
    opacity: float = 0.8,
    color=(0.9, 0.5, 0.25),
    background=(0.1, 0.2, 0.3),
) -> DecodedScene:
    """One anchor with one round Gaussian of known size, opacity and color, whatever the view: the heads are
    biases only.
    """
    bias_cov = np.array(
        [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0], np.float32
    )  # sigmoid(0) = 1/2, identity rotation
    heads = Heads(
        w1=np.zeros((6, 3 + 4), np.float32),
        b1=np.ones(6, np.float32),
        w_opacity=np.zeros((1, 2), np.float32),
        b_opacity=np.array([np.arctanh(opacity)], np.float32),
        w_color=np.zeros((3, 2), np.float32),
        b_color=np.array([logit(value) for value in color], np.float32),
        w_cov=np.zeros((7, 2), np.float32),
        b_cov=bias_cov,
        distance_scale=1.0,
    )
    log_scales = np.zeros((1, 6), np.float32)
    log_scales[0, 3:] = np.log(2 * sigma)
    return DecodedScene(
        level=1,
        levels=1,
        anchors=np.array([position], np.float32),
        features=np.zeros((1, 3), np.float32),
        log_scales=log_scales,
        offsets=np.zeros((1, 1, 3), np.float32),
        gaussian_mask=np.ones((1, 1), bool),
        heads=heads,
        background=background,
        cameras=(camera(),),
    )


def random_scene(
    anchors: int = 50, features: int = 8, offsets: int = 4, hidden: int = 6, seed: int = 0, cameras: int = 2
) -> DecodedScene:
    """Anchors in the unit ball around the origin, cameras around it."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    heads = Heads(
        w1=normal(3 * hidden, features + 4, scale=0.5),
        b1=normal(3 * hidden, scale=0.5),
        w_opacity=normal(offsets, hidden, scale=0.5),
        b_opacity=normal(offsets, scale=0.5),
        w_color=normal(3 * offsets, hidden, scale=0.5),
        b_color=normal(3 * offsets, scale=0.5),
        w_cov=normal(7 * offsets, hidden, scale=0.5),
        b_cov=normal(7 * offsets, scale=0.5),
        distance_scale=0.25,
    )
    views = []
    for i in range(cameras):
        angle = 2 * np.pi * i / max(cameras, 1)
        views.append(
            look_at(f"view_{i:02d}.jpg", (3 * np.cos(angle), 0.5, 3 * np.sin(angle)), (0, 0, 0), 48, 36, 50.0)
        )
    return DecodedScene(
        level=2,
        levels=3,
        anchors=normal(anchors, 3, scale=0.4),
        features=normal(anchors, features),
        log_scales=(normal(anchors, 6, scale=0.3) - 2.5).astype(np.float32),
        offsets=normal(anchors, offsets, 3),
        gaussian_mask=rng.random((anchors, offsets)) < 0.7,
        heads=heads,
        background=(1.0, 1.0, 1.0),
        cameras=tuple(views),
        metadata={"source": "tests", "voxel_size": "0.01"},
    )
