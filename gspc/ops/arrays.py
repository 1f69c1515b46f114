"""Numpy entries of the kernels: thin functions over `gspc._kernels`, without torch.

All arrays are float32 and C-contiguous unless said otherwise; H W image, M Gaussians.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gspc.errors import BackendError
from gspc.scene import F32, F64, U8, Gaussians, Heads

I32 = NDArray[np.int32]


@cache
def kernels() -> Any:
    """The compiled module, imported on first use.

    Raises:
        BackendError: it was not built or does not load on this machine.
    """
    try:
        return import_module("gspc._kernels")
    except ImportError as error:
        raise BackendError(
            f"gspc._kernels: cannot be loaded ({error}); reinstall gspc with `pip install .`"
        ) from error


def check_array(
    name: str, array: NDArray[Any], shape: tuple[int | None, ...], dtype: Any = np.float32
) -> None:
    """Raises ValueError unless `array` has this dtype and shape (None: any size) and is C-contiguous."""
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != dtype or not array.flags.c_contiguous:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"{name}: contiguous {np.dtype(dtype).name} [{sizes}] expected, "
            f"got {array.dtype} {list(array.shape)}"
        )


# ---------------------------------------------------------------- raster


@dataclass(frozen=True)
class Raster:
    """A rendered view and what its backward pass needs."""

    image: F32  # [H, W, 3]
    alpha: F32  # [H, W] 1 - transmittance
    radii: NDArray[np.int32]  # [M] pixels, 0 = culled
    state: Any  # opaque, immutable


@dataclass(frozen=True)
class RasterGradients:
    """Gradients of a loss of one rendered view."""

    means: F32  # [M, 3]
    quats: F32  # [M, 4]
    scales: F32  # [M, 3]
    opacities: F32  # [M]
    colors: F32  # [M, 3]
    means2d: F32  # [M, 2] pixels


def rasterize(
    means: F32,  # [M, 3]
    quats: F32,  # [M, 4]
    scales: F32,  # [M, 3]
    opacities: F32,  # [M]
    colors: F32,  # [M, 3]
    world_to_camera: F64 | F32,  # [4, 4]
    intrinsics: tuple[float, float, float, float],
    width: int,
    height: int,
    background: Sequence[float] = (0.0, 0.0, 0.0),
) -> Raster:
    """Renders Gaussians on the CPU, see `gspc.ops.raster.rasterize` for the conventions.

    Raises:
        ValueError: a shape, dtype, camera or size that does not fit.
    """
    count = means.shape[0]
    check_array("means", means, (None, 3))
    check_array("quats", quats, (count, 4))
    check_array("scales", scales, (count, 3))
    check_array("opacities", opacities, (count,))
    check_array("colors", colors, (count, 3))
    matrix = [float(x) for x in np.asarray(world_to_camera, dtype=np.float64).reshape(16)]
    image, alpha, radii, state = kernels().raster_forward(
        means, quats, scales, opacities, colors, matrix, list(intrinsics), width, height, list(background)
    )
    return Raster(image, alpha, radii, state)


def rasterize_backward(
    raster: Raster,
    means: F32,
    quats: F32,
    scales: F32,
    opacities: F32,
    colors: F32,
    grad_image: F32,  # [H, W, 3]
    grad_alpha: F32 | None = None,  # [H, W]
) -> RasterGradients:
    """Gradients with respect to the Gaussians that were given to `rasterize`."""
    check_array("grad_image", grad_image, raster.image.shape)
    if grad_alpha is not None:
        check_array("grad_alpha", grad_alpha, raster.alpha.shape)
    found = kernels().raster_backward(
        raster.state, means, quats, scales, opacities, colors, grad_image, grad_alpha
    )
    return RasterGradients(*found)


# ---------------------------------------------------------------- ssim


@dataclass(frozen=True)
class Photometric:
    """Photometric loss of an image and its gradient."""

    loss: float
    l1: float
    ssim: float
    gradient: F32 | None  # [H, W, 3] dloss / dimage


def photometric(
    image: F32,  # [H, W, 3]
    target: U8 | F32,  # [H, W, 3] uint8 (value / 255) or float32
    ssim_weight: float,
    *,
    gradient: bool = True,
) -> Photometric:
    """(1 - w) L1 + w (1 - SSIM), see `gspc.ops.ssim.photometric_loss`."""
    check_array("image", image, (None, None, 3))
    check_array("target", target, image.shape, np.uint8 if target.dtype == np.uint8 else np.float32)
    l1, similarity, grad = kernels().photometric(
        image, target, 1.0 - ssim_weight, -float(ssim_weight), gradient
    )
    return Photometric((1.0 - ssim_weight) * l1 + ssim_weight * (1.0 - similarity), l1, similarity, grad)


def ssim(image: F32, target: U8 | F32) -> float:  # [H, W, 3] each
    """Mean structural similarity, see `gspc.ops.ssim.ssim`."""
    return photometric(image, target, 1.0, gradient=False).ssim


# ---------------------------------------------------------------- context grid


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
    table = np.empty(spec.total_entries + kernels().GRID_SIGN_PADDING, np.uint8)
    floats = np.where(signs, np.float32(1), np.float32(-1)) if signs.dtype == np.bool_ else signs
    kernels().grid_pack_signs(np.ascontiguousarray(floats, np.float32), table)
    return table


def grid_context(positions: ArrayLike, signs: NDArray[np.bool_] | F32, spec: GridShape) -> F32:
    """Context of voxel positions [N, 3] (clamped to [0, 2^21)) from signs [E, 4], see `gspc.ops.grid`.

    Returns float32 [N, C] in [-1, 1], exact multiples of 1/512. Raises ValueError on a wrong shape.
    """
    points = _positions(positions)
    out = np.empty((len(points), spec.context_size), np.float32)
    kernels().grid_forward(grid_shape_array(spec), grid_sign_table(signs, spec), points, out)
    return out


def grid_context_int(
    positions: ArrayLike, signs: NDArray[np.bool_] | F32, spec: GridShape
) -> NDArray[np.int16]:
    """The same as integers in [-512, 512]: int16 [N, C]."""
    points = _positions(positions)
    out = np.empty((len(points), spec.context_size), np.int16)
    kernels().grid_forward_int(grid_shape_array(spec), grid_sign_table(signs, spec), points, out)
    return out


def _positions(positions: ArrayLike) -> I32:
    points = np.ascontiguousarray(positions, dtype=np.int32)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"positions have shape {points.shape}, expected [N, 3]")
    return points


# ---------------------------------------------------------------- Gaussian heads

HEAD_WEIGHTS = ("w1", "b1", "w_opacity", "b_opacity", "w_color", "b_color", "w_cov", "b_cov")


def neural_gaussians(
    features: F32,
    log_scales: F32,
    offsets: F32,
    mask: NDArray[np.bool_] | F32,
    anchors: F32,
    camera_center: ArrayLike,
    heads: Heads,
    visible: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], Gaussians]:
    """The Gaussians that anchors show to a camera, as in `gspc.ops.heads.neural_gaussians`.

    Args:
        features: [N, F]; log_scales: [N, 6]; offsets: [N, K, 3]; mask: [N, K]; anchors: [N, 3] world space.
        camera_center: [3] world space.
        heads: weights.
        visible: bool [N], the anchors to look at; None means all.

    Returns:
        index int64 [M] = n * K + k, ascending, and the M Gaussians.

    Raises:
        ValueError: on a wrong shape.
    """
    inputs = [np.ascontiguousarray(a, np.float32) for a in (features, log_scales, offsets, mask, anchors)]
    weights = [np.ascontiguousarray(getattr(heads, name), np.float32) for name in HEAD_WEIGHTS]
    center = tuple(float(value) for value in np.asarray(camera_center).reshape(3))
    seen = None if visible is None else np.ascontiguousarray(visible, np.bool_).view(np.uint8)
    n, k = inputs[3].shape
    alpha, starts, active = np.empty((n, k), np.float32), np.empty(n + 1, np.int32), np.empty(n, np.int32)
    scale = float(heads.distance_scale)
    total, n_active = kernels().heads_select(weights, scale, inputs, center, seen, alpha, starts, active)
    index = np.empty(total, np.int64)
    shapes = ((total, 3), (total, 4), (total, 3), (total,), (total, 3), (total, 3), (total,))
    out = [np.empty(shape, np.float32) for shape in shapes]
    kernels().heads_forward(weights, scale, inputs, center, alpha, starts, active, n_active, index, out)
    return index, Gaussians(*out[:5])


def keep_freed_memory() -> None:
    """Makes the C library keep freed memory: training steps allocate and free hundreds of megabytes each."""
    kernels().keep_freed_memory()


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Denormal numbers count as zero, in torch's threads and ours. The optimizer's moments of parameters that
    get no gradient any more, as those of closed Gaussians, shrink until they are denormal, and every step
    then costs a tenth more time."""
    before = kernels().flush_denormals(True)
    try:
        yield
    finally:
        kernels().flush_denormals(before)
