"""Numpy entries of the kernels: thin functions over `gspc._kernels`, without torch.

All arrays are float32 and C-contiguous unless said otherwise; H W image, M Gaussians.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import BackendError
from gspc.scene import F32, F64, U8


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
