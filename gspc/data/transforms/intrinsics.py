"""Lenses of transforms files: the words that nerfstudio and instant-ngp have for focal lengths and
distortion.

Facts: nerfstudio's "Data conventions" page and dataparser (k1 to k4, p1, p2, distortion_params,
camera_model), instant-ngp's nerf_loader (x_fov in degrees, is_fisheye). nerfstudio's k4 of a perspective
camera is a fourth polynomial term, not OpenCV's rational one: no COLMAP model has it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gspc.data.lens import MAX_PARAMETER, PANORAMA, Lens
from gspc.errors import InputError
from gspc.format.limits import MAX_SIDE

FOCAL_KEYS = ("fl_x", "fl_y", "camera_angle_x", "camera_angle_y", "x_fov", "y_fov")
MATRIX_KEYS = ("K", "intrinsic_matrix", "camera_intrinsics", "intrinsics", "camera_matrix")
# Order of nerfstudio's distortion_params.
DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")
PERSPECTIVE = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV", "PERSPECTIVE")
FISHEYE = ("OPENCV_FISHEYE", "FISHEYE")


@dataclass(frozen=True)
class Intrinsics:
    """What a file and one of its frames say about a lens; `label` begins errors."""

    label: str
    values: Mapping[str, Any]

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height that the file gives; None when it leaves them to the photograph."""
        width, height = self.number("w"), self.number("h")
        if width is None or height is None:
            return None
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and width % 1 == height % 1 == 0):
            raise InputError(f"impossible image size {width:g}x{height:g}", source=self.label)
        return int(width), int(height)

    def number(self, key: str) -> float | None:
        """A finite number, or None when it is not there."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, int | float) or not -1e300 < value < 1e300:  # false for NaN, huge integers
            raise InputError(f"{key} is not a number", source=self.label)
        return float(value)

    def lens(self, width: int, height: int) -> Lens:
        """The lens for a photograph of width x height, unless the file gives its own size.

        Raises InputError for lenses that no COLMAP model describes and for impossible values.
        """
        width, height = self.size or (width, height)
        model = self._model()
        if model == PANORAMA:
            return Lens(PANORAMA, width, height, (float(width), float(height)))
        focals, center = self._focals(width, height), self._center(width, height)
        k1, k2, k3, k4, p1, p2 = self._distortion()
        if model == "OPENCV_FISHEYE":
            return Lens(model, width, height, (*focals, *center, k1, k2, k3, k4))
        if k4:
            raise InputError(
                f"k4 = {k4:g} of a perspective camera is nerfstudio's own, which no model "
                "of COLMAP "
                "has; undistort the photographs first",
                source=self.label,
            )
        if k3:
            return Lens("FULL_OPENCV", width, height, (*focals, *center, k1, k2, p1, p2, k3, 0.0, 0.0, 0.0))
        if k1 or k2 or p1 or p2:
            return Lens("OPENCV", width, height, (*focals, *center, k1, k2, p1, p2))
        return Lens("PINHOLE", width, height, (*focals, *center))

    def _model(self) -> str:
        model = str(self.values.get("camera_model") or "PINHOLE").upper()
        if self.values.get("is_fisheye") or model in FISHEYE:
            return "OPENCV_FISHEYE"
        if model == PANORAMA:
            return model
        other = any(str(key).startswith("ftheta") for key in self.values)
        if model not in PERSPECTIVE or other or any(self.number(key) for key in ("k5", "k6")):
            name = "f-theta" if other else model if model not in PERSPECTIVE else f"{model} with k5 or k6"
            raise InputError(
                f"camera model {name}, which cannot be straightened here; undistort the photographs first",
                source=self.label,
            )
        return model

    def _distortion(self) -> tuple[float, ...]:
        given = self.values.get("distortion_params")
        if given is None:
            return tuple(self.number(key) or 0.0 for key in DISTORTION)
        try:
            numbers = [float(value) for value in given]
        except (TypeError, ValueError, OverflowError):
            numbers = []
        if not numbers or len(numbers) > len(DISTORTION) or not all(map(math.isfinite, numbers)):
            raise InputError("distortion_params is no list of k1, k2, k3, k4, p1, p2", source=self.label)
        return tuple(numbers) + (0.0,) * (len(DISTORTION) - len(numbers))

    def _matrix(self) -> np.ndarray | None:
        """The 3x3 matrix of a frame or file, where it has one."""
        for key in MATRIX_KEYS:
            try:
                matrix = np.array(self.values.get(key), np.float64)
            except (TypeError, ValueError, OverflowError):
                continue
            if matrix.shape in ((9,), (16,)):
                matrix = matrix.reshape((3, 3) if matrix.size == 9 else (4, 4))
            if matrix.shape in ((3, 3), (3, 4), (4, 4)) and np.isfinite(matrix).all() and matrix[0, 0] > 0:
                return matrix
        return None

    def _focals(self, width: int, height: int) -> tuple[float, float]:
        matrix = self._matrix()
        if matrix is not None:
            fx, fy = float(matrix[0, 0]), float(matrix[1, 1])
        else:
            x, y = self._focal("x", width), self._focal("y", height)
            fx, fy = (x or y or 0.0), (y or x or 0.0)
        if not (0 < fx < MAX_PARAMETER and 0 < fy < MAX_PARAMETER):
            raise InputError("no usable focal length; give fl_x or camera_angle_x", source=self.label)
        return fx, fy

    def _focal(self, axis: str, side: int) -> float | None:
        """Focal length along an axis in pixels: given, or from an angle across the picture."""
        if (focal := self.number(f"fl_{axis}")) is not None:
            return focal
        degrees = self.number(f"{axis}_fov")
        angle = self.number(f"camera_angle_{axis}") if degrees is None else math.radians(degrees)
        return 0.5 * side / math.tan(0.5 * angle) if angle is not None and 0 < angle < math.pi else None

    def _center(self, width: int, height: int) -> tuple[float, float]:
        matrix = self._matrix()
        if matrix is not None and (matrix[0, 2] or matrix[1, 2]):
            return float(matrix[0, 2]), float(matrix[1, 2])
        cx, cy = self.number("cx"), self.number("cy")
        return width / 2 if cx is None else cx, height / 2 if cy is None else cy


def merged(content: Mapping[str, Any], frame: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says for all frames, with what a frame says for itself in its place."""
    shared = {key: value for key, value in content.items() if key != "frames"}
    if any(key in frame for key in (*FOCAL_KEYS, *MATRIX_KEYS)):
        shared = {key: value for key, value in shared.items() if key not in (*_unless(frame), *MATRIX_KEYS)}
    return {**shared, **{key: value for key, value in frame.items() if value is not None}}


def _unless(frame: Mapping[str, Any]) -> tuple[str, ...]:
    """Focal keys of the file that a frame's own make void: all, unless the frame gives one axis as fl_x."""
    return () if "fl_x" in frame or "fl_y" in frame else FOCAL_KEYS
