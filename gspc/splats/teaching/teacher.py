"""Views of a splat: pictures drawn when they are asked for, fresh ones for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gspc.rendering.budget import UNLIMITED
from gspc.scene import F32, U8, Camera, View
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
        return cls(unit, SplatRenderer(unit.splats, device, background, max_memory=UNLIMITED), path)

    def view(self, camera: Camera) -> View:
        """The view of a camera that stays where it is. Its alpha lets training put other colors behind, so
        that transparency is learned as such and not as the color behind it."""
        shot = _Shot(self, camera)
        return View(camera, shot.pixels, self.path, alpha=shot.alpha)

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


class _Shot:
    """A picture that is drawn when it is first asked for, and kept as bytes."""

    def __init__(self, teacher: Teacher, camera: Camera) -> None:
        self._teacher, self._camera = teacher, camera
        self._drawn: tuple[U8, U8] | None = None

    def pixels(self) -> U8:  # [H, W, 3]
        return self._both()[0]

    def alpha(self) -> U8:  # [H, W]
        return self._both()[1]

    def _both(self) -> tuple[U8, U8]:
        if self._drawn is None:
            teacher = self._teacher
            picture, alpha = teacher.renderer.with_alpha(teacher.unit.to_unit(self._camera))
            self._drawn = _bytes(picture), _bytes(alpha)
        return self._drawn


def _bytes(values: F32) -> U8:
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
