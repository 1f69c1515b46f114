"""From a scene's sparse points to the first anchors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.format.limits import MAX_VOXEL
from gspc.model.anchors import POSITION_CENTER, AnchorModel, ModelShape
from gspc.model.grid import choose_spec
from gspc.scene import SceneData

LATTICES = (16, 4, 1)  # voxel strides on which densification adds anchors, coarse to fine (method section 6)

# All in canonical units, of which one is the median distance from cameras to what they see.
DISTANCE_SCALE = 1.0  # of the heads' input: distances are then about 1, as large as the other inputs
LONE_SPACING = 0.01  # of a point without neighbors: some five pixels of a usual lens
LONE_VOXEL = 0.001  # half a pixel
# Points that are denser than this share a voxel; in sparser ones, growing needs finer voxels than they lie.
SMALLEST_VOXEL, LARGEST_VOXEL = 2.0**-13, 2.0**-7


def neighbor_distances(points: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Mean distance of each point to its `count` nearest others, NaN where there is none; [P, 3] -> [P]."""
    from scipy.spatial import cKDTree

    found = min(count + 1, len(points))
    distances, _ = cKDTree(points).query(points, found, workers=1)
    return distances[:, 1:].mean(1) if found > 1 else np.full(len(points), np.nan)


def choose_voxel_size(points: NDArray[np.float64]) -> float:  # [P, 3]
    """Half the median distance between neighboring points: fine enough not to merge points, and
    integer coordinates stay short. Rounded to a sixteenth of an octave, so that it does not hang on the last
    digits of the points. Canonical units."""
    nearest = neighbor_distances(points, 1)
    nearest = nearest[np.isfinite(nearest) & (nearest > 0)]
    size = float(np.median(nearest)) / 2 if len(nearest) else LONE_VOXEL
    return float(2 ** (np.round(16 * np.log2(np.clip(size, SMALLEST_VOXEL, LARGEST_VOXEL))) / 16))


def _roomy(points: NDArray[np.float64], size: float, most: int) -> float:
    """The voxel size, or the next larger one at which the points [P, 3] share `most` voxels at most."""
    while len(points) > most and len(np.unique(np.round(points / size), axis=0)) > most:
        size *= 2**0.25
    return size


def initial_model(
    scene: SceneData,
    shape: ModelShape,
    voxel_size: float | None,
    *,
    most: int | None = None,
    reference_grid: bool = False,
) -> AnchorModel:
    """Anchors on the voxels of the points of a scene in its canonical frame, everything else at its starting
    value. `voxel_size` is in canonical units; None: chosen by the points,
    larger where these would start more than `most` anchors.

    Raises InputError when no point lies within the 21 bits per axis that positions have.
    """
    points = np.unique(scene.points, axis=0)
    size = voxel_size or _roomy(points, choose_voxel_size(points), most or len(points))
    if not size <= MAX_VOXEL:
        raise InputError(
            f"{scene.name}: voxel size {size:g} is too large to be written; choose a smaller --voxel-size"
        )
    low, high = np.percentile(points, (2.0, 98.0), axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # of sizes near 0, which leave no point inside
        center = np.round((low + high) / 2 / size) * size
        voxels = np.round((points - center) / size)
    inside = (np.abs(voxels) < POSITION_CENTER - max(LATTICES)).all(1)
    if not inside.any():
        raise InputError(
            f"{scene.name}: voxel size {size:g} is too small for this scene; choose a larger --voxel-size"
        )
    voxels = np.unique(voxels[inside].astype(np.int64), axis=0)
    origin = center - POSITION_CENTER * size
    positions = voxels + POSITION_CENTER
    spec = choose_spec(positions, reference=reference_grid, own_pool=shape.pool_planes > 0)
    model = AnchorModel(shape, spec, size, torch.from_numpy(origin), DISTANCE_SCALE, len(positions))
    model.positions.copy_(torch.from_numpy(positions.astype(np.int32)))
    spacing = np.nan_to_num(neighbor_distances(voxels * size, 3), nan=LONE_SPACING)
    with torch.no_grad():
        model.log_scales.copy_(
            torch.from_numpy(np.log(np.maximum(spacing, size))).float()[:, None].expand(-1, shape.scales)
        )
    return model
