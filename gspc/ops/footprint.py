"""How far the picture of a Gaussian may reach: what tells before drawing which anchors can touch it.

The bounds follow the rasterizer's own projection (EWA with the clamped tangent, 0.3 px blur), not the true
perspective outline, so that an anchor is left out only where the rasterizer would have drawn none of its
Gaussians. Training and drawing share them: what training does not see, no gradient moves out of the way.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gspc.ops.conventions import BLUR, MIN_ALPHA, NEAR
from gspc.scene import Camera

# Standard deviations at which an opaque Gaussian falls below the smallest alpha.
CUTOFF = math.sqrt(2 * math.log(1 / MIN_ALPHA))
MARGIN = 1.0  # pixels; covers float32 rounding in bounds and projection
SLACK = 1e-5  # of a position's magnitude, with which its rounding grows


class Footprint(NamedTuple):
    """A camera, as far as the size of pictures of Gaussians depends on it. A Gaussian of standard deviation
    s at depth z reaches at most sqrt((gain s / z)^2 + blur) + MARGIN pixels."""

    focal_x: float  # pixels, as all that say nothing else
    focal_y: float
    center_x: float
    center_y: float
    width: float
    height: float
    gain: float
    blur: float  # pixels^2
    nearest: float  # world units

    @classmethod
    def of(cls, camera: Camera) -> Footprint:
        """The footprint of a camera's picture."""
        # |J| of the clamped tangent: lim = 1.3 * half field of view, plus the principal point's shift.
        span_x = max(camera.cx, camera.width - camera.cx) + 0.3 * camera.width
        span_y = max(camera.cy, camera.height - camera.cy) + 0.3 * camera.height
        gain = CUTOFF * math.hypot(max(camera.fx, camera.fy), span_x, span_y)
        size = float(camera.width), float(camera.height)
        return cls(camera.fx, camera.fy, camera.cx, camera.cy, *size, gain, CUTOFF**2 * 2 * BLUR, NEAR)
