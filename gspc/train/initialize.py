"""From a scene's sparse points to the first anchors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.model.anchors import POSITION_CENTER, AnchorModel, ModelShape
from gspc.model.grid import choose_spec
from gspc.scene import SceneData

LATTICES = (16, 4, 1)  # voxel strides on which densification adds anchors, coarse to fine (method section 6)


def scene_extent(scene: SceneData) -> float:
    """Radius of the cameras around their mean, times 1.1: the field's unit for spatial learning rates."""
    centers = np.stack([view.camera.center for view in scene.train])
    return float(1.1 * np.linalg.norm(centers - centers.mean(0), axis=1).max()) or 1.0


def neighbor_distances(points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Mean distance of each point to its `count` nearest others, NaN where there is none; [P, 3] -> [P]."""
    from scipy.spatial import cKDTree

    found = min(count + 1, len(points))
    distances, _ = cKDTree(points).query(points, found, workers=1)
    return distances[:, 1:].mean(1) if found > 1 else np.full(len(points), np.nan)


def choose_voxel_size(points: NDArray[np.float64], extent: float) -> float:  # [P, 3]
    """Half the median distance between neighboring points: fine enough not to merge points, and
    integer coordinates stay short. World units."""
    nearest = neighbor_distances(points, 1)
    nearest = nearest[np.isfinite(nearest) & (nearest > 0)]
    return float(np.median(nearest)) / 2 if len(nearest) else extent / 1000


def initial_model(
    scene: SceneData, shape: ModelShape, voxel_size: float | None, *, reference_grid: bool = False
) -> AnchorModel:
    """Anchors on the voxels of the scene's points, everything else at its starting value.

    Raises InputError when no point lies within the 21 bits per axis that positions have.
    """
    extent = scene_extent(scene)
    points = np.unique(scene.points, axis=0)
    size = voxel_size or choose_voxel_size(points, extent)
    low, high = np.percentile(points, (2.0, 98.0), axis=0)
    center = np.round((low + high) / 2 / size) * size
    voxels = np.round((points - center) / size).astype(np.int64)
    inside = (np.abs(voxels) < POSITION_CENTER - max(LATTICES)).all(1)
    if not inside.any():
        raise InputError(
            f"{scene.name}: voxel size {size:g} is too small for this scene; choose a larger --voxel-size"
        )
    voxels = np.unique(voxels[inside], axis=0)
    origin = center - POSITION_CENTER * size
    positions = voxels + POSITION_CENTER
    spec = choose_spec(positions, reference=reference_grid, own_pool=shape.pool_planes > 0)
    model = AnchorModel(shape, spec, size, torch.from_numpy(origin), 1.0 / extent, len(positions))
    model.positions.copy_(torch.from_numpy(positions.astype(np.int32)))
    spacing = np.nan_to_num(neighbor_distances(voxels * size, 3), nan=extent / 100)
    with torch.no_grad():
        model.log_scales.copy_(
            torch.from_numpy(np.log(np.maximum(spacing, size))).float()[:, None].expand(-1, shape.scales)
        )
    return model
