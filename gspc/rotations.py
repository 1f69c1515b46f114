"""Rotations as matrices and as quaternions (wxyz), in double precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def rotation_matrix(quaternion: Sequence[float] | F64) -> F64:  # [4] -> [3, 3]
    """Rotation of a wxyz quaternion of any length but zero."""
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
