"""Points to start from: a scene's own, cleaned; random ones where it has none that its cameras see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gspc.data.colmap.types import MAX_COORDINATE
from gspc.data.report import Notes, counted
from gspc.scene import F64, U8, Camera

RANDOM_POINTS = (
    30_000  # without a point cloud: enough to cover the cube at a hundredth of its edge on a surface
)
# Half the cube's edge per distance of the cameras to what they look at: 1.3 at 4.03, the field's habit for
# Synthetic-NeRF.
CUBE_PER_DISTANCE = 1.3 / 4.03
FEW = 100  # fewer points than this hardly are a start
SEEN_AT_LEAST = 0.1  # of the points by some camera; with fewer the cloud is probably in another frame


@dataclass(frozen=True)
class Cloud:
    """Points to start from and where they come from."""

    positions: F64  # [P, 3]
    colors: U8  # [P, 3]
    origin: str  # a file's name, or "random"


def starting_points(cloud: Cloud | None, cameras: Sequence[Camera], notes: Notes) -> Cloud:
    """`cloud` without the points that are no points; random ones when nothing of it is left or seen."""
    if cloud is None:
        notes.say("no point cloud; starting from random points in the cameras' view")
        return _random(cameras)
    cloud = _sound(cloud, notes)
    if not len(cloud.positions):
        notes.say(f"{cloud.origin}: no points; starting from random points in the cameras' view")
        return _random(cameras)
    seen = float(np.mean(seen_by(cloud.positions, cameras) > 0))
    if seen == 0:
        notes.warn(
            f"{cloud.origin}: no camera sees any of its {counted(len(cloud.positions), 'point')}, which "
            "lie in "
            "another frame; starting from random points in the cameras' view"
        )
        return _random(cameras)
    if seen < SEEN_AT_LEAST:
        notes.warn(
            f"{cloud.origin}: the cameras see {100 * seen:.2g} % of its points only; check that both are in "
            "one frame"
        )
    if len(cloud.positions) < FEW:
        notes.warn(f"{cloud.origin}: only {counted(len(cloud.positions), 'point')} to start from")
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


def _random(cameras: Sequence[Camera]) -> Cloud:
    return Cloud(*random_points(cameras), "random")


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


def focus_of(cameras: Sequence[Camera]) -> tuple[F64, float]:
    """The point nearest to all optical axes (least squares) [3], and the cameras' median distance to it."""
    centers = np.array([camera.center for camera in cameras])
    axes = np.array([camera.world_to_camera[2, :3] for camera in cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # [n, 3, 3] projections across each axis
    # A little pull toward one unit in front of the cameras decides where parallel axes leave the point open.
    pull = 1e-6 * len(cameras)
    target = np.einsum("nij,nj->i", across, centers) + pull * (centers + axes).mean(0)
    focus = np.linalg.solve(across.sum(0) + pull * np.eye(3), target)
    return focus, float(np.median(np.linalg.norm(centers - focus, axis=1))) or 1.0


def random_points(cameras: Sequence[Camera], count: int = RANDOM_POINTS, seed: int = 0) -> tuple[F64, U8]:
    """Gray points that cameras see; the same for the same cameras and seed.

    Around what the cameras look at: uniform in a cube, whose center is the point nearest to all optical axes
    and whose size follows the median distance of the cameras to it. Where the cameras look outward instead,
    such a cube is behind them: then along random pixels' rays, uniform in inverse depth from a fifth to five
    times the radius of the cameras.
    """
    generator = np.random.default_rng(seed)
    focus, distance = focus_of(cameras)
    positions = focus + distance * CUBE_PER_DISTANCE * generator.uniform(-1, 1, (count, 3))
    if np.median(seen_by(positions, cameras)) < min(2, len(cameras)):
        positions = _along_rays(cameras, count, generator)
    return positions, generator.integers(96, 160, (count, 3), dtype=np.uint8)


def _along_rays(cameras: Sequence[Camera], count: int, generator: np.random.Generator) -> F64:
    centers = np.array([camera.center for camera in cameras])
    radius = float(np.linalg.norm(centers - centers.mean(0), axis=1).max()) or 1.0
    depth = radius / generator.uniform(0.2, 5.0, count)
    chosen = generator.integers(len(cameras), size=count)
    place = generator.uniform(0, 1, (count, 2))
    result = np.empty((count, 3))
    for index, camera in enumerate(cameras):
        mine = chosen == index
        x = (place[mine, 0] * camera.width - camera.cx) / camera.fx
        y = (place[mine, 1] * camera.height - camera.cy) / camera.fy
        local = np.stack([x, y, np.ones_like(x)], axis=1) * depth[mine, None]
        result[mine] = camera.center + local @ camera.world_to_camera[:3, :3]
    return result
