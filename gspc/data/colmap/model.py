"""A COLMAP model from its folder, in either form, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gspc.data import ply
from gspc.data.colmap import binary
from gspc.data.colmap import text as text_form
from gspc.data.colmap.types import (
    MAX_COORDINATE,
    ColmapCamera,
    ColmapImage,
    ColmapModel,
    ColmapPoints,
    without_tracks,
)
from gspc.data.lens import check_lens
from gspc.data.report import Notes, counted, listed, spelled
from gspc.errors import InputError
from gspc.output import writing


def member(folder: Path, name: str) -> Path | None:
    """The file of that name in `folder`, whatever the case of its letters; None when there is none."""
    if (file := folder / name).is_file():
        return file
    if not folder.is_dir():
        return None
    found = sorted(path for path in folder.iterdir() if path.name.lower() == name.lower() and path.is_file())
    return found[0] if found else None


def forms(folder: Path) -> tuple[Path, Path] | None:
    """The files of cameras and images of the model in `folder`, binary before text; None when incomplete."""
    for suffix in ("bin", "txt"):
        cameras, images = member(folder, f"cameras.{suffix}"), member(folder, f"images.{suffix}")
        if cameras is not None and images is not None:
            return cameras, images
    return None


def _files(folder: Path) -> tuple[Path, Path]:
    """The files of cameras and images; InputError names the one that is missing."""
    found = forms(folder)
    if found is not None:
        return found
    known = next((f for s in ("bin", "txt") if (f := member(folder, f"cameras.{s}")) is not None), None)
    suffix = known.suffix if known is not None else ".bin"
    name = "images" if known is not None else "cameras"
    raise InputError(f"{folder / name}{suffix}: missing; a COLMAP model needs cameras and images")


def read_cameras(
    folder: Path, notes: Notes | None = None
) -> tuple[tuple[ColmapCamera, ...], tuple[ColmapImage, ...]]:
    """The cameras that images use, and the images that can be used, of the model in `folder`.

    Images that are listed twice, have no pose or no camera are left out, which `notes` learns.
    Raises InputError for files that are damaged and for cameras that cannot be used.
    """
    notes = notes if notes is not None else Notes()
    cameras_file, images_file = _files(folder)
    if _is_binary(images_file):
        cameras, listed_images = binary.read_cameras(cameras_file), binary.read_images(images_file)
    else:
        cameras = text_form.read_cameras(cameras_file, notes)
        listed_images = text_form.read_images(images_file, notes)
    images = _usable(images_file, listed_images, cameras, notes)
    used = {image.camera_id for image in images}
    chosen = tuple(camera for camera in cameras if camera.camera_id in used)
    if len({camera.camera_id for camera in chosen}) != len(chosen):
        raise InputError("two cameras share an id; the model file is corrupt", source=str(cameras_file))
    for camera in chosen:
        check_lens(f"{cameras_file}: camera {camera.camera_id}", camera.lens)
    return chosen, images


def count_images(folder: Path) -> int:
    """How many images the model in `folder` has, without reading more than that takes."""
    _, images = _files(folder)
    return binary.count_images(images) if _is_binary(images) else len(text_form.read_images(images, Notes()))


def _is_binary(file: Path) -> bool:
    return file.suffix.lower() == ".bin"


def _usable(
    path: Path, images: Sequence[ColmapImage], cameras: Sequence[ColmapCamera], notes: Notes
) -> tuple[ColmapImage, ...]:
    """The images with a sound name, pose and camera; the first of those with one name."""
    known = {camera.camera_id for camera in cameras}
    kept: dict[str, ColmapImage] = {}
    unusable: dict[str, list[str]] = {}
    for image in images:
        _check_name(path, image.name)
        if image.name in kept:
            notes.leave_out([image.name], "listed twice")
            notes.say(f"{path}: image {image.name} is listed twice; the first is used")
            continue
        why = _unusable(image, known)
        if why:
            unusable.setdefault(why, []).append(image.name)
        else:
            kept[image.name] = image
    for why, names in unusable.items():
        notes.leave_out(names, why)
        notes.warn(f"{path}: {counted(len(names), 'image')} left out, {why}: {listed(names)}")
    return tuple(kept.values())


def _unusable(image: ColmapImage, cameras: set[int]) -> str:
    """Why an image cannot be used; empty when it can."""
    pose = (*image.quaternion, *image.translation)
    if not all(np.isfinite(pose)) or np.linalg.norm(image.quaternion) < 1e-8:
        return "without a possible pose"
    if max(map(abs, image.translation)) > MAX_COORDINATE:
        return "at a position beyond 1e9 units"
    if image.camera_id not in cameras:
        return f"with a camera {image.camera_id} that is not in the model"
    return ""


def _check_name(path: Path, name: str) -> None:
    """Names are text; where they lead is the business of names.py. Raises InputError."""
    if not name or not spelled(name).isprintable():
        raise InputError(f"image name {name!r} is no file name; the model file is corrupt", source=str(path))


def find_points(folder: Path) -> Path | None:
    """The file of the model's point cloud, `points3D.ply` standing in where neither form is there."""
    names = ("points3D.bin", "points3D.txt", "points3D.ply")
    return next((file for name in names if (file := member(folder, name)) is not None), None)


def read_points(folder: Path, notes: Notes | None = None) -> ColmapPoints:
    """The point cloud of the model in `folder`, empty when there is none. Raises InputError for damage."""
    file = find_points(folder)
    if file is None:
        return without_tracks(np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    if file.suffix.lower() == ".ply":
        return without_tracks(*ply.read_point_cloud(file))
    if _is_binary(file):
        return binary.read_points(file)
    return text_form.read_points(file, notes if notes is not None else Notes())


def read_model(folder: Path) -> ColmapModel:
    """The whole model in `folder`; raises InputError."""
    cameras, images = read_cameras(folder)
    return ColmapModel(cameras, images, read_points(folder))


def write_model(folder: Path, model: ColmapModel, *, text: bool = False) -> None:
    """Write `model` to `folder` (made when missing) in binary or text form; raises OutputError."""
    writer = text_form if text else binary
    suffix = "txt" if text else "bin"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        writer.write_cameras(folder / f"cameras.{suffix}", model.cameras)
        writer.write_images(folder / f"images.{suffix}", model.images)
        writer.write_points(folder / f"points3D.{suffix}", model.points)
