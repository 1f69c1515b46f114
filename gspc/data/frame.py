"""The canonical frame of a scene, in which it is trained and stored: where, how large and which way up a
reconstruction came out is arbitrary, so nothing that is learned may depend on it.

In the canonical frame the seen points lie around the origin, what the cameras hold for up is -y (OpenCV's
axes: x right, y down, z forward), walls and edges in the points' plan lie along x and z, the first camera by
name looks within 45 degrees of +z as seen from above, and the working distance is 1: the median over cameras
of the median depth of the points that they see. A length there is therefore a share of how far photographs
were taken from what they show, and so about the same number of pixels in every scene.

All of it is found in double precision, and poses and points are then rounded to `GRAIN`. The same scene in
other units, rotated or far away (UTM coordinates are millions of meters) so comes out as the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gspc.rotations import quaternion_of, rotation_matrix
from gspc.scene import F64, Camera, Frame, SceneData, View

GRAIN = 2.0**-20  # of canonical poses and points: a thousandth of a pixel at the working distance
FAR = 64.0  # working distances beyond which a point starts no anchor
FEW = 100  # fewer points that cameras see say neither how far a scene is nor where it is
PARALLEL = 1e-3  # smallest eigenvalue per camera from which optical axes are taken to meet in a point
SPANNED = 0.02  # second eigenvalue of the pictures' right sides, of 1 in all: they point more than one way
FLAT = 0.2  # smallest eigenvalue over the second: they lie in a plane
UPRIGHT = 0.7  # cosine between down by the right sides and by the down sides
STRIP = 0.02  # width of a strip, of the plan's median spread
LEVEL = 0.1  # shorter means of unit vectors say nothing about a direction


@dataclass(frozen=True)
class Framed:
    """A scene in its canonical frame, and what was left out of it."""

    scene: SceneData
    frame: Frame
    unseen: int  # points that no training camera sees
    far: int  # points seen, but beyond `FAR`
    random: int = 0  # points that were added, because too few were brought

    def notes(self) -> tuple[str, ...]:
        """What the user should know, a line each."""
        found = []
        if self.unseen:
            found.append(f"{self.unseen:,} points that no training camera sees start no anchors")
        if self.far:
            found.append(f"{self.far:,} points beyond {FAR:.0f} working distances start no anchors")
        if self.random:
            found.append(f"{self.random:,} random points start anchors where the cameras look")
        return tuple(found)


def canonical(scene: SceneData, known: Frame | None = None) -> Framed:
    """The scene in its canonical frame, or in that which is `known`, with the points that can start
    anchors."""
    found, seen = find_frame([view.camera for view in scene.train], scene.points)
    frame = known or found
    points = frame.to_canonical(scene.points)
    near = np.linalg.norm(points, axis=1) <= FAR
    keep = seen & near
    framed = replace(
        scene,
        train=tuple(in_frame(view, frame) for view in scene.train),
        test=tuple(in_frame(view, frame) for view in scene.test),
        points=np.round(points[keep] / GRAIN) * GRAIN,
        colors=scene.colors[keep],
    )
    return Framed(framed, frame, int((~seen).sum()), int((seen & ~near).sum()))


def in_frame(view: View, frame: Frame) -> View:
    """The view from the same place in canonical coordinates, its pose rounded to `GRAIN`."""
    found = replace(view, camera=rounded(frame.camera_to_canonical(view.camera)))
    renew = view.fresh
    return found if renew is None else replace(found, fresh=lambda number: in_frame(renew(number), frame))


def rounded(camera: Camera) -> Camera:
    """The camera with center and rotation (as a quaternion) on multiples of `GRAIN`."""
    quaternion = np.array(quaternion_of(camera.world_to_camera[:3, :3]))
    rotation = rotation_matrix(np.round(quaternion / GRAIN) * GRAIN)
    center = np.round(camera.center / GRAIN) * GRAIN
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ center
    return replace(camera, world_to_camera=pose)


def depths_in(camera: Camera, points: F64) -> F64:  # [P, 3] -> [P]
    """Depth of the points in the picture of a camera; NaN of those outside it, behind it or not finite."""
    pose = camera.world_to_camera
    # Relative to the camera first: coordinates may be millions of units long.
    local = (points - camera.center) @ pose[:3, :3].T
    z = local[:, 2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = local[:, 0] / z * camera.fx + camera.cx
        y = local[:, 1] / z * camera.fy + camera.cy
        inside = (z > 0) & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    return np.where(inside, z, np.nan)


def find_frame(cameras: Sequence[Camera], points: F64) -> tuple[Frame, NDArray[np.bool_]]:
    """The canonical frame of cameras and points [P, 3], and which of the points [P] any camera sees."""
    seen = np.zeros(len(points), dtype=np.bool_)
    medians = []
    for camera in cameras:
        depths = depths_in(camera, points)
        inside = np.isfinite(depths)
        seen |= inside
        if inside.any():
            medians.append(float(np.median(depths[inside])))
    middle = focus(cameras)
    enough = int(seen.sum()) >= FEW
    scale = float(np.median(medians)) if enough else working_distance(middle, cameras)
    axes = _axes(cameras, points[seen])
    if enough:
        start = cameras[0].center
        middle = start + axes @ np.median((points[seen] - start) @ axes, axis=0)
    return Frame(scale, axes, middle), seen


def focus(cameras: Sequence[Camera]) -> F64:  # [3]
    """The point nearest to all optical axes (least squares); in front of the cameras where axes are parallel
    or part."""
    centers = np.stack([camera.center for camera in cameras])
    ahead = np.stack([camera.world_to_camera[2, :3] for camera in cameras])
    mean = centers.mean(axis=0)
    across = np.eye(3) - ahead[:, :, None] * ahead[:, None, :]  # [n, 3, 3] what lies off each axis
    total = across.sum(axis=0)
    spread = float(np.linalg.norm(centers - mean, axis=1).max()) or 1.0
    if np.linalg.eigvalsh(total)[0] > PARALLEL * len(cameras):
        found = mean + np.linalg.solve(total, np.einsum("nij,nj->i", across, centers - mean))
        if np.median(np.einsum("ni,ni->n", found - centers, ahead)) > 0:
            return found
    forward = ahead.mean(axis=0)
    length = float(np.linalg.norm(forward))
    return mean + forward / length * spread if length > LEVEL else mean


def working_distance(point: F64, cameras: Sequence[Camera]) -> float:
    """Median distance of the cameras to a point [3], 1 where they all stand on it."""
    centers = np.stack([camera.center for camera in cameras])
    return float(np.median(np.linalg.norm(centers - point, axis=1))) or 1.0


def _axes(cameras: Sequence[Camera], points: F64) -> F64:  # [n], [P, 3] -> [3, 3]
    """The canonical axes as columns, in the user's coordinates; the points say how to turn them about the
    vertical."""
    down = _down(np.stack([camera.world_to_camera[:3, :3] for camera in cameras]))
    # What the first camera sees ahead, or above or below where it looks straight down or up.
    first = cameras[0].world_to_camera
    ahead = next(v for v in (first[2, :3], first[1, :3]) if np.linalg.norm(np.cross(v, down)) > LEVEL)
    right = _direction(np.cross(down, ahead), ahead)
    axes = np.stack([right, down, np.cross(right, down)], axis=1)
    return axes @ _about_vertical(_alignment((points - cameras[0].center) @ axes[:, ::2]))


def _down(poses: F64) -> F64:  # [n, 3, 3] -> [3]
    """Down, from the rotations of cameras. People hold cameras level but tilt them, so that the pictures'
    right sides span the ground; where they all point one way, the mean of the pictures' down sides says
    it."""
    mean = _direction(poses[:, 1].mean(axis=0), poses[0, 1])
    rights = poses[:, 0]
    sizes, vectors = np.linalg.eigh(rights.T @ rights / len(rights))
    vertical = vectors[:, 0] * np.sign(vectors[:, 0] @ mean)
    plain = sizes[1] > SPANNED and sizes[0] < FLAT * sizes[1] and vertical @ mean > UPRIGHT
    return vertical if plain else mean


def _about_vertical(angle: float) -> F64:  # [3, 3]
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def _alignment(plan: F64) -> float:  # [P, 2]
    """The angle about the vertical by which walls and edges lie along the axes: the one at which the points'
    plan falls into the fewest strips along them. Such points share voxels and cells of the grid's planes, and
    take fewer bytes. Radians, within 45 degrees; 0 without points."""
    if len(plan) < FEW:
        return 0.0
    spread = np.median(np.abs(plan - np.median(plan, axis=0))) or 1.0
    plan = (plan - np.median(plan, axis=0)) / (spread * STRIP)
    plan = plan[np.abs(plan).max(axis=1) < 8 / STRIP]
    best = 0.0
    for step, reach in ((2.0, 44.0), (0.25, 2.0), (0.03125, 0.25)):
        angles = best + np.arange(-reach, reach + step / 2, step)
        best = float(angles[np.argmax([_concentration(plan, np.radians(angle)) for angle in angles])])
    return float(np.radians(best))


def _concentration(plan: F64, angle: float) -> float:  # [P, 2]
    """How unevenly points fall into strips along both axes of a plan turned by an angle; strips have soft
    edges."""
    cosine, sine = np.cos(angle), np.sin(angle)
    total = 0.0
    for along in (plan[:, 0] * cosine - plan[:, 1] * sine, plan[:, 0] * sine + plan[:, 1] * cosine):
        low = np.floor(along)
        share = along - low
        cells = (low - low.min()).astype(np.int64)
        counts = np.bincount(cells, 1 - share, cells.max() + 2) + np.bincount(
            cells + 1, share, cells.max() + 2
        )
        total += float(counts @ counts)
    return total


def _direction(mean: F64, otherwise: F64) -> F64:
    length = float(np.linalg.norm(mean))
    return mean / length if length > LEVEL else otherwise
