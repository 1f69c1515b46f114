"""COLMAP models: where they lie, what is in them, and their cameras as ours.

A model is `cameras`, `images` and `points3D`, each as `.bin` (colmap_binary.py) or `.txt` (colmap_text.py).
Everything a file says is checked here, so that both readers agree on what a sound model is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError, OutputError
from gspc.format.limits import MAX_SIDE
from gspc.scene import F64, U8, Camera

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

# COLMAP's model ids, names and parameter counts (src/colmap/sensor/models.h).
MODELS: dict[int, tuple[str, int]] = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
}
SUPPORTED = ("SIMPLE_PINHOLE", "PINHOLE")
MAX_COORDINATE = 1e9  # world units; float32 positions mean nothing beyond


@dataclass(frozen=True)
class ColmapCamera:
    """One row of `cameras`: an intrinsic model shared by images."""

    camera_id: int
    model: str
    width: int
    height: int
    params: tuple[float, ...]  # SIMPLE_PINHOLE f, cx, cy; PINHOLE fx, fy, cx, cy; pixels


@dataclass(frozen=True)
class ColmapImage:
    """One row of `images`: a pose (world to camera, OpenCV axes) and the observed key points."""

    image_id: int
    quaternion: tuple[float, float, float, float]  # wxyz
    translation: tuple[float, float, float]
    camera_id: int
    name: str
    keypoints: F64 = field(default_factory=lambda: np.zeros((0, 2)))  # [n, 2] pixels
    point_ids: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # [n], -1 where not triangulated


@dataclass(frozen=True)
class ColmapPoints:
    """`points3D` as arrays. The track of point i is track[track_start[i]:track_start[i + 1]]."""

    ids: I64  # [P]
    positions: F64  # [P, 3]
    colors: U8  # [P, 3]
    errors: F64  # [P] reprojection error in pixels
    track_start: I64  # [P + 1]
    track: I32  # [T, 2] image id, index of the key point in that image

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class ColmapModel:
    """A whole model."""

    cameras: tuple[ColmapCamera, ...]
    images: tuple[ColmapImage, ...]
    points: ColmapPoints


def find_model(path: Path) -> Path | None:
    """Where a COLMAP model lies: path/sparse/0, path/sparse, path/0 or path itself; None when nowhere."""
    for folder in (path / "sparse" / "0", path / "sparse", path / "0", path):
        if (folder / "cameras.bin").is_file() or (folder / "cameras.txt").is_file():
            return folder
    return None


def _form(folder: Path) -> str:
    """Which form `folder` holds completely; InputError names the file that is missing."""
    for suffix in ("bin", "txt"):
        if all((folder / f"{name}.{suffix}").is_file() for name in ("cameras", "images")):
            return suffix
    suffix = "bin" if (folder / "cameras.bin").is_file() else "txt"
    name = "images" if (folder / f"cameras.{suffix}").is_file() else "cameras"
    raise InputError(f"{folder / name}.{suffix}: missing; a COLMAP model needs cameras, images and points3D")


def read_cameras(folder: Path) -> tuple[tuple[ColmapCamera, ...], tuple[ColmapImage, ...]]:
    """Cameras and images of the model in `folder`, checked against each other; raises InputError."""
    from gspc.data import colmap_binary, colmap_text  # the readers need this module's types

    suffix = _form(folder)
    reader = colmap_binary if suffix == "bin" else colmap_text
    cameras = reader.read_cameras(folder / f"cameras.{suffix}")
    images = reader.read_images(folder / f"images.{suffix}")
    _check(folder / f"images.{suffix}", cameras, images)
    return cameras, images


def read_points(folder: Path) -> ColmapPoints:
    """The point cloud of the model in `folder`; `points3D.ply` stands in where neither form is there."""
    from gspc.data import colmap_binary, colmap_text, ply

    if (file := folder / "points3D.bin").is_file():
        points = colmap_binary.read_points(file)
    elif (file := folder / "points3D.txt").is_file():
        points = colmap_text.read_points(file)
    elif (file := folder / "points3D.ply").is_file():
        positions, colors = ply.read_point_cloud(file)
        points = without_tracks(positions, colors)
    else:
        raise InputError(
            f"{folder / 'points3D.bin'}: missing; a COLMAP model needs cameras, images and points3D"
        )
    if not len(points):
        raise InputError(f"{file}: no points to start from; run COLMAP's triangulation again")
    if not (np.abs(points.positions) <= MAX_COORDINATE).all():  # also false for NaN
        raise InputError(f"{file}: points that are not finite or beyond 1e9 units; the model file is corrupt")
    return points


def read_model(folder: Path) -> ColmapModel:
    """The whole model in `folder`; raises InputError."""
    cameras, images = read_cameras(folder)
    return ColmapModel(cameras, images, read_points(folder))


def write_model(folder: Path, model: ColmapModel, *, text: bool = False) -> None:
    """Write `model` to `folder` (made when missing) in binary or text form; raises OutputError."""
    from gspc.data import colmap_binary, colmap_text

    writer = colmap_text if text else colmap_binary
    suffix = "txt" if text else "bin"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writer.write_cameras(folder / f"cameras.{suffix}", model.cameras)
        writer.write_images(folder / f"images.{suffix}", model.images)
        writer.write_points(folder / f"points3D.{suffix}", model.points)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write the COLMAP model: {error.strerror or error}") from error


def without_tracks(positions: F64, colors: U8) -> ColmapPoints:
    """A point cloud from elsewhere as COLMAP points: ids from 1, no tracks."""
    count = len(positions)
    return ColmapPoints(
        ids=np.arange(1, count + 1, dtype=np.int64),
        positions=np.asarray(positions, np.float64),
        colors=np.asarray(colors, np.uint8),
        errors=np.zeros(count),
        track_start=np.zeros(count + 1, np.int64),
        track=np.zeros((0, 2), np.int32),
    )


def check_camera(path: Path, camera: ColmapCamera) -> ColmapCamera:
    """`camera` itself when it is one we can use; raises InputError that names `path`."""
    label = f"{path}: camera {camera.camera_id}"
    if camera.model not in SUPPORTED:
        raise InputError(
            f"{label} is {camera.model}; only PINHOLE and SIMPLE_PINHOLE are read: "
            "undistort first (colmap image_undistorter)"
        )
    if not (1 <= camera.width <= MAX_SIDE and 1 <= camera.height <= MAX_SIDE):
        raise InputError(
            f"{label} is {camera.width}x{camera.height} pixels, outside 1 to {MAX_SIDE}; "
            "the model file is corrupt"
        )
    focals = camera.params[:-2]
    if not (all(np.isfinite(camera.params)) and min(focals) > 0 and max(map(abs, camera.params)) < 1e7):
        raise InputError(f"{label} has impossible parameters {camera.params}; the model file is corrupt")
    return camera


def _check(path: Path, cameras: Sequence[ColmapCamera], images: Sequence[ColmapImage]) -> None:
    """References, poses and names of `images`; raises InputError that names `path`."""
    known = {camera.camera_id for camera in cameras}
    if len(known) != len(cameras):
        raise InputError(f"{path.with_stem('cameras')}: two cameras share an id; the model file is corrupt")
    names: set[str] = set()
    for image in images:
        label = f"{path}: image {image.name!r}"
        if image.camera_id not in known:
            raise InputError(
                f"{label} uses camera {image.camera_id}, which is not there; the model is corrupt"
            )
        check_name(path, image.name)
        if image.name in names:
            raise InputError(f"{label} is listed twice; the model is corrupt")
        names.add(image.name)
        pose = (*image.quaternion, *image.translation)
        if not all(np.isfinite(pose)) or np.linalg.norm(image.quaternion) < 1e-8:
            raise InputError(f"{label} has an impossible pose; the model file is corrupt")
        if max(map(abs, image.translation)) > MAX_COORDINATE:
            raise InputError(f"{label} lies beyond 1e9 units; the model file is corrupt")


def check_name(path: Path, name: str) -> None:
    """Names stay inside the image folder: relative, without `..`; raises InputError that names `path`."""
    parts = (*PurePosixPath(name).parts, *PureWindowsPath(name).parts)
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive
    if not name or absolute or ".." in parts or not name.isprintable():
        raise InputError(f"{path}: image name {name!r} must be a plain path inside the image folder")


def rotation_matrix(quaternion: Sequence[float]) -> F64:
    """Rotation [3, 3] of a wxyz quaternion of any length but zero."""
    w, x, y, z = np.asarray(quaternion, np.float64) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of(rotation: F64) -> tuple[float, float, float, float]:
    """The wxyz quaternion (w >= 0) of a rotation [3, 3]: an eigenvector of a 4x4 form (Bar-Itzhack 2000)."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    form = np.array(
        [
            [a + e + i, h - f, c - g, d - b],
            [h - f, a - e - i, b + d, c + g],
            [c - g, b + d, e - a - i, f + h],
            [d - b, c + g, f + h, i - a - e],
        ]
    )
    vector = np.linalg.eigh(form)[1][:, -1]
    w, x, y, z = vector if vector[0] >= 0 else -vector
    return float(w), float(x), float(y), float(z)


def to_camera(image: ColmapImage, camera: ColmapCamera) -> Camera:
    """Our camera for `image`, named after it, at the size of its COLMAP camera."""
    fx, fy, cx, cy = (camera.params[0], *camera.params) if len(camera.params) == 3 else camera.params
    pose = np.eye(4)
    pose[:3, :3] = rotation_matrix(image.quaternion)
    pose[:3, 3] = image.translation
    return Camera(image.name, camera.width, camera.height, fx, fy, cx, cy, pose)
