"""The rasterizer over numpy arrays, without torch. M Gaussians, H W image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.ops.arrays.check import check_array
from gspc.ops.kernels import native
from gspc.scene import F32, F64


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
    image, alpha, radii, state = native.raster_forward(
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
    found = native.raster_backward(
        raster.state, means, quats, scales, opacities, colors, grad_image, grad_alpha
    )
    return RasterGradients(*found)
