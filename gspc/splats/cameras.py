"""Cameras around plain Gaussians, for files that suggest none."""

from __future__ import annotations

import math

import numpy as np

from gspc.scene import F64, Camera
from gspc.splats.splats import HOME, Splats
from gspc.splats.transform import to_frame

WIDTH, HEIGHT = 800, 600  # pixels
FIELD = math.radians(50)  # angle of view along the picture's height
ELEVATION = math.radians(15)
MARGIN = 1.1  # of the distance from which the scene's body just fits
BODY = 0.9  # share of the Gaussians that counts as the scene's body; floaters lie beyond


def orbit(splats: Splats, count: int = 8) -> tuple[Camera, ...]:
    """`count` cameras on a circle around the body of the Gaussians, looking down a little, in RDF."""
    means = to_frame(splats, HOME).means.astype(np.float64)
    middle = np.median(means, axis=0)
    radius = float(np.quantile(np.linalg.norm(means - middle, axis=1), BODY))
    distance = MARGIN * max(radius, 1e-6) / math.sin(FIELD / 2)
    turns = [2 * math.pi * number / count for number in range(count)]
    return tuple(_camera(f"orbit_{number}", turn, middle, distance) for number, turn in enumerate(turns))


def _camera(name: str, turn: float, middle: F64, distance: float) -> Camera:
    level, rise = math.cos(ELEVATION), math.sin(ELEVATION)
    back = np.array([level * math.sin(turn), -rise, -level * math.cos(turn)])  # up is -y
    right = np.array([math.cos(turn), 0, math.sin(turn)])
    rotation = np.stack([right, np.cross(-back, right), -back])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ (middle + distance * back)
    focal = HEIGHT / 2 / math.tan(FIELD / 2)
    return Camera(name, WIDTH, HEIGHT, focal, focal, WIDTH / 2, HEIGHT / 2, pose)
