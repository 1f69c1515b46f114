"""The context grid over numpy arrays, without torch. N anchors, E grid entries, P planes, C context."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gspc.ops.kernels import native
from gspc.scene import F32

I32 = NDArray[np.int32]


class GridShape(Protocol):
    """What the grid kernels read of a `gspc.format.grid.GridSpec`."""

    @property
    def box_low(self) -> tuple[int, int, int]: ...
    @property
    def box_size(self) -> tuple[int, int, int]: ...
    @property
    def planes(self) -> Sequence[tuple[int, int, int]]: ...
    @property
    def total_entries(self) -> int: ...
    @property
    def context_size(self) -> int: ...


def grid_shape_array(spec: GridShape) -> I32:
    """The spec as the kernels take it: int32 [6 + 3 P]."""
    values = [*spec.box_low, *spec.box_size, *(value for plane in spec.planes for value in plane)]
    return np.asarray(values, dtype=np.int32)


def grid_sign_table(signs: NDArray[np.bool_] | F32, spec: GridShape) -> NDArray[np.uint8]:
    """Signs [E, 4] (bool: True is +1; float: e >= 0 is +1) as the kernels take them: bytes, padded."""
    if signs.shape != (spec.total_entries, 4):
        raise ValueError(f"signs have shape {signs.shape}, expected {(spec.total_entries, 4)}")
    table = np.empty(spec.total_entries + native.GRID_SIGN_PADDING, np.uint8)
    floats = np.where(signs, np.float32(1), np.float32(-1)) if signs.dtype == np.bool_ else signs
    native.grid_pack_signs(np.ascontiguousarray(floats, np.float32), table)
    return table


def grid_context(positions: ArrayLike, signs: NDArray[np.bool_] | F32, spec: GridShape) -> F32:
    """Context of voxel positions [N, 3] (clamped to [0, 2^21)) from signs [E, 4], see `gspc.ops.grid`.

    Returns float32 [N, C] in [-1, 1], exact multiples of 1/512. Raises ValueError on a wrong shape.
    """
    points = _positions(positions)
    out = np.empty((len(points), spec.context_size), np.float32)
    native.grid_forward(grid_shape_array(spec), grid_sign_table(signs, spec), points, out)
    return out


def grid_context_int(
    positions: ArrayLike, signs: NDArray[np.bool_] | F32, spec: GridShape
) -> NDArray[np.int16]:
    """The same as integers in [-512, 512]: int16 [N, C]."""
    points = _positions(positions)
    out = np.empty((len(points), spec.context_size), np.int16)
    native.grid_forward_int(grid_shape_array(spec), grid_sign_table(signs, spec), points, out)
    return out


def _positions(positions: ArrayLike) -> I32:
    points = np.ascontiguousarray(positions, dtype=np.int32)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"positions have shape {points.shape}, expected [N, 3]")
    return points
