"""Drawing Gaussians with gradients, in numpy: what baking and refining share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gspc.ops import arrays
from gspc.ops.arrays import Raster, RasterGradients
from gspc.scene import F32, F64, Camera, Gaussians
from gspc.splats.harmonics import basis
from gspc.splats.splats import Splats


@dataclass(frozen=True)
class Drawn:
    """A picture, and the way back from it."""

    raster: Raster
    shown: Gaussians

    @property
    def picture(self) -> F32:  # [H, W, 3]
        """The picture, not clamped."""
        return self.raster.image

    def gradients(self, picture: F32) -> RasterGradients:
        """Gradients of a loss by the Gaussians, from its gradient by the picture."""
        shapes = (self.shown.means, self.shown.quats, self.shown.scales)
        return arrays.rasterize_backward(
            self.raster, *shapes, self.shown.opacities, self.shown.colors, np.ascontiguousarray(picture)
        )


def draw(shown: Gaussians, camera: Camera, background: Sequence[float]) -> Drawn:
    """Draws Gaussians on the CPU. Raises BackendError without the kernels."""
    raster = arrays.rasterize(
        shown.means,
        shown.quats,
        shown.scales,
        shown.opacities,
        shown.colors,
        camera.world_to_camera,
        (camera.fx, camera.fy, camera.cx, camera.cy),
        camera.width,
        camera.height,
        background,
    )
    return Drawn(raster, shown)


def rays_to(means: F32, center: F64) -> F32:  # [M, 3]
    """Unit directions from a camera to Gaussians."""
    rays = means - center.astype(np.float32)
    return rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), np.float32(1e-12))


@dataclass(frozen=True)
class Shades:
    """Colors of Gaussians towards a camera, and the basis that they come from."""

    basis: F32  # [M, C]
    raw: F32  # [M, 3] before negative ones are clamped to 0

    @property
    def colors(self) -> F32:  # [M, 3]
        """What is drawn."""
        return np.maximum(self.raw, 0)


def shades(splats: Splats, center: F64) -> Shades:
    """Harmonics evaluated towards a camera at `center`, in the Gaussians' frame."""
    values = basis(rays_to(splats.means, center), splats.degree)
    return Shades(values, np.matmul(values[:, None], splats.sh)[:, 0] + np.float32(0.5))


def show(splats: Splats, looks: Shades) -> Gaussians:
    """What the rasterizer draws."""
    return Gaussians(splats.means, splats.quats, splats.scales, splats.opacities, looks.colors)
