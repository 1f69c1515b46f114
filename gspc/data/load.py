"""From a folder on disk to SceneData: its kind, its held-out views, the size they are used at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gspc.config import DataOptions
from gspc.data import colmap, transforms
from gspc.data.images import (
    Photo,
    PhotoLoader,
    PixelCache,
    choose_background,
    find_photos,
    inspect_photo,
    target_size,
)
from gspc.errors import InputError
from gspc.format import usable
from gspc.scene import Camera, SceneData, View

Views = tuple[View, ...]


def load_scene(path: Path, options: DataOptions | None = None, *, to_train: bool = True) -> SceneData:
    """The scene at `path`: a COLMAP folder (sparse/0, sparse, or the model itself) or Blender transforms.

    Headers of all photographs are checked now, their pixels are decoded by View.load. A split of the
    scene's own (transforms_test.json) stands unless `hold` is 0; otherwise every hold-th view by name is
    a test view. `to_train` asks for at least one view that is not.
    Raises InputError, naming the file and what to do.
    """
    options = options or DataOptions()
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if (model := colmap.find_model(path)) is not None:
        return _load_colmap(path, model, options, to_train)
    if (files := transforms.find_files(path)) is not None:
        return _load_transforms(files, options, to_train)
    raise InputError(
        f"{path}: neither a COLMAP model (sparse/0/cameras.bin or .txt) nor a transforms.json is there"
    )


def _load_colmap(path: Path, model: Path, options: DataOptions, to_train: bool) -> SceneData:
    cameras, images = colmap.read_cameras(model)
    by_id = {camera.camera_id: camera for camera in cameras}
    shot = sorted((colmap.to_camera(image, by_id[image.camera_id]) for image in images), key=lambda c: c.name)
    _enough(path, len(shot))
    photos, reduced = _colmap_photos(path, model, shot, options)
    points = colmap.read_points(model)
    background = choose_background(options.background, photos)
    views = _views(shot, photos, 1 if reduced else options.resolution, background, _cache(options))
    train, test = _split(path, views, options.hold, to_train)
    return SceneData(_name(path), train, test, points.positions, points.colors, background)


def _load_transforms(files: transforms.TransformFiles, options: DataOptions, to_train: bool) -> SceneData:
    parts = [transforms.read_frames(file, options.images) for file in files.all]
    names = [frame.camera.name for part in parts for frame in part]
    _enough(files.train, len(names))
    if len(set(names)) != len(names):
        raise InputError(f"{files.train}: a frame is also in {files.test}; keep it in one of them")
    parts = [tuple(sorted(part, key=lambda frame: frame.camera.name)) for part in parts]
    photos = [tuple(inspect_photo(frame.path) for frame in part) for part in parts]
    background = choose_background(options.background, [photo for part in photos for photo in part])
    cache = _cache(options)
    views = [
        _views([frame.camera for frame in part], part_photos, options.resolution, background, cache)
        for part, part_photos in zip(parts, photos, strict=True)
    ]
    if files.test is None or options.hold == 0:
        every = tuple(view for part in views for view in part)
        train, test = _split(files.train, every, options.hold, to_train)
    else:
        train, test = views
        if to_train and not train:
            raise InputError(f"{files.train}: no frames to train on")
    cameras = [view.camera for view in (*train, *test)]
    positions, colors = transforms.read_points(files, cameras)
    return SceneData(_name(files.folder), train, test, positions, colors, background)


def _cache(options: DataOptions) -> PixelCache:
    return PixelCache(round(options.image_cache * 1e9))


def _name(path: Path) -> str:
    return path.resolve().name or "scene"


def _enough(path: Path, count: int) -> None:
    if count < 2:
        have = "only one camera" if count else "no cameras"
        raise InputError(f"{path}: {have}; a scene needs photographs from at least two places")


def _split(path: Path, views: Views, hold: int, to_train: bool) -> tuple[Views, Views]:
    """Training and test views: the first by name and every hold-th after it are for testing, none when 0."""
    test = views[::hold] if hold else ()
    train = tuple(view for index, view in enumerate(views) if not hold or index % hold)
    if to_train and not train:
        raise InputError(f"{path}: --hold {hold} leaves no view to train on; hold out fewer")
    return train, test


def _colmap_photos(
    path: Path, model: Path, cameras: Sequence[Camera], options: DataOptions
) -> tuple[tuple[Photo, ...], bool]:
    """Headers of the photographs and whether they are already reduced: --images, images_N that fits
    --resolution N, else images/, looked for beside `path` and above the model."""
    names = [camera.name for camera in cameras]
    if options.images is not None:
        return find_photos(options.images, names), False
    homes = list(dict.fromkeys((path, model, model.parent, model.parent.parent)))
    if options.resolution in (2, 4, 8):
        for home in homes:
            reduced = _reduced_photos(home / f"images_{options.resolution}", cameras, options.resolution)
            if reduced is not None:
                return reduced, True
    home = next((home for home in homes if (home / "images").is_dir()), path)
    return find_photos(home / "images", names), False


def _reduced_photos(folder: Path, cameras: Sequence[Camera], divisor: int) -> tuple[Photo, ...] | None:
    """Photographs already reduced by `divisor` to within a pixel; None where one is missing or differs."""
    if not all((folder / camera.name).is_file() for camera in cameras):
        return None
    photos = find_photos(folder, [camera.name for camera in cameras])
    for photo, camera in zip(photos, cameras, strict=True):
        if abs(photo.width - camera.width / divisor) >= 1 or abs(photo.height - camera.height / divisor) >= 1:
            return None
    return photos


def _views(
    cameras: Sequence[Camera],
    photos: Sequence[Photo],
    resolution: int | None,
    background: tuple[float, float, float],
    cache: PixelCache,
) -> Views:
    """One view per camera and photograph, at the training size."""
    views = []
    for camera, photo in zip(cameras, photos, strict=True):
        _check_aspect(camera, photo)
        width, height = target_size(photo.width, photo.height, resolution)
        loader = PhotoLoader(photo, width, height, background, cache)
        resized = camera.resized(width, height)
        if (problem := usable.camera_problem(resized)) is not None:  # no stream could hold it after training
            raise InputError(f"{photo.path}: its camera cannot be used: {problem}")
        views.append(View(resized, loader, photo.path))
    return tuple(views)


def _check_aspect(camera: Camera, photo: Photo) -> None:
    """The photograph must be the camera's image at some scale, up to rounding by a pixel."""
    scale = photo.width / camera.width
    slack = max(1.0, scale) * (1 + camera.height / camera.width)
    if abs(scale * camera.height - photo.height) > slack:
        raise InputError(
            f"{photo.path}: {photo.width}x{photo.height} pixels do not fit its camera of "
            f"{camera.width}x{camera.height}; use the photographs the model was made from"
        )
