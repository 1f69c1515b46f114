"""Looking at a splat through small pictures: how good a place is to see it from, and who is seen.

A splat shows where it was photographed from. Its Gaussians are about as large as the pixels of those
photographs, so from there they all look small; from behind, from within matter or from too near, some are
large and blurred. The share of a picture that is filled, times how sharp it is, is the picture's worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gspc.scene import F32, Camera, Gaussians
from gspc.splats.drawing import Drawn, draw
from gspc.splats.splats import Splats

BLURRED = 0.05  # of the picture's width: a standard deviation that counts as blurred all through
VISIBLE = 0.05  # pixels covered, dimmed by what lies before them, from which a Gaussian counts as seen
_NEAREST = 1e-3  # unit lengths, against division by zero


@dataclass(frozen=True)
class Sight:
    """What a small picture says about a camera."""

    filled: float  # share of the picture, 0 to 1
    sharp: float  # 1 where all that is there looks fine-grained, 0 where all is blurred
    depth: float  # harmonic mean of the distances along the axis of what is seen; inf for an empty picture

    @property
    def worth(self) -> float:
        """0 to 1."""
        return self.filled * self.sharp


class Eye:
    """Looks at a splat in unit coordinates."""

    def __init__(self, splats: Splats) -> None:
        self.splats = splats
        self._scales, self._opacities = splats.scales, splats.opacities
        self.size = np.sort(self._scales, axis=1)[:, 1]  # a needle's width is what blurs, not its length

    def look(self, camera: Camera) -> Sight:
        """The worth of a camera's picture."""
        depth = self._depths(camera)
        apparent = self.size * np.float32(camera.fx / camera.width) / depth
        tints = np.stack([np.ones_like(depth), np.minimum(apparent / np.float32(BLURRED), 1), 1 / depth], 1)
        filled, blurred, near = self._draw(camera, tints).picture.mean(axis=(0, 1), dtype=np.float64)
        if filled <= 0:
            return Sight(0.0, 0.0, np.inf)
        return Sight(float(filled), float(1 - blurred / filled), float(filled / near))

    def seen(self, camera: Camera) -> np.ndarray:  # -> bool [M]
        """Who is visibly in a camera's picture, not only behind others."""
        drawn = self._draw(camera, np.ones_like(self.splats.means))
        ones = np.zeros_like(drawn.picture)
        ones[..., 0] = 1
        return drawn.gradients(ones).colors[:, 0] > VISIBLE

    def _depths(self, camera: Camera) -> F32:  # [M]
        axis, shift = camera.world_to_camera[2, :3], camera.world_to_camera[2, 3]
        return np.maximum(self.splats.means @ axis.astype(np.float32) + np.float32(shift), _NEAREST)

    def _draw(self, camera: Camera, tints: F32) -> Drawn:
        shown = Gaussians(self.splats.means, self.splats.quats, self._scales, self._opacities, tints)
        return draw(shown, camera, (0.0, 0.0, 0.0))
