"""What the CUDA kernels of the rate take: the structures of kernels/cuda/rate.cuh."""

from __future__ import annotations

import ctypes

from gspc.ops.cuda import COUNT, FLOAT, INT, POINTER

MAX_CHUNKS, MAX_JOBS = 32, 6


class Rows(ctypes.Structure):
    """`RateRows` of kernels/cuda/rate.cuh."""

    _fields_ = (
        *((name, POINTER) for name in ("values", "center", "octaves", "r")),
        *((name, COUNT) for name in ("value_stride", "center_stride", "octave_stride", "r_stride", "width")),
        *((name, FLOAT) for name in ("base", "refinement")),
        *((name, INT) for name in ("finest", "coarser")),
    )


class Job(ctypes.Structure):
    """`RateJob`."""

    _fields_ = (
        ("rows", Rows),
        *((name, INT) for name in ("kind", "noisy", "beside", "within")),
        *((name, COUNT) for name in ("key", "groups")),
        *((name, POINTER) for name in ("weights", "trits", "bits", "by_log_step", "sums")),
        *((name, POINTER) for name in ("by_values", "by_center", "by_octaves", "by_r")),
    )


class Call(ctypes.Structure):
    """`RateCall`."""

    _fields_ = (
        ("n", COUNT),
        *((name, POINTER) for name in ("partial", "total")),
        *((name, INT) for name in ("jobs", "chunked", "chunks")),
        ("job", Job * MAX_JOBS),
        *((name, COUNT * MAX_CHUNKS) for name in ("first", "end")),
        *((name, POINTER * MAX_CHUNKS) for name in ("outputs", "by_outputs")),
    )


class Trits(ctypes.Structure):
    """`TritCall`."""

    _fields_ = (("n", COUNT), ("rows", Rows), *((name, POINTER) for name in ("so_far", "trits")))


class Chunks(ctypes.Structure):
    """`ChunkCall`."""

    _fields_ = (
        ("n", COUNT),
        ("rows", Rows),
        ("chunks", INT),
        *((name, COUNT * MAX_CHUNKS) for name in ("first", "end")),
        *((name, POINTER * MAX_CHUNKS) for name in ("inputs", "by_inputs")),
        *((name, POINTER) for name in ("by_center", "by_octaves", "by_r", "by_log_step")),
    )
