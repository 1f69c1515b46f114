"""Cameras by where they stand and what they look at."""

from __future__ import annotations

import math

import numpy as np

from gspc.scene import F64, Camera

DOWN = np.array([0.0, 1.0, 0.0])  # of HOME
_PARALLEL = 1e-3  # sine of an angle below which two directions give no third


def looking_at(
    name: str, place: F64, target: F64, size: tuple[int, int], field: float, down: F64 = DOWN
) -> Camera:
    """A camera at `place` whose axis goes through `target`, upright as `down` says; `field` in radians is its
    angle of view along the picture's height."""
    width, height = size
    focal = height / 2 / math.tan(field / 2)
    return Camera(name, width, height, focal, focal, width / 2, height / 2, pose_of(place, target, down))


def pose_of(place: F64, target: F64, down: F64) -> F64:  # -> [4, 4] world to camera
    """The pose at `place` looking at `target`."""
    ahead = (target - place) / np.linalg.norm(target - place)
    right = np.cross(down, ahead)
    if np.linalg.norm(right) < _PARALLEL:  # straight up or down: any way round is as good
        right = np.cross(np.roll(down, 1), ahead)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ place
    return pose


def in_ball(random: np.random.Generator) -> F64:  # [3]
    """A point of the unit ball, uniform."""
    direction = random.normal(size=3)
    return direction / np.linalg.norm(direction) * random.uniform() ** (1 / 3)


def sized(camera: Camera, pixels: int) -> Camera:
    """The camera with about as many pixels, in its own shape."""
    scale = (pixels / (camera.width * camera.height)) ** 0.5
    return camera.resized(max(1, round(camera.width * scale)), max(1, round(camera.height * scale)))
