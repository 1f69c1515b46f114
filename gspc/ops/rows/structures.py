"""What the CUDA kernels of rows take: the structures of kernels/cuda/rows.cuh."""

from __future__ import annotations

import ctypes

from gspc.ops.cuda import COUNT, FLOAT, INT, POINTER

MAX_ATTRIBUTES = 4


class Attribute(ctypes.Structure):
    """`RowsAttribute` of kernels/cuda/rows.cuh."""

    _fields_ = (
        *((name, POINTER) for name in ("values", "center", "step")),
        *((name, COUNT) for name in ("width", "step_stride", "seed")),
        ("scale", FLOAT),
        *((name, INT) for name in ("of_r", "finest", "coarser")),
        *((name, POINTER) for name in ("out", "plain", "by_out", "by_plain", "by_values", "by_step")),
    )


class Rows(ctypes.Structure):
    """`RowsCall`."""

    _fields_ = (
        *((name, COUNT) for name in ("n", "count", "also_count")),
        *((name, POINTER) for name in ("index", "also", "place", "last", "before")),
        ("attributes", INT),
        ("attribute", Attribute * MAX_ATTRIBUTES),
    )


class Masks(ctypes.Structure):
    """`MaskCall`."""

    _fields_ = (
        ("rows", Rows),
        ("masks", POINTER),
        *((name, COUNT) for name in ("offsets", "planes", "level")),
        *((name, POINTER) for name in ("out", "plain", "open", "parts")),
        *((name, POINTER) for name in ("by_out", "by_plain", "by_open", "by_masks")),
    )


class Visible(ctypes.Structure):
    """`VisibleCall`."""

    _fields_ = (
        *((name, COUNT) for name in ("n", "scales", "offsets")),
        *((name, POINTER) for name in ("world", "log_scales", "moved")),
        ("pose", FLOAT * 12),
        ("view", FLOAT * 11),
        *((name, POINTER) for name in ("counts", "seen", "total", "index", "where")),
    )


class Statistics(ctypes.Structure):
    """`StatisticsCall`."""

    _fields_ = (
        *((name, COUNT) for name in ("visible_count", "offsets", "room")),
        *((name, POINTER) for name in ("visible", "index", "count", "radii", "means2d_grad", "opacities")),
        *((name, FLOAT) for name in ("half_width", "half_height")),
        *((name, POINTER) for name in ("gradient", "drawn", "opacity", "seen")),
    )


class Product(ctypes.Structure):
    """`ProductCall`."""

    _fields_ = (
        *(("room", COUNT), ("count", POINTER), ("factor", ctypes.c_double)),
        *((name, POINTER) for name in ("values", "parts", "mean", "by_mean", "by_values")),
    )
