"""Camera paths: around what the given cameras look at, or through key poses.

Cameras are in the scene's own axes. Nothing is assumed about which way is up there: the cameras say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gspc.errors import InputError
from gspc.scene import F64, Camera

TURNS = 2  # of a spiral
FULL_CIRCLE = math.radians(150)  # cameras whose largest gap is smaller stand all around the scene
LEAST_SWING = math.radians(12)  # to each side, where the cameras stand on one side only
LEAST_RISE = math.radians(8)  # of a spiral, up and down
STEEPEST = math.radians(80)  # from there on, up and forward are too much alike to look along
CROSSING = 0.02  # share of directions that must differ for lines of sight to have a point in common


@dataclass(frozen=True)
class Surroundings:
    """Where cameras stand around the point that they look at.

    `sideways` and `across` span the ground; an azimuth of 0 is along the first. Angles in radians.
    """

    center: F64  # [3]
    up: F64  # [3]
    sideways: F64  # [3]
    across: F64  # [3]
    distance: float  # median, from the center
    azimuths: tuple[float, float]  # from, to; a full turn where cameras stand all around
    elevations: tuple[float, float]  # of the lower and the higher cameras (10 and 90 %)
    elevation: float  # median

    @property
    def all_around(self) -> bool:
        """Whether cameras stand on all sides."""
        return self.azimuths[1] - self.azimuths[0] >= 2 * math.pi


def orbit(cameras: Sequence[Camera], points: F64, count: int) -> tuple[Camera, ...]:
    """`count` cameras once around the scene, at the height and distance of the given ones.

    Where those stand on one side only, the path swings to and fro over the angles that they cover: from
    behind, nobody has seen the scene. `points` [N, 3] say how deep it is when all look the same way.
    """
    around = surroundings(cameras, points)
    first, last = around.azimuths
    turns = [number / count for number in range(count)]
    if around.all_around:
        places = [(first + 2 * math.pi * turn, around.elevation, 1.0) for turn in turns]
    else:
        middle, half = (first + last) / 2, (last - first) / 2
        places = [(middle - half * math.cos(2 * math.pi * turn), around.elevation, 1.0) for turn in turns]
    return _look_inward(cameras, around, places, "orbit")


def spiral(cameras: Sequence[Camera], points: F64, count: int) -> tuple[Camera, ...]:
    """`count` cameras on two turns that rise from the lowest to the highest given cameras and sink again;
    where those stand on one side only, two loops within the angles that they cover. `points`: [N, 3]."""
    around = surroundings(cameras, points)
    low, high = around.elevations
    middle = (low + high) / 2
    rise = min(max((high - low) / 2, LEAST_RISE), STEEPEST)
    first, last = around.azimuths
    places = []
    for number in range(count):
        turn = 2 * math.pi * number / count
        if around.all_around:
            places.append((first + TURNS * turn, middle - rise * math.cos(turn), 1.0))
        else:
            azimuth = (first + last) / 2 + (last - first) / 2 * math.cos(TURNS * turn)
            places.append((azimuth, middle + rise * math.sin(TURNS * turn), 1 - 0.12 * math.sin(turn)))
    return _look_inward(cameras, around, places, "spiral")


def through(keys: Sequence[Camera], count: int, *, loop: bool = False) -> tuple[Camera, ...]:
    """`count` cameras on a smooth curve through key poses, which take equally long to get from one to the
    next; `loop` goes back to the first. Raises InputError for fewer than two keys."""
    if len(keys) < 2:
        raise InputError("a path needs two key poses or more")
    quaternions = _aligned([_quaternion(key.world_to_camera[:3, :3]) for key in keys])
    rows = np.stack(
        [np.concatenate([key.center, q, _lens(key)]) for key, q in zip(keys, quaternions, strict=True)]
    )
    if loop:
        rows = np.vstack([rows, _same_side(rows[0], rows[-1])])
    spans = len(rows) - 1
    steps = count if loop else max(count - 1, 1)
    return tuple(
        _from_row(keys[0], _catmull_rom(rows, number / steps * spans, loop=loop), f"frame_{number:05}")
        for number in range(count)
    )


def surroundings(cameras: Sequence[Camera], points: F64) -> Surroundings:
    """Where `cameras` stand around what they look at, which `points` [N, 3] help to find. Raises InputError
    without cameras."""
    if not cameras:
        raise InputError("the scene suggests no cameras to make a path of; give some with --cameras")
    center = attention(cameras, points)
    up = _unit(-np.mean([camera.world_to_camera[1, :3] for camera in cameras], axis=0))
    away = np.stack([camera.center for camera in cameras]) - center
    flat = away - np.outer(away @ up, up)
    sideways = _unit(flat[0]) if np.linalg.norm(flat[0]) > 1e-9 else _any_normal(up)
    across = np.cross(up, sideways)
    elevations = np.clip(np.arctan2(away @ up, np.linalg.norm(flat, axis=1)), -STEEPEST, STEEPEST)
    low, middle, high = np.quantile(elevations, (0.1, 0.5, 0.9))
    return Surroundings(
        center=center,
        up=up,
        sideways=sideways,
        across=across,
        distance=float(np.median(np.linalg.norm(away, axis=1))),
        azimuths=_covered(np.arctan2(flat @ across, flat @ sideways)),
        elevations=(float(low), float(high)),
        elevation=float(middle),
    )


def attention(cameras: Sequence[Camera], points: F64) -> F64:  # [3]
    """The point that comes nearest to all lines of sight, in the sense of least squares.

    Lines that are nearly parallel have none. The middle of the points [N, 3] that the mean camera sees lies
    at the right depth then.
    """
    origins = np.stack([camera.center for camera in cameras])
    forward = np.stack([camera.world_to_camera[2, :3] for camera in cameras])
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]  # [V, 3, 3]
    total = across.sum(axis=0)
    if np.linalg.eigvalsh(total)[0] > CROSSING * len(cameras):
        found = np.linalg.solve(total, np.einsum("vij,vj->i", across, origins))
        if np.median(np.einsum("vi,vi->v", found - origins, forward)) > 0:
            return np.asarray(found)
    place, ahead = origins.mean(axis=0), _unit(forward.mean(axis=0))
    depths = (np.asarray(points, dtype=np.float64) - place) @ ahead
    depths = depths[depths > 0]
    return np.asarray(place + ahead * (float(np.median(depths)) if len(depths) else 1.0))


def look_at(like: Camera, name: str, position: F64, target: F64, up: F64) -> Camera:
    """A camera with the lens of `like` at a position [3] that looks at a target [3]."""
    forward = _unit(target - position)
    right = np.cross(forward, up)
    right = _unit(right) if np.linalg.norm(right) > 1e-6 else _any_normal(forward)
    rotation = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
    return replace(like, name=name, world_to_camera=pose)


def typical(cameras: Sequence[Camera]) -> Camera:
    """The camera with the median angle of view."""
    return sorted(cameras, key=lambda camera: (camera.fx / camera.width, camera.name))[len(cameras) // 2]


def _look_inward(
    cameras: Sequence[Camera], around: Surroundings, places: Sequence[tuple[float, float, float]], name: str
) -> tuple[Camera, ...]:
    """Cameras at (azimuth, elevation, share of the distance) that look at the center."""
    lens, found = typical(cameras), []
    for number, (azimuth, elevation, share) in enumerate(places):
        ground = math.cos(azimuth) * around.sideways + math.sin(azimuth) * around.across
        steep = min(max(elevation, -STEEPEST), STEEPEST)
        away = math.cos(steep) * ground + math.sin(steep) * around.up
        position = around.center + share * around.distance * away
        found.append(look_at(lens, f"{name}_{number:05}", position, around.center, around.up))
    return tuple(found)


def _covered(azimuths: F64) -> tuple[float, float]:
    """From where to where cameras stand: all but the largest gap between them, or a full turn."""
    ordered = np.sort(azimuths)
    gaps = np.diff(np.append(ordered, ordered[0] + 2 * math.pi))
    widest = int(np.argmax(gaps))
    if gaps[widest] < FULL_CIRCLE:
        return float(azimuths[0]), float(azimuths[0]) + 2 * math.pi
    first = float(ordered[(widest + 1) % len(ordered)])
    width = 2 * math.pi - float(gaps[widest])
    more = max(LEAST_SWING - width / 2, 0.0)
    return first - more, first + width + more


def _catmull_rom(rows: F64, at: float, *, loop: bool) -> F64:
    """The curve through `rows` [K, D] at a place from 0 to K - 1 (Catmull and Rom, 1974). With `loop` the
    last row is the first one again, and the curve is smooth there."""
    last = len(rows) - 1
    span = min(math.floor(at), last - 1)
    t = at - span
    b, c = rows[span], rows[span + 1]
    before, after = (span - 1, span + 2) if not loop else ((span - 1) % last, (span + 2) % last)
    a, d = rows[max(before, 0)], rows[min(after, last)]
    if loop:
        a, d = _same_side(a, b), _same_side(d, c)
    curve = 2 * b + t * (c - a) + t * t * (2 * a - 5 * b + 4 * c - d) + t**3 * (3 * b - a - 3 * c + d)
    return np.asarray(curve / 2)


def _same_side(row: F64, beside: F64) -> F64:
    """A row whose quaternion has the sign that makes it most alike to that of the row beside it."""
    found = row.copy()
    found[3:7] *= 1 if row[3:7] @ beside[3:7] >= 0 else -1
    return found


def _lens(camera: Camera) -> list[float]:
    """Focal lengths and principal point as shares of the picture, which may differ in size."""
    w, h = camera.width, camera.height
    return [camera.fx / w, camera.fy / h, camera.cx / w, camera.cy / h]


def _from_row(like: Camera, row: F64, name: str) -> Camera:
    w, h = like.width, like.height
    rotation = _matrix(_unit(row[3:7]))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ row[:3]
    fx, fy, cx, cy = (float(value) for value in row[7:] * (w, h, w, h))
    return Camera(name, w, h, fx, fy, cx, cy, pose)


def _aligned(quaternions: Sequence[F64]) -> list[F64]:
    """The same rotations with the signs that make neighbors most alike."""
    found = [quaternions[0]]
    for quaternion in quaternions[1:]:
        found.append(quaternion if quaternion @ found[-1] >= 0 else -quaternion)
    return found


def _quaternion(rotation: F64) -> F64:  # [3, 3] -> [4] wxyz
    """Of a rotation matrix, by its largest component (Shepperd, 1978)."""
    m = rotation
    squares = np.array(
        [
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        ]
    )
    largest = int(np.argmax(squares))
    x, y, z = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    xy, xz, yz = m[1, 0] + m[0, 1], m[0, 2] + m[2, 0], m[2, 1] + m[1, 2]
    rows = (
        (squares[0], x, y, z),
        (x, squares[1], xy, xz),
        (y, xy, squares[2], yz),
        (z, xz, yz, squares[3]),
    )
    return _unit(np.array(rows[largest]))


def _matrix(quaternion: F64) -> F64:  # [4] wxyz -> [3, 3]
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _unit(vector: F64) -> F64:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _any_normal(vector: F64) -> F64:
    axis = np.eye(3)[int(np.argmin(np.abs(vector)))]
    return _unit(np.cross(vector, axis))
