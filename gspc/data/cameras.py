"""Cameras without photographs: read from a scene's folder, and chosen for a stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gspc.data import colmap, transforms
from gspc.errors import InputError
from gspc.scene import Camera, View

SUGGESTED = 64  # cameras a stream carries at most


def load_cameras(path: Path) -> tuple[Camera, ...]:
    """All cameras of a COLMAP folder or of Blender transforms, sorted by name, at the size their file gives.

    No photograph is needed, unless a transforms file leaves the image size to them. Raises InputError.
    """
    if (folder := colmap.find_model(path)) is not None:
        cameras, images = colmap.read_cameras(folder)
        by_id = {camera.camera_id: camera for camera in cameras}
        found = [colmap.to_camera(image, by_id[image.camera_id]) for image in images]
    elif files := transforms.find_files(path):
        found = [frame.camera for file in files.all for frame in transforms.read_frames(file)]
    else:
        raise InputError(f"{path}: no cameras found; give a COLMAP folder or a transforms.json")
    if not found:
        raise InputError(f"{path}: no cameras in it")
    return tuple(sorted(found, key=lambda camera: camera.name))


def suggested_cameras(views: Sequence[View], limit: int = SUGGESTED) -> tuple[Camera, ...]:
    """At most `limit` cameras of `views`, evenly spread over their name order.

    Neighbors in name are usually neighbors in space. Both ends are among them; limit 0 gives none.
    """
    cameras = sorted((view.camera for view in views), key=lambda camera: camera.name)
    if len(cameras) <= limit:
        return tuple(cameras)
    if limit <= 1:
        return tuple(cameras[:limit])
    last = len(cameras) - 1
    return tuple(cameras[(2 * index * last + limit - 1) // (2 * (limit - 1))] for index in range(limit))
