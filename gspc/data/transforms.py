"""Blender-style transforms: camera-to-world matrices with OpenGL axes (x right, y up, z backward) in JSON.

Known as the Synthetic-NeRF layout (transforms_train.json, transforms_test.json with camera_angle_x) and as
instant-ngp's and nerfstudio's (one transforms.json with fl_x, fl_y, cx, cy, w, h, for all or per frame).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gspc.data import colmap, ply
from gspc.data.images import inspect_photo, with_suffix
from gspc.errors import InputError
from gspc.format.limits import MAX_SIDE
from gspc.scene import F64, U8, Camera

MAX_BYTES = 256 * 2**20  # of one JSON file: hundreds of thousands of frames
MAX_FRAMES = 1_000_000
RANDOM_POINTS = (
    30_000  # without a point cloud: enough to cover the cube at a hundredth of its edge on a surface
)
# Half the cube's edge per distance of the cameras to what they look at: 1.3 at 4.03, the field's habit for
# Synthetic-NeRF.
CUBE_PER_DISTANCE = 1.3 / 4.03
_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")
_POINT_FILES = ("points3d.ply", "points3D.ply", "sparse_pc.ply", "pointcloud.ply")


@dataclass(frozen=True)
class Frame:
    """One frame of a transforms file."""

    camera: Camera  # at the size the file gives, else at the photograph's
    path: Path  # of the photograph


@dataclass(frozen=True)
class TransformFiles:
    """The transforms files of a scene; `test` is empty when the scene has no split of its own."""

    folder: Path
    train: Path
    test: Path | None

    @property
    def all(self) -> tuple[Path, ...]:
        """The files to read."""
        return (self.train,) if self.test is None else (self.train, self.test)


def find_files(path: Path) -> TransformFiles | None:
    """transforms_train.json (and transforms_test.json), transforms.json, or `path` itself when a file."""
    if path.is_file() and path.suffix == ".json":
        return TransformFiles(path.parent, path, None)
    train, test, single = (path / f"transforms{part}.json" for part in ("_train", "_test", ""))
    if train.is_file():
        return TransformFiles(path, train, test if test.is_file() else None)
    return TransformFiles(path, single, None) if single.is_file() else None


def _load(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; raises InputError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: larger than {MAX_BYTES} bytes; this is no transforms file")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); write it again") from None
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise InputError(f"{path}: no list of frames; this is no transforms file")
    if len(frames) > MAX_FRAMES:
        raise InputError(f"{path}: {len(frames)} frames, at most {MAX_FRAMES} can be read")
    return content


def read_frames(path: Path, images: Path | None = None) -> tuple[Frame, ...]:
    """The frames of one transforms file, photographs looked for in `images` if given.

    Raises InputError. Cameras are named by their photographs' path below the file's folder: `train/r_0.png`.
    """
    content = _load(path)
    result = []
    names: set[str] = set()
    for frame in content["frames"]:
        file = frame.get("file_path")
        if not isinstance(file, str):
            raise InputError(f"{path}: a frame without file_path; write it again")
        relative = file.replace("\\", "/").removeprefix("./")
        colmap.check_name(path, relative)
        photo = with_suffix((images or path.parent) / relative)
        if images is not None and not photo.is_file():
            photo = with_suffix(images / Path(relative).name)
        name = str(Path(relative).with_name(photo.name))
        if name in names:
            raise InputError(f"{path}: frame {name} is listed twice; remove one")
        names.add(name)
        values = {**content, **frame}
        result.append(Frame(_camera(path, name, values, photo), photo))
    return tuple(result)


def _number(path: Path, name: str, values: Mapping[str, Any], key: str) -> float | None:
    """A finite number, or None when it is not there."""
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, int | float) or not -1e300 < value < 1e300:  # false for NaN, huge integers
        raise InputError(f"{path}: frame {name}: {key} is not a number")
    return float(value)


def _camera(path: Path, name: str, values: Mapping[str, Any], photo: Path) -> Camera:
    """A frame's camera; raises InputError for lenses with distortion and impossible values."""

    def number(key: str) -> float | None:
        return _number(path, name, values, key)

    model = values.get("camera_model", "PINHOLE")
    if model not in ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE") or values.get("is_fisheye"):
        raise InputError(
            f"{path}: frame {name}: camera model {model}; only pinhole cameras are read: undistort first"
        )
    if any(number(key) for key in _DISTORTION):
        raise InputError(
            f"{path}: frame {name}: lens distortion ({', '.join(_DISTORTION[:2])}, ...); undistort first"
        )
    width, height = number("w"), number("h")
    if width is None or height is None:
        header = inspect_photo(photo)
        width, height = float(header.width), float(header.height)
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width % 1 == height % 1 == 0):
        raise InputError(f"{path}: frame {name}: impossible image size {width:g}x{height:g}")
    fx, fy = number("fl_x"), number("fl_y")
    angle_x, angle_y = number("camera_angle_x"), number("camera_angle_y")
    if fx is None and angle_x is not None and 0 < angle_x < math.pi:
        fx = 0.5 * width / math.tan(0.5 * angle_x)
    if (
        fy is None
        and fx is not None
        and values.get("fl_x") is None
        and angle_y is not None
        and 0 < angle_y < math.pi
    ):
        fy = 0.5 * height / math.tan(0.5 * angle_y)
    fy = fx if fy is None else fy
    if fx is None or fy is None or not (0 < fx < 1e7 and 0 < fy < 1e7):
        raise InputError(f"{path}: frame {name}: no usable focal length; give fl_x or camera_angle_x")
    cx, cy = number("cx"), number("cy")
    pose = world_to_camera(values.get("transform_matrix"))
    if pose is None:
        raise InputError(f"{path}: frame {name}: transform_matrix is not a 4x4 rotation with a translation")
    cx, cy = width / 2 if cx is None else cx, height / 2 if cy is None else cy
    return Camera(name, int(width), int(height), fx, fy, cx, cy, pose)


