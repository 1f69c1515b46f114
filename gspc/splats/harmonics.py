"""Real spherical harmonics of degree 0 to 3, with the signs and the order that 3DGS gave them.

Basis after Sloan, "Efficient Spherical Harmonic Evaluation" (JCGT 2013), in the polynomial form; 3DGS keeps
the Condon-Shortley phase, hence the minus signs. Every format here uses this order and these signs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gspc.scene import F32, F64

C0 = 0.28209479177387814  # sqrt(1 / (4 pi))
_C1 = 0.4886025119029199  # sqrt(3 / (4 pi))
_C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
_C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


def basis(directions: F32 | F64, degree: int) -> Any:  # [M, 3] -> [M, (degree + 1)^2]
    """Values of the basis along unit directions, in their dtype."""
    return np.stack(basis_columns(directions, degree, np.ones_like), axis=-1)


def basis_columns(directions: Any, degree: int, ones: Callable[[Any], Any]) -> list[Any]:
    """The basis functions one by one, for numpy arrays and torch tensors alike; `ones` makes a constant."""
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    columns = [C0 * ones(x)]
    if degree >= 1:
        columns += [-_C1 * y, _C1 * z, -_C1 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        columns += [_C2[0] * x * y, -_C2[0] * y * z, _C2[1] * (2 * zz - xx - yy)]
        columns += [-_C2[0] * x * z, _C2[2] * (xx - yy)]
    if degree >= 3:
        columns += [-_C3[0] * y * (3 * xx - yy), _C3[1] * x * y * z, -_C3[2] * y * (4 * zz - xx - yy)]
        columns += [_C3[3] * z * (2 * zz - 3 * xx - 3 * yy), -_C3[2] * x * (4 * zz - xx - yy)]
        columns += [_C3[4] * z * (xx - yy), -_C3[0] * x * (xx - 3 * yy)]
    return columns


def rotate(sh: F32, matrix: F64) -> F32:  # [M, C, 3], [3, 3] -> [M, C, 3]
    """Harmonics of a scene turned by an orthogonal matrix (a mirror counts too): f'(d) = f(matrix^T d).

    Degrees do not mix under rotation (Wigner), so each one's matrix follows from the values of its basis
    along a few fixed directions, before and after.
    """
    degree = round(sh.shape[1] ** 0.5) - 1
    before, after = basis(_DIRECTIONS, degree), basis(_DIRECTIONS @ matrix, degree)
    mixing = np.eye(sh.shape[1], dtype=np.float32)
    for l in range(1, degree + 1):
        rows = slice(l * l, (l + 1) ** 2)
        mixing[rows, rows] = np.linalg.lstsq(before[:, rows], after[:, rows], rcond=None)[0]
    # One product of two matrices takes a tenth of the time of a product for each Gaussian and degree.
    mixed = sh.transpose(0, 2, 1).reshape(-1, len(mixing)) @ mixing.T
    return np.ascontiguousarray(mixed.reshape(len(sh), 3, -1).transpose(0, 2, 1), np.float32)


def sphere(count: int) -> F64:  # [count, 3]
    """Directions spread evenly over the sphere (a Fibonacci spiral)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = np.arange(count) * np.pi * (3 - 5**0.5)
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


_DIRECTIONS = sphere(64)
