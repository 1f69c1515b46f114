"""Which tiles can touch a picture: a ball around each, tested as a whole, and never wrong in the other
direction."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gspc.ops.footprint import MARGIN, Footprint
from gspc.rendering.culling import AnchorBounds, visible_anchors
from gspc.scene import Camera


def visible_balls(balls: AnchorBounds, camera: Camera) -> NDArray[np.bool_]:  # [n]
    """The balls of which something may be in the picture; each has a center, a reach and a largest Gaussian.

    The test of anchors takes the nearest depth for the size of a Gaussian and, a camera inside the ball,
    never fails. A Gaussian at depth z is off the picture at the right if f x / z + c - r(z) > width, where
    z r(z) <= gain sigma + z (sqrt(blur) + MARGIN): multiplied by z this is hardest at the farthest
    depth, which decides for all of the ball.
    """
    x, y, z = camera.world_to_camera[:3, :3] @ (balls.anchors.astype(np.float64) - camera.center).T
    reach = balls.reach.astype(np.float64) * (1 + 1e-5)
    view = Footprint.of(camera)
    size = view.gain * balls.sigma
    border = math.sqrt(view.blur) + MARGIN
    far = z + reach
    keep = visible_anchors(balls, camera)
    axes = ((x, camera.fx, camera.cx, camera.width), (y, camera.fy, camera.cy, camera.height))
    for value, focal, center, pixels in axes:
        for side, room in ((value, pixels - center), (-value, center)):
            keep &= ~(focal * (side - reach) > np.maximum(room + border, 0) * far + size)
    return keep
