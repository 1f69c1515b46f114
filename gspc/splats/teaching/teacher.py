"""Views of a splat: pictures drawn when they are asked for, fresh ones for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gspc.scene import U8, Camera, View
from gspc.splats.teaching.fresh import Jitter
from gspc.splats.teaching.unit import UnitSplats
from gspc.splats.view import SplatRenderer


@dataclass(frozen=True)
class Teacher:
    """Draws a splat for cameras in the user's coordinates."""

    unit: UnitSplats
    renderer: SplatRenderer
    path: Path | None = None

    @classmethod
    def of(
        cls,
        unit: UnitSplats,
        background: tuple[float, float, float],
        device: str = "cpu",
        path: Path | None = None,
    ) -> Teacher:
        """A teacher that draws on `device`. Raises BackendError."""
        return cls(unit, SplatRenderer(unit.splats, device, background), path)

    def draw(self, camera: Camera) -> U8:  # [H, W, 3]
        """The picture of a camera as bytes."""
        picture = self.renderer.render(self.unit.to_unit(camera))
        return np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)

    def view(self, camera: Camera) -> View:
        """The view of a camera that stays where it is."""
        return View(camera, lambda: self.draw(camera), self.path)

    def views(
        self, cameras: Sequence[Camera], depths: Sequence[float], numbers: Sequence[int], jitter: Jitter
    ) -> tuple[View, ...]:
        """Views to train on of the cameras with these numbers: drawn from another place near their cameras
        every time. `depths`: how far away each camera sees things, in the user's units."""
        return tuple(self._renewed(cameras[number], number, depths[number], jitter) for number in numbers)

    def _renewed(self, camera: Camera, number: int, depth: float, jitter: Jitter) -> View:
        def fresh(iteration: int) -> View:
            return self.view(jitter.camera(camera, number, depth, iteration))

        return replace(self.view(camera), fresh=fresh)
