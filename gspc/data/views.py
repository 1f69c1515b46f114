"""From shots and photographs to views: at the size they are used at, straightened where the lens bends
lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from gspc.config import DataOptions
from gspc.data.backgrounds import AlphaLoader, Backing
from gspc.data.exif import fits
from gspc.data.images import Photo, PhotoLoader, PixelCache, target_size
from gspc.data.lens import PANORAMA, Lens, check_lens
from gspc.data.masks import MaskLoader
from gspc.data.photos import Photographs, misfit
from gspc.data.report import Notes, counted
from gspc.data.shots import Shot
from gspc.data.undistort import Plane, Straightener, planes_of
from gspc.errors import InputError
from gspc.format import usable
from gspc.scene import F64, Camera, View

Views = tuple[View, ...]


@dataclass(frozen=True)
class Used:
    """The lens of one view and the size it is used at."""

    lens: Lens
    camera: Camera


def straight_cameras(shot: Shot, lens: Lens, field_wish: str) -> list[tuple[Camera, Plane | None]]:
    """Pinhole cameras of a shot at its lens's size, and the planes they are straightened to, None where the
    lens is a pinhole. Raises BackendError where that takes pycolmap and it is missing."""
    if lens.straight:
        camera = Camera(shot.name, lens.width, lens.height, *lens.focals, *lens.center, shot.pose)
        return [(camera, None)]
    found: list[tuple[Camera, Plane | None]] = []
    for plane in planes_of(lens, "crop" if field_wish == "crop" else "full"):
        name = _face_name(shot.name, plane.face)
        pose = _turned(shot.pose, plane)
        camera = Camera(name, plane.width, plane.height, plane.fx, plane.fy, plane.cx, plane.cy, pose)
        found.append((camera, plane))
    return found


def _face_name(name: str, face: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}_{face}{path.suffix}")) if face else name


def _turned(pose: F64, plane: Plane) -> F64:
    turn = np.eye(4)
    turn[:3, :3] = plane.rotation
    return turn @ pose


@dataclass
class ViewMaker:
    """Makes the views of one scene and remembers how."""

    options: DataOptions
    backing: Backing
    cache: PixelCache
    divisor: int = 1  # by which the photographs are reduced already
    used: list[Used] = field(default_factory=list)

    def views(
        self,
        found: Photographs,
        masks: Sequence[Photo | None],
        homes: Sequence[Path],
        notes: Notes,
    ) -> Views:
        """Views sorted by name. Raises InputError for photographs that are not their cameras' pictures."""
        result: list[View] = []
        for shot, photo, mask in zip(found.shots, found.photos, masks, strict=True):
            if photo is None:
                continue
            lens = check_lens(f"{photo.path}: its camera", shot.lens(photo.width, photo.height))
            if not fits(photo, lens.width, lens.height):
                raise misfit(shot, photo, (lens.width, lens.height), homes)
            for camera, plane in straight_cameras(shot, lens, self.options.field):
                found.shot_of[camera.name] = shot.name
                result.append(self._view(camera, plane, lens, photo, mask))
        self._say_straightened(notes)
        return tuple(sorted(result, key=lambda view: view.camera.name))

    def _view(
        self, camera: Camera, plane: Plane | None, lens: Lens, photo: Photo, mask: Photo | None
    ) -> View:
        scale = photo.width / lens.width
        if plane is None:
            size = self._size(photo.width, photo.height)
        else:
            size = self._size(max(1, round(plane.width * scale)), max(1, round(plane.height * scale)))
        camera = camera.resized(*size)
        if (problem := usable.camera_problem(camera)) is not None:  # no stream could hold it after training
            raise InputError(f"its camera cannot be used: {problem}", source=str(photo.path))
        self.used.append(Used(lens, camera))
        straight = None if plane is None else Straightener(lens, plane, *size)
        load = PhotoLoader(
            photo,
            *size,
            self.backing.color,
            self.cache,
            reshape=straight,
            store=None if straight is None else self.options.cache,
        )
        hidden = straight is not None and not straight.covered()
        masked = MaskLoader(mask, *size, straight, self.cache) if mask is not None or hidden else None
        seen_through = self.backing.transparent and photo.transparent
        alpha = AlphaLoader(photo, *size, straight, self.cache) if seen_through else None
        mask_path = None if mask is None else mask.path
        return View(camera, load, photo.path, masked, mask_path, photo.turned, alpha)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """The size to use for a picture of width x height, which is reduced by `divisor` already."""
        wanted = target_size(width * self.divisor, height * self.divisor, self.options.resolution)
        if self.divisor > 1 and (wanted[0] >= width or abs(wanted[0] - width) <= 1):
            return width, height
        return wanted

    def _say_straightened(self, notes: Notes) -> None:
        """One line on the lenses that are no pinholes."""
        bent = [used for used in self.used if not used.lens.straight]
        if not bent:
            return
        models = ", ".join(sorted({used.lens.model for used in bent}))
        if all(used.lens.model == PANORAMA for used in bent):
            notes.say(f"{counted(len(bent) // 6, 'panorama')} cut into six views of 90 degrees each")
            return
        how = "cropped to a rectangle" if self.options.field == "crop" else "all of their field kept"
        notes.say(f"{counted(len(bent), 'view')} straightened from {models}, {how} (--field full|crop)")
        if self.options.field == "full" and any(
            plane.cut for lens in {used.lens for used in bent} for plane in planes_of(lens, "full")
        ):
            notes.warn(
                f"{models}: what lies beyond 60 degrees from the middle is left out of the straightened views"
            )
