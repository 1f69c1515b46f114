"""The point cloud that comes with a transforms file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gspc.data import colmap, ply
from gspc.data.colmap.model import forms
from gspc.data.layouts import TransformsLayout
from gspc.data.names import is_file, locate
from gspc.data.points import Cloud
from gspc.data.report import Notes
from gspc.data.transforms.content import read_content
from gspc.scene import F64

POINT_FILES = (
    "points3d.ply",
    "points3D.ply",
    "sparse_pc.ply",
    "pointcloud.ply",
    "point_cloud.ply",
    "pcd.ply",
)


def read_points(layout: TransformsLayout, notes: Notes) -> Cloud | None:
    """What the file names as ply_file_path, else a PLY of a usual name, else the points of the COLMAP model
    that nerfstudio left beside it; None when there is none. Raises InputError for a file that is damaged."""
    content = read_content(layout.train)
    named = content.get("ply_file_path")
    if isinstance(named, str) and named:
        if (file := _named(layout, named)) is not None:
            return _cloud(file)
        notes.warn(f"{layout.train}: its point cloud {named} is not there")
    for name in POINT_FILES:
        if (file := colmap.member(layout.root, name)) is not None:
            return _cloud(file)
    return _of_model(layout, content.get("applied_transform"), content.get("applied_scale"), notes)


def _named(layout: TransformsLayout, name: str) -> Path | None:
    """The file that is meant, inside the scene's folder: as written, else by its last part."""
    inside = locate([name], [layout.root], layout.root).paths[0]
    if inside is not None:
        return inside
    last = layout.root / name.replace("\\", "/").rpartition("/")[2]
    return last if is_file(last) else None


def _cloud(file: Path) -> Cloud:
    return Cloud(*ply.read_point_cloud(file), str(file))


def _of_model(layout: TransformsLayout, transform: object, scale: object, notes: Notes) -> Cloud | None:
    """Points of colmap/sparse/0, moved as ns-process-data moved the cameras."""
    model = layout.root / "colmap" / "sparse" / "0"
    moved = _affine(transform)
    if forms(model) is None or colmap.find_points(model) is None or moved is None:
        return None
    points = colmap.read_points(model, notes)
    positions = points.positions @ moved[:, :3].T + moved[:, 3]
    if isinstance(scale, int | float) and scale > 0:
        positions = positions * scale
    file = colmap.find_points(model)
    notes.say(f"{file}: its points, moved as the file's applied_transform says, are the start")
    return Cloud(positions, points.colors, str(file))


def _affine(matrix: object) -> F64 | None:
    """A 3x4 transform; None when it is none, as without one it is unknown where the cameras were moved."""
    try:
        found = np.array(matrix, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return found[:3] if found.shape in ((3, 4), (4, 4)) and np.isfinite(found).all() else None
