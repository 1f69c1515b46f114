"""Shots and points of either source of cameras: a COLMAP model or transforms files."""

from __future__ import annotations

from gspc.data import colmap, transforms
from gspc.data.layouts import ColmapLayout, TransformsLayout
from gspc.data.names import labels
from gspc.data.points import Cloud
from gspc.data.report import Notes
from gspc.data.shots import Fixed, Shot


def read_shots(layout: ColmapLayout | TransformsLayout, notes: Notes) -> list[Shot]:
    """All shots of a scene that have a pose. Raises InputError."""
    if isinstance(layout, TransformsLayout):
        return transforms.read_shots(layout, notes)
    cameras, images = colmap.read_cameras(layout.model, notes)
    lenses = {camera.camera_id: camera.lens for camera in cameras}
    names = labels([image.name for image in images])
    shots = []
    for image, name in zip(images, names, strict=True):
        lens = lenses[image.camera_id]
        shots.append(Shot(name, image.name, image.pose, (lens.width, lens.height), Fixed(lens)))
    return shots


def read_cloud(layout: ColmapLayout | TransformsLayout, notes: Notes) -> Cloud | None:
    """The scene's point cloud as its file has it; None when there is none. Raises InputError for damage."""
    if isinstance(layout, TransformsLayout):
        return transforms.read_points(layout, notes)
    file = colmap.find_points(layout.model)
    if file is None:
        return None
    points = colmap.read_points(layout.model, notes)
    return Cloud(points.positions, points.colors, str(file))
