"""Camera-to-world matrices of transforms files as our world-to-camera ones."""

from __future__ import annotations

import numpy as np

from gspc.data.colmap.types import MAX_COORDINATE
from gspc.scene import F64

TOLERANCE = 0.01  # of a rotation's columns, relative: files are written with few digits


def world_to_camera(matrix: object) -> tuple[F64 | None, float]:
    """OpenCV world-to-camera [4, 4] of an OpenGL camera-to-world matrix [3 or 4, 4], and its scale.

    A uniform scale of the rotation is taken out: the camera stays where it is. The pose is None for what is
    no such matrix to 1 %: null, NaN, all zero, sheared or mirrored ones.
    """
    try:
        pose = np.array(matrix, np.float64)
    except (ValueError, TypeError, OverflowError):
        return None, 1.0
    if pose.shape == (16,):
        pose = pose.reshape(4, 4)
    if pose.shape not in ((4, 4), (3, 4)) or not (np.abs(pose) <= MAX_COORDINATE).all():
        return None, 1.0
    left, singular, right = np.linalg.svd(pose[:3, :3])
    scale = float(singular.mean())
    if scale < 1e-9 or not np.allclose(singular, scale, rtol=TOLERANCE, atol=0):
        return None, 1.0
    if np.linalg.det(pose[:3, :3]) < 0:
        return None, 1.0
    rotation = (left @ right) * np.array([1.0, -1.0, -1.0])  # nearest rotation; y and z axes flip to OpenCV's
    result = np.eye(4)
    result[:3, :3] = rotation.T
    result[:3, 3] = -rotation.T @ pose[:3, 3]
    return result, 1.0 if abs(scale - 1) <= TOLERANCE else scale
