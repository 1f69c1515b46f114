"""Cameras without photographs: read from a scene's folder, and chosen for a stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gspc.data.images import inspect_photo
from gspc.data.layouts import ColmapLayout, find_layout
from gspc.data.lens import check_lens
from gspc.data.names import locate
from gspc.data.photos import name_shots
from gspc.data.report import Notes
from gspc.data.sources import read_shots
from gspc.data.views import straight_cameras
from gspc.errors import InputError
from gspc.scene import Camera, Note, View

SUGGESTED = 64  # cameras a stream carries at most


def load_cameras(path: Path, field: str = "full") -> tuple[Camera, ...]:
    """All cameras of a COLMAP folder or of transforms, sorted by name, at the size their file gives."""
    return read_cameras(path, field)[0]


def read_cameras(path: Path, field: str = "full") -> tuple[tuple[Camera, ...], tuple[Note, ...]]:
    """As load_cameras, with what was mended or left out.

    Lenses that bend lines become the pinholes that their photographs would be straightened to, with `field`
    "full" or "crop". No photograph is needed, unless a transforms file leaves the image size to them. Raises
    InputError.
    """
    notes = Notes()
    layout = find_layout(path, notes)
    shots = read_shots(layout, notes)
    homes = layout.homes if isinstance(layout, ColmapLayout) else (layout.root,)
    if not shots:
        raise InputError("no cameras in it", source=str(path))
    located = locate([shot.file for shot in shots], homes, layout.root)
    found: list[Camera] = []
    for shot, file in zip(name_shots(shots, located), located.paths, strict=True):
        size = shot.size
        if size is None:
            if file is None:
                raise InputError(
                    f"no size for {shot.name}, whose photograph is not there; give w and h",
                    source=str(path),
                )
            header = inspect_photo(file)
            size = header.width, header.height
        lens = check_lens(f"{path}: the camera of {shot.name}", shot.lens(*size))
        found += [camera for camera, _ in straight_cameras(shot, lens, field)]
    return tuple(sorted(found, key=lambda camera: camera.name)), tuple(notes.lines)


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
