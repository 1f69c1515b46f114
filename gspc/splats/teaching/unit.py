"""A splat in coordinates of its own size: the middle of its Gaussians at the origin, half of them within 1.

Gaussians are many where photographs were near and show detail, so this finds what a scene is about, however
far its surroundings reach.
Thresholds and distances then mean the same for every splat, and the rasterizer's near plane, a hundredth of a
unit, is near to everything, whether the file counts in millimeters or in kilometers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gspc.errors import InputError
from gspc.scene import F32, F64, Camera
from gspc.splats.splats import HOME, Splats
from gspc.splats.transform import to_frame, transform

FEWEST = 10  # Gaussians of a scene that can be learned
INVISIBLE = 1 / 255  # opacity that no 8-bit picture shows


@dataclass(frozen=True)
class UnitSplats:
    """The splat in unit coordinates: unit = (user - middle) / radius, along the axes of HOME."""

    splats: Splats
    middle: F64  # [3] in the user's coordinates
    radius: float  # user's units
    weights: F32  # [M] opacities, 0 where they are invisible; their sum is 1

    def to_unit(self, camera: Camera) -> Camera:
        """The camera that sees in unit coordinates what `camera` sees in the user's."""
        pose = camera.world_to_camera.copy()
        pose[:3, 3] = (pose[:3, :3] @ self.middle + pose[:3, 3]) / self.radius
        return replace(camera, world_to_camera=pose)

    def to_user(self, camera: Camera) -> Camera:
        """The reverse of `to_unit`."""
        pose = camera.world_to_camera.copy()
        pose[:3, 3] = pose[:3, 3] * self.radius - pose[:3, :3] @ self.middle
        return replace(camera, world_to_camera=pose)


def unit_splats(splats: Splats) -> UnitSplats:
    """The splat in unit coordinates. Raises InputError for one that is too little to learn from."""
    splats = to_frame(splats, HOME)
    if splats.count < FEWEST:
        noun = "Gaussian" if splats.count == 1 else "Gaussians"
        raise InputError(f"holds {splats.count} {noun}; a scene to fit has at least {FEWEST}")
    means, weights = splats.means.astype(np.float64), splats.opacities.astype(np.float64)
    weights[weights < INVISIBLE] = 0
    if not weights.any():
        raise InputError("holds no Gaussians that can be seen; all are transparent")
    middle = np.array([weighted_quantile(axis, weights, 0.5) for axis in means.T])
    radius = weighted_quantile(np.linalg.norm(means - middle, axis=1), weights, 0.5)
    if not radius:
        raise InputError("has all its Gaussians at one place; no view of it would show more than a dot")
    unit = transform(splats, scale=1 / radius, translation=-middle / radius)
    return UnitSplats(unit, middle, radius, (weights / weights.sum()).astype(np.float32))


def weighted_quantile(values: F64, weights: F64, share: float) -> float:
    """The value below which `share` of the weight lies."""
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, share * passed[-1])])
