"""Drawing Gaussians with gradients, in numpy: what baking and refining share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from gspc.ops import arrays
from gspc.ops.arrays import Raster, RasterGradients
from gspc.rendering.budget import Budget
from gspc.scene import F32, Camera, Gaussians

BATCH = 1 << 12  # Gaussians; their harmonics of degree 3 take 0.8 MB


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

    def color_gradients(self, picture: F32) -> F32:  # [M, 3]
        """Gradients by the colors alone, for less work. Raises InputError."""
        with self.budget.drawing(self.name):
            return arrays.rasterize_backward_colors(self.raster, np.ascontiguousarray(picture))

    def repainted(self, colors: F32) -> Drawn:
        """The same Gaussians in other colors [M, 3]; from here on gradients are those of the new picture."""
        raster = arrays.repaint(self.raster, colors)
        return replace(self, raster=raster, shown=replace(self.shown, colors=colors))

    @property
    def held(self) -> int:
        """Bytes of memory that it takes, at most."""
        held: int = self.raster.state.bytes
        return held


def draw(
    shown: Gaussians, camera: Camera, background: Sequence[float], budget: Budget | None = None
) -> Drawn:
    """Draws Gaussians on the CPU. Raises BackendError without the kernels, InputError beyond `budget`."""
    allowed = Budget() if budget is None else budget
    with allowed.drawing(camera.name):
        raster = arrays.rasterize(
            *shown.parts,
            camera.world_to_camera,
            (camera.fx, camera.fy, camera.cx, camera.cy),
            camera.width,
            camera.height,
            background,
            allowed.room,
        )
    return Drawn(raster, shown, camera.name, allowed)


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
