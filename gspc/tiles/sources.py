"""A scene to be split, read as far as splitting needs it: no pixel is decoded for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gspc.config import DataOptions
from gspc.data import colmap
from gspc.data.frame import FEW, find_frame
from gspc.data.images import Photo
from gspc.data.layouts import ColmapLayout, TransformsLayout, find_layout
from gspc.data.lens import Lens, check_lens
from gspc.data.masks import find_masks
from gspc.data.photos import find_photographs
from gspc.data.points import Cloud, starting_points
from gspc.data.report import Notes
from gspc.data.shots import Shot, by_name
from gspc.data.sources import read_cloud, read_shots
from gspc.data.views import straight_cameras
from gspc.errors import InputError
from gspc.scene import F64, Camera, Frame, Note
from gspc.tiles.plan import I64, Shown, nearest_points, on_plan


@dataclass(frozen=True)
class Picture:
    """A photograph that tiles can share: its files, its lens and what it shows."""

    name: str
    pose: F64  # world-to-camera [4, 4], in the user's coordinates
    lens: Lens
    photo: Photo
    mask: Path | None
    shown: Shown


@dataclass(frozen=True)
class Sources:
    """The whole scene."""

    name: str
    pictures: tuple[Picture, ...]  # by name
    held_out: int  # photographs that are left out of all tiles
    cloud: Cloud  # in the user's coordinates
    plan: F64  # [P, 2] its points seen from above, in the scene's frame
    seen: np.ndarray  # [P] by any camera
    frame: Frame
    notes: tuple[Note, ...]


def read_sources(path: Path, options: DataOptions) -> Sources:
    """The scene at `path`. Views that its own files keep for tests, and every `options.hold`-th by name, are
    left out. Raises InputError, and BackendError where lenses take pycolmap and it is missing."""
    notes = Notes()
    layout = find_layout(path, notes)
    shots = by_name(read_shots(layout, notes))
    homes, root = _folders(layout, options)
    found = find_photographs(shots, homes, root, options, notes)
    masks = find_masks(found.shots, found.photos, found.home, layout.root, options.masks, notes)
    usable = [row for row in zip(found.shots, found.photos, masks, strict=True) if row[1] is not None]
    kept = [row for number, row in enumerate(usable) if not _kept_back(row[0], number, options.hold)]
    lenses = [
        check_lens(f"{photo.path}: its camera", shot.lens(photo.width, photo.height))
        for shot, photo, _ in kept
        if photo is not None
    ]
    cameras = [
        [camera for camera, _ in straight_cameras(shot, lens, options.field)]
        for (shot, _, _), lens in zip(kept, lenses, strict=True)
    ]
    everyone = [camera for some in cameras for camera in some]
    cloud = _points(path, layout, everyone, notes)
    frame, seen = find_frame(everyone, cloud.positions)
    tracks = _tracks(layout, cloud)
    pictures = tuple(
        Picture(
            shot.name,
            shot.pose,
            lens,
            photo,
            None if mask is None else mask.path,
            _shown(some, cloud.positions, frame, tracks.get(shot.file)),
        )
        for (shot, photo, mask), lens, some in zip(kept, lenses, cameras, strict=True)
        if photo is not None
    )
    plan = on_plan(frame.to_canonical(cloud.positions))
    folder = layout.path if layout.path.is_dir() else layout.root
    held_out = len(usable) - len(kept)
    name = folder.resolve().name or "scene"
    return Sources(name, pictures, held_out, cloud, plan, seen, frame, tuple(notes.lines))


def _folders(layout: ColmapLayout | TransformsLayout, options: DataOptions) -> tuple[tuple[Path, ...], Path]:
    """Where photographs may lie, as `gspc.data.understand` looks for them."""
    if options.images is not None:
        return (options.images,), options.images
    return (layout.homes if isinstance(layout, ColmapLayout) else (layout.root,)), layout.root


def _kept_back(shot: Shot, number: int, hold: int) -> bool:
    return shot.part == "test" or bool(hold and number % hold == 0)


def _points(
    path: Path, layout: ColmapLayout | TransformsLayout, cameras: Sequence[Camera], notes: Notes
) -> Cloud:
    """The cloud that tiles are split by. Raises InputError where there is none to speak of."""
    if not cameras:
        raise InputError(f"{path}: no photograph is left to split")
    cloud = starting_points(read_cloud(layout, notes), cameras, notes)
    if len(cloud.positions) < FEW:
        raise InputError(
            f"{path}: has {len(cloud.positions)} points, and tiles are split by them; give a scene of at "
            f"least {FEW}"
        )
    return cloud


def _tracks(layout: ColmapLayout | TransformsLayout, cloud: Cloud) -> dict[str, I64]:
    """Rows of the points that COLMAP matched in each photograph, by the model's name of it; empty where a
    model has no tracks, or points were left out, which then count otherwise."""
    if not isinstance(layout, ColmapLayout):
        return {}
    points = colmap.read_points(layout.model)
    if not len(points.track) or len(points) != len(cloud.positions):
        return {}
    _, images = colmap.read_cameras(layout.model)
    names = {image.image_id: image.name for image in images}
    rows = np.repeat(np.arange(len(points)), np.diff(points.track_start))
    order = np.argsort(points.track[:, 0], kind="stable")
    ids, starts = np.unique(points.track[order, 0], return_index=True)
    parts = np.split(rows[order], starts[1:])
    return {names[i]: np.unique(part) for i, part in zip(ids.tolist(), parts, strict=True) if i in names}


def _shown(cameras: Sequence[Camera], points: F64, frame: Frame, track: I64 | None) -> Shown:
    """What a photograph shows, by its tracks, else by what lies nearest in its parts."""
    places = on_plan(frame.to_canonical(np.stack([camera.center for camera in cameras])))
    if track is None or not len(track):
        track = np.unique(np.concatenate([nearest_points(camera, points) for camera in cameras]))
    return Shown(places, track)
