"""Which anchors can touch a picture: a test cheap enough to run before the heads, and never wrong in the
other direction.

A Gaussian's mean and an upper bound of its size do not depend on the view: scale = exp(l[3:6]) * sigmoid(.)
<= exp(l[3:6]). So they are found once for all views; `gspc.ops.rows.visible_rows` has both in one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gspc.ops.footprint import MARGIN, SLACK, Footprint
from gspc.scene import F32, Camera, DecodedScene


@dataclass(frozen=True)
class AnchorBounds:
    """View-independent bounds per anchor, in world units."""

    anchors: F32  # [N, 3]
    reach: F32  # [N] farthest mean of a living Gaussian from its anchor; not finite if any is
    sigma: F32  # [N] largest possible standard deviation
    alive: NDArray[np.bool_]  # [N] any Gaussian lives and the bounds are finite


def anchor_bounds(scene: DecodedScene) -> AnchorBounds:
    """Bounds of a scene's anchors; compute once, use for every view."""
    with np.errstate(over="ignore", invalid="ignore"):
        scales = np.exp(scene.log_scales)
        moved = scene.offsets * scales[:, None, :3]
        squared = np.einsum("nki,nki->nk", moved, moved)
        reach = np.sqrt(np.where(scene.gaussian_mask, squared, 0).max(axis=1, initial=0))
        sigma = scales[:, 3:].max(axis=1, initial=0)
    alive = scene.gaussian_mask.any(axis=1) & np.isfinite(reach) & np.isfinite(sigma)
    return AnchorBounds(scene.anchors, reach.astype(np.float32), sigma.astype(np.float32), alive)


def visible_anchors(bounds: AnchorBounds, camera: Camera) -> NDArray[np.bool_]:  # [N]
    """The anchors that may touch the picture; conservative: none that would be drawn is missing."""
    pose = camera.world_to_camera.astype(np.float32)
    view = Footprint.of(camera)
    with np.errstate(over="ignore", invalid="ignore"):
        x, y, z = pose[:3, :3] @ bounds.anchors.T + pose[:3, 3:]
        slack = np.float32(SLACK) * (np.abs(x) + np.abs(y) + np.abs(z) + np.abs(pose[:3, 3]).sum())
        reach = bounds.reach + slack
        far = z + reach
        near = np.maximum(z - reach, np.float32(view.nearest))
        radius = np.sqrt((view.gain * bounds.sigma / near) ** 2 + view.blur) + MARGIN
        keep = bounds.alive & (far >= view.nearest)
        sides = (
            (x, view.focal_x, view.center_x, view.width),
            (y, view.focal_y, view.center_y, view.height),
        )
        for value, focal, center, size in sides:
            low, high = value - reach, value + reach
            left = low / np.where(low < 0, near, far)
            right = high / np.where(high > 0, near, far)
            keep &= ~(focal * right + center + radius < 0) & ~(focal * left + center - radius > size)
    return keep
