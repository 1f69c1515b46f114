"""Spherical harmonics of plain Gaussians; `gspc.splats.harmonics` defines their basis. V views, M Gaussians,
C = (degree + 1)^2 coefficients, degree 0 to 3."""

from __future__ import annotations

import numpy as np

from gspc.ops.kernels import native
from gspc.scene import F32, F64


def harmonic_colors(means: F32, sh: F32, center: F64) -> F32:
    """Colors [M, 3] of harmonics sh [M, C, 3] towards a camera at `center` [3]; not clamped."""
    colors = np.empty((len(means), 3), np.float32)
    native.harmonics_colors(_plain(means), _place(center), _plain(sh), colors)
    return colors


def harmonic_gradient(means: F32, center: F64, colors: F32, coefficients: int) -> F32:
    """Gradient [M, C, 3] of a loss by harmonics, from its gradient by their colors [M, 3]."""
    gradient = np.empty((len(means), coefficients, 3), np.float32)
    native.harmonics_gradient(_plain(means), _place(center), _plain(colors), gradient)
    return gradient


def correct_harmonics(
    sh: F32, means: F32, center: F64, error: F32, pixels: F32, *, few: float, largest: float
) -> None:
    """Adds to sh [M, C, 3], in place, the least that changes its colors towards `center` by error [M, 3] /
    (pixels [M] + few), each at most `largest`."""
    native.harmonics_correct(_plain(means), _place(center), _plain(error), _plain(pixels), few, largest, sh)


def fit_harmonics(directions: F32, weights: F32, colors: F32, ridge: F32) -> F32:  # -> [M, C, 3]
    """Weighted least squares of colors [V, M, 3] - 0.5 along unit directions [V, M, 3], weights [V, M]; ridge
    [C], above 0, is added to the normal matrix's diagonal."""
    sh = np.empty((weights.shape[1], len(ridge), 3), np.float32)
    native.harmonics_fit(_plain(directions), _plain(weights), _plain(colors), _plain(ridge), sh)
    return sh


def _plain(values: F32) -> F32:
    return np.ascontiguousarray(values, np.float32)


def _place(center: F64) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in center)
    return x, y, z
