"""Moving plain Gaussians: rotation, scale, translation, and the axes that other tools assume.

A frame is three letters that say where x, y and z point: RDF (COLMAP, 3DGS), RUB (OpenGL, SPZ), LUF (glTF).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gspc.errors import UsageError
from gspc.rotations import quaternion_of
from gspc.scene import F32, F64
from gspc.splats import harmonics
from gspc.splats.splats import Splats

_LETTERS = {
    "R": (1, 0, 0),
    "L": (-1, 0, 0),
    "D": (0, 1, 0),
    "U": (0, -1, 0),
    "F": (0, 0, 1),
    "B": (0, 0, -1),
}


def axes(frame: str) -> F64:  # [3, 3]
    """The frame's x, y and z as columns, in RDF. Raises UsageError for what is no frame."""
    columns = [_LETTERS.get(letter) for letter in frame.upper()]
    known = [column for column in columns if column is not None]
    if len(frame) != 3 or len(known) != 3 or abs(np.linalg.det(np.array(known, float))) != 1:
        raise UsageError(
            f"frame '{frame}': give one letter each of L/R, U/D and F/B for x, y and z, such as RDF or RUB"
        )
    return np.array(known, np.float64).T


def to_frame(splats: Splats, frame: str) -> Splats:
    """The same Gaussians along other axes, harmonics included. Raises UsageError for what is no frame."""
    matrix = axes(frame).T @ axes(splats.frame)
    if not np.array_equal(matrix, np.eye(3)):
        splats = transform(splats, rotation=matrix)
    return replace(splats, frame=frame.upper())


def transform(
    splats: Splats,
    rotation: F64 | None = None,  # [3, 3] orthogonal; a mirror is allowed
    scale: float = 1.0,
    translation: F64 | None = None,  # [3]
) -> Splats:
    """x -> scale * rotation x + translation, for positions, shapes and harmonics.

    A Gaussian looks the same mirrored through its center, so a mirror turns shapes as the rotation does that
    it becomes with all signs changed.
    """
    if scale <= 0:
        raise ValueError(f"scale {scale}: must be positive")
    turn = np.eye(3) if rotation is None else np.asarray(rotation, np.float64)
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-6:
        raise ValueError("rotation: must be orthogonal")
    means = scale * (splats.means.astype(np.float64) @ turn.T)
    if translation is not None:
        means += translation
    turning = quaternion_of(turn * np.sign(np.linalg.det(turn)))
    return replace(
        splats,
        means=means.astype(np.float32),
        quats=multiply(turning, splats.quats),
        log_scales=(splats.log_scales + np.float32(np.log(scale))).astype(np.float32),
        sh=harmonics.rotate(splats.sh, turn),
    )


def multiply(left: Sequence[float], right: F32) -> F32:  # [4], [M, 4] -> [M, 4]
    """Hamilton products of one quaternion with many, wxyz."""
    w, x, y, z = left
    table = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return (right.astype(np.float64) @ table.T).astype(np.float32)
