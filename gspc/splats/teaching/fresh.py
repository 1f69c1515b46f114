"""Fresh cameras: near a given one, another for every iteration, and the same again for the same iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from gspc.scene import Camera
from gspc.splats.teaching.looking import in_ball, pose_of

NEARER = 1.25  # most that a camera goes nearer or farther
AIM = 0.5  # how far the point that is looked at moves, of how far the camera does


@dataclass(frozen=True)
class Jitter:
    """How fresh cameras scatter.

    seed: of the fit. reach: how far cameras go aside, of the distance to what they see. zooms: whether they
    go nearer and farther, too.
    """

    seed: int
    reach: float
    zooms: bool = True

    def camera(self, camera: Camera, number: int, depth: float, iteration: int) -> Camera:
        """A camera near `camera`, the `number`th of its scene, which sees things at `depth`."""
        random = np.random.default_rng((self.seed, number, iteration))
        pose = camera.world_to_camera
        target = camera.center + depth * pose[2, :3]
        place = camera.center + self.reach * depth * in_ball(random)
        target = target + AIM * self.reach * depth * in_ball(random)
        if self.zooms:
            place = target + (place - target) * NEARER ** random.uniform(-1, 1)
        return replace(camera, world_to_camera=pose_of(place, target, _tilted(camera, random)))


def _tilted(camera: Camera, random: np.random.Generator) -> np.ndarray:
    """The camera's own down, a little to one side: photographs are not quite level either."""
    right, down = camera.world_to_camera[0, :3], camera.world_to_camera[1, :3]
    return down + math.radians(random.uniform(-3, 3)) * right
