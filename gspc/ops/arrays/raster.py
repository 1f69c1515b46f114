"""The rasterizer over numpy arrays, without torch. M Gaussians, H W image."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.ops.arrays.check import check_array
from gspc.ops.kernels import native
from gspc.scene import F32, F64


class OverBudget(MemoryError):
    """Drawing would take more memory than its caller allows: `needed` bytes at least."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"drawing takes {needed} bytes of memory")
        self.needed = needed


@contextmanager
def _counted() -> Iterator[None]:
    try:
        yield
    except native.RasterBudgetError as error:
        (needed,) = re.findall(r"\d+", str(error))
        raise OverBudget(int(needed)) from None


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
    budget: int = sys.maxsize,
) -> Raster:
    """Renders Gaussians on the CPU, see `gspc.ops.raster.rasterize` for the conventions.

    `budget`: bytes that this call, and each call of `rasterize_backward` with its result, may take.

    Raises:
        ValueError: a shape, dtype, camera or size that does not fit.
        OverBudget: before anything is allocated beyond the budget.
    """
    count = means.shape[0]
    check_array("means", means, (None, 3))
    check_array("quats", quats, (count, 4))
    check_array("scales", scales, (count, 3))
    check_array("opacities", opacities, (count,))
    check_array("colors", colors, (count, 3))
    matrix = [float(x) for x in np.asarray(world_to_camera, dtype=np.float64).reshape(16)]
    scene, camera = (means, quats, scales, opacities, colors), (matrix, list(intrinsics), width, height)
    with _counted():
        image, alpha, radii, state = native.raster_forward(*scene, *camera, list(background), budget=budget)
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
    """Gradients with respect to the Gaussians that were given to `rasterize`. Raises OverBudget."""
    check_array("grad_image", grad_image, raster.image.shape)
    if grad_alpha is not None:
        check_array("grad_alpha", grad_alpha, raster.alpha.shape)
    with _counted():
        found = native.raster_backward(
            raster.state, means, quats, scales, opacities, colors, grad_image, grad_alpha
        )
    return RasterGradients(*found)


def repaint(raster: Raster, colors: F32) -> Raster:
    """The same Gaussians from the same camera in other colors [M, 3]: projected and sorted they are already.

    Takes over the state of `raster`: gradients from here on are those of the new image.
    """
    check_array("colors", colors, (len(raster.radii), 3))
    image, alpha = native.raster_repaint(raster.state, colors)
    return Raster(image, alpha, raster.radii, raster.state)


def rasterize_backward_colors(raster: Raster, grad_image: F32) -> F32:  # [M, 3]
    """Gradients by the colors alone, from those by the image [H, W, 3]. Raises OverBudget."""
    check_array("grad_image", grad_image, raster.image.shape)
    with _counted():
        return native.raster_backward_colors(raster.state, grad_image)
