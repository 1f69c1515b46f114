"""Drawing Gaussians with gradients, in numpy: what baking and refining share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np

from gspc.ops import arrays
from gspc.ops.arrays import Raster, RasterGradients
from gspc.rendering.budget import Budget
from gspc.scene import F32, F64, Camera, Gaussians
from gspc.splats.harmonics import basis
from gspc.splats.splats import degree_of

BATCH = 1 << 12  # Gaussians: harmonics of degree 3 take 0.8 MB


@dataclass(frozen=True)
class Drawn:
    """A picture, and the way back from it."""

    raster: Raster
    shown: Gaussians
    name: str  # of the camera
    budget: Budget

    @property
    def picture(self) -> F32:  # [H, W, 3]
        """The picture, not clamped."""
        return self.raster.image

    def gradients(self, picture: F32) -> RasterGradients:
        """Gradients of a loss by the Gaussians, from its gradient by the picture. Raises InputError."""
        shapes = (self.shown.means, self.shown.quats, self.shown.scales)
        with self.budget.drawing(self.name):
            return arrays.rasterize_backward(
                self.raster, *shapes, self.shown.opacities, self.shown.colors, np.ascontiguousarray(picture)
            )


def draw(
    shown: Gaussians, camera: Camera, background: Sequence[float], budget: Budget | None = None
) -> Drawn:
    """Draws Gaussians on the CPU. Raises BackendError without the kernels, InputError beyond `budget`."""
    allowed = Budget() if budget is None else budget
    with allowed.drawing(camera.name):
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
            allowed.room,
        )
    return Drawn(raster, shown, camera.name, allowed)


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


def shades(means: F32, sh: F32, center: F64) -> Shades:
    """Harmonics evaluated towards a camera at `center`, in the Gaussians' frame; on all cores."""
    degree = degree_of(sh.shape[1])
    found = Shades(np.empty(sh.shape[:2], np.float32), np.empty((len(sh), 3), np.float32))

    def work(rows: slice) -> None:
        found.basis[rows] = basis(rays_to(means[rows], center), degree)
        np.einsum("mc,mcj->mj", found.basis[rows], sh[rows], out=found.raw[rows])
        found.raw[rows] += np.float32(0.5)

    in_batches(work, len(sh))
    return found


def in_batches(work: Callable[[slice], None], count: int) -> None:
    """Runs `work` on batches of rows that fit a core's cache, on all cores; numpy lets go of the lock."""
    batches = [slice(start, start + BATCH) for start in range(0, count, BATCH)]
    if len(batches) == 1:
        work(batches[0])
    else:
        list(_pool().map(work, batches))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1)
