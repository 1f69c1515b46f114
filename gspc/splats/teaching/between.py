"""Cameras to test with, between those that teach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gspc.scene import F64, Camera
from gspc.splats.teaching.looking import pose_of


def between(cameras: Sequence[Camera], depths: Sequence[float], every: int) -> tuple[Camera, ...]:
    """One camera for every `every` of these, starting with the first: halfway from it to the nearest other
    one, looking at the middle of what both look at. 0 makes none, and so does a single camera.

    Placed cameras are chosen because each shows what others do not, so to hold one of them out would leave a
    part of the splat untaught and then ask for it. `depths`: how far away each sees things.
    """
    if not every or len(cameras) < 2:
        return ()
    centers = np.array([camera.center for camera in cameras])
    gazes = np.array([camera.world_to_camera[2, :3] for camera in cameras])
    reach = np.asarray(depths)[:, None]
    targets = centers + reach * gazes
    found: list[Camera] = []
    partners: dict[int, list[int]] = {}  # of each camera: between two there is one place only
    for number in range(0, len(cameras), every):
        other = _nearest(number, centers, gazes, float(reach[number, 0]), partners.get(number, []))
        if other is None:
            continue
        partners.setdefault(other, []).append(number)
        place = (centers[number] + centers[other]) / 2
        target = (targets[number] + targets[other]) / 2
        if np.linalg.norm(target - place) < 0.1 * reach[number, 0]:  # the two look at each other
            target = targets[number]
        down = cameras[number].world_to_camera[1, :3] + cameras[other].world_to_camera[1, :3]
        name = f"between_{len(found):03d}"
        found.append(replace(cameras[number], name=name, world_to_camera=pose_of(place, target, down)))
    return tuple(found)


def _nearest(number: int, centers: F64, gazes: F64, depth: float, but: list[int]) -> int | None:
    """The other camera, `but` for these, that sees most alike: places count in distances to what is seen,
    directions in radians or nearly so."""
    apart: NDArray[np.float64] = np.linalg.norm(centers - centers[number], axis=1) / depth
    apart += np.linalg.norm(gazes - gazes[number], axis=1)
    apart[[number, *but]] = np.inf
    return int(apart.argmin()) if np.isfinite(apart).any() else None
