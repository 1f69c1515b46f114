"""Points to start from: a scene's own, cleaned. Where it has none that its cameras see, `start` makes
some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gspc.data.colmap.types import MAX_COORDINATE
from gspc.data.frame import FEW
from gspc.data.report import Notes, counted
from gspc.scene import F64, U8, Camera

SEEN_AT_LEAST = 0.1  # of the points by some camera; with fewer the cloud is probably in another frame


@dataclass(frozen=True)
class Cloud:
    """Points to start from and where they come from."""

    positions: F64  # [P, 3]
    colors: U8  # [P, 3]
    origin: str  # a file's name, or "random"


def starting_points(cloud: Cloud | None, cameras: Sequence[Camera], notes: Notes) -> Cloud:
    """`cloud` without the points that are no points; none, of origin "random", when nothing of it is left or
    seen."""
    if cloud is None:
        notes.say("no point cloud; starting from random points in the cameras' view")
        return _none()
    cloud = _sound(cloud, notes)
    if not len(cloud.positions):
        notes.say(f"{cloud.origin}: no points; starting from random points in the cameras' view")
        return _none()
    seen = float(np.mean(seen_by(cloud.positions, cameras) > 0))
    if seen == 0:
        notes.warn(
            f"{cloud.origin}: no camera sees any of its {counted(len(cloud.positions), 'point')}, which "
            "lie in another frame; starting from random points in the cameras' view"
        )
        return _none()
    if seen < SEEN_AT_LEAST:
        notes.warn(
            f"{cloud.origin}: the cameras see {100 * seen:.2g} % of its points only; check that both are in "
            "one frame"
        )
    if len(cloud.positions) < FEW:
        notes.warn(
            f"{cloud.origin}: only {counted(len(cloud.positions), 'point')}; starting from random points, too"
        )
    return cloud


def _sound(cloud: Cloud, notes: Notes) -> Cloud:
    """The points that are finite and within reach of float32."""
    sound = np.asarray((np.abs(cloud.positions) <= MAX_COORDINATE).all(axis=1))  # also false for NaN
    dropped = int((~sound).sum())
    if not dropped:
        return cloud
    notes.warn(
        f"{cloud.origin}: {dropped:,} of {counted(len(sound), 'point')} left out, which are not finite "
        "or beyond "
        "1e9 units"
    )
    notes.leave_out([cloud.origin], f"{counted(dropped, 'point')} not finite or beyond 1e9 units")
    return Cloud(cloud.positions[sound], cloud.colors[sound], cloud.origin)


def _none() -> Cloud:
    return Cloud(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), "random")


def seen_by(positions: F64, cameras: Sequence[Camera]) -> np.ndarray:
    """How many cameras have each point [P, 3] before them and in their picture; [P]."""
    count = np.zeros(len(positions), np.int64)
    for camera in cameras:
        local = positions @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
        depth = local[:, 2]
        ahead = depth > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            x = local[:, 0] / depth * camera.fx + camera.cx
            y = local[:, 1] / depth * camera.fy + camera.cy
        count += ahead & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    return count