def world_to_camera(matrix: object) -> F64 | None:
    """OpenCV world-to-camera [4, 4] of an OpenGL camera-to-world matrix; None when it is none (to 1 %)."""
    try:
        pose = np.array(matrix, np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    if pose.shape not in ((4, 4), (3, 4)) or not (np.abs(pose) <= colmap.MAX_COORDINATE).all():
        return None
    left, singular, right = np.linalg.svd(pose[:3, :3])
    if not np.allclose(singular, 1, atol=0.01) or np.linalg.det(pose[:3, :3]) < 0:
        return None
    rotation = (left @ right) * np.array([1.0, -1.0, -1.0])  # nearest rotation; y and z axes flip to OpenCV's
    result = np.eye(4)
    result[:3, :3] = rotation.T
    result[:3, 3] = -rotation.T @ pose[:3, 3]
    return result


def find_points(files: TransformFiles) -> Path | None:
    """The scene's point cloud: what its file names as ply_file_path, else a PLY of a usual name."""
    named = _load(files.train).get("ply_file_path")
    if isinstance(named, str):
        colmap.check_name(files.train, named)
        return files.folder / named
    for name in _POINT_FILES:
        if (file := files.folder / name).is_file():
            return file
    return None


def read_points(files: TransformFiles, cameras: Sequence[Camera]) -> tuple[F64, U8]:
    """Positions [P, 3] and colors [P, 3] to start from: the scene's point cloud, else random_points."""
    file = find_points(files)
    if file is None:
        return random_points(cameras)
    positions, colors = ply.read_point_cloud(file)
    if not len(positions):
        raise InputError(f"{file}: no points to start from; remove it to start from random points")
    return positions, colors


def random_points(cameras: Sequence[Camera], count: int = RANDOM_POINTS, seed: int = 0) -> tuple[F64, U8]:
    """Uniform gray points in a cube around what the cameras look at; the same for the same cameras and seed.

    The cube's center is the point nearest to all optical axes (least squares), its size follows the median
    distance of the cameras to it.
    """
    centers = np.array([camera.center for camera in cameras])
    axes = np.array([camera.world_to_camera[2, :3] for camera in cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # [n, 3, 3] projections across each axis
    # A little pull toward one unit in front of the cameras decides where parallel axes leave the point open.
    pull = 1e-6 * len(cameras)
    target = np.einsum("nij,nj->i", across, centers) + pull * (centers + axes).mean(0)
    focus = np.linalg.solve(across.sum(0) + pull * np.eye(3), target)
    distance = float(np.median(np.linalg.norm(centers - focus, axis=1))) or 1.0
    generator = np.random.default_rng(seed)
    positions = focus + distance * CUBE_PER_DISTANCE * generator.uniform(-1, 1, (count, 3))
    return positions, generator.integers(96, 160, (count, 3), dtype=np.uint8)
