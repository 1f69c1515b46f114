"""Masks: which pixels of a photograph count. Black is what is to be ignored, in training and in scores.

Habits: COLMAP writes masks/NAME.png.png beside NAME.png, others masks/NAME.png; nerfstudio names them in its
frames (mask_path).
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gspc.data.exif import fits, upright
from gspc.data.images import Photo, PixelCache, decode, inspect_photo, reduce_image
from gspc.data.names import Index, folded, locate, plain
from gspc.data.report import Notes, counted, listed
from gspc.data.shots import Shot
from gspc.data.undistort import Straightener
from gspc.errors import InputError

NONE = Path("none")  # --masks none
FOLDERS = ("masks", "mask")


@dataclass(frozen=True)
class MaskLoader:
    """View.mask: [height, width], True where the photograph counts: where its mask is not black and its lens
    saw something."""

    mask: Photo | None
    width: int
    height: int
    straight: Straightener | None = None
    cache: PixelCache | None = field(default=None, compare=False, repr=False)

    def __call__(self) -> NDArray[np.bool_]:
        """What the cache holds; else decode, reduce or straighten. A pixel counts only when all of it does.

        Read-only, since others may hold it too. Raises InputError.
        """
        key = ("mask", self.mask, self.width, self.height, self.straight)
        kept = None if self.cache is None else self.cache.get(key)
        if kept is None:
            kept = self._made().view(np.uint8)
            kept.flags.writeable = False
            if self.cache is not None:
                self.cache.put(key, kept)
        return kept.view(np.bool_)

    def _made(self) -> NDArray[np.bool_]:
        counts = np.ones((self.height, self.width), bool) if self.straight is None else self.straight.valid()
        return counts if self.mask is None else counts & self._of_file(self.mask)

    def _of_file(self, mask: Photo) -> NDArray[np.bool_]:
        pixels = decode(mask).max(axis=2, keepdims=True)
        # Some tools write 0 and 1; soft edges count as masked.
        white = np.where(pixels > pixels.max() // 2, np.uint8(255), np.uint8(0))
        if self.straight is not None:
            return self.straight(white)[..., 0] == 255
        return _fitted(white, self.width, self.height)[..., 0] == 255


def _fitted(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Pixels [height, width, C]: reduced where they are more, repeated where they are fewer."""
    rows = np.arange(height) * len(pixels) // height if len(pixels) < height else slice(None)
    columns = np.arange(width) * pixels.shape[1] // width if pixels.shape[1] < width else slice(None)
    return reduce_image(pixels[rows][:, columns], width, height)


def find_masks(
    shots: Sequence[Shot],
    photos: Sequence[Photo | None],
    home: Path,
    root: Path,
    wish: Path | None,
    notes: Notes,
) -> tuple[Photo | None, ...]:
    """The mask of each photograph, or None. `wish` is --masks: a folder, or NONE.

    Masks that are damaged or of another shape than their photograph are left out, which `notes` learns.
    Raises InputError when the folder asked for is not there or has none.
    """
    if wish == NONE:
        return (None,) * len(shots)
    files = _files(shots, photos, home, root, wish, notes)
    result, broken = [], []
    for photo, file in zip(photos, files, strict=True):
        mask = None if file is None or photo is None else _usable(file, photo)
        if mask is None and file is not None and photo is not None:
            broken.append(str(file))
        result.append(mask)
    if broken:
        notes.leave_out(broken, "not a mask of its photograph's shape")
        notes.warn(f"{counted(len(broken), 'mask')} left out, damaged or of another shape: {listed(broken)}")
    found = sum(mask is not None for mask in result)
    if found:
        notes.say(
            f"{counted(found, 'mask')} for {counted(len(shots), 'photograph')}: black pixels do not count"
        )
    elif wish is not None:
        raise InputError(
            "no mask of any photograph (NAME.png or NAME.png.png); check --masks", source=str(wish)
        )
    return tuple(result)


def _files(
    shots: Sequence[Shot],
    photos: Sequence[Photo | None],
    home: Path,
    root: Path,
    wish: Path | None,
    notes: Notes,
) -> list[Path | None]:
    """Files that may be masks: those that the model names, else those of a folder of masks."""
    if wish is not None and not wish.is_dir():
        raise InputError("no such folder of masks; name another with --masks DIR", source=str(wish))
    named = [shot.mask for shot in shots]
    if wish is None and any(named):
        found = locate([name for name in named if name], [root, home], root).paths
        files = iter(found)
        result = [next(files) if name else None for name in named]
        missing = [str(name) for name, file in zip(named, result, strict=True) if name and file is None]
        if missing:
            notes.warn(
                f"{counted(len(missing), 'mask')} of the frames' mask_path not there: {listed(missing)}"
            )
        return result
    parents = dict.fromkeys((root, home.parent, home))
    folders = [wish] if wish else [parent / name for parent in parents for name in FOLDERS]
    folder = next((folder for folder in folders if folder.is_dir()), None)
    if folder is None:
        return [None] * len(shots)
    index = Index(folder)
    return [
        None if photo is None else _mask_of(index, shot, photo, home)
        for shot, photo in zip(shots, photos, strict=True)
    ]


def _mask_of(index: Index, shot: Shot, photo: Photo, home: Path) -> Path | None:
    """The mask of a photograph in a folder of masks, by the photograph's name or the model's."""
    names = [shot.name, plain(shot.file)]
    if photo.path.is_relative_to(home):
        names.insert(0, photo.path.relative_to(home).as_posix())
    names += [posixpath.basename(name) for name in names]
    for name in dict.fromkeys(names):
        for candidate in (f"{name}.png", f"{posixpath.splitext(name)[0]}.png", name):
            found = index.by_name.get(folded(candidate), ())
            if len(found) == 1:
                return index.folder / found[0]
    return None


def _usable(file: Path, photo: Photo) -> Photo | None:
    """The mask in a file, turned as its photograph is; None when damaged or of another shape."""
    try:
        mask = inspect_photo(file)
    except InputError:
        return None
    if photo.turned != 1 and not fits(mask, photo.width, photo.height):
        mask = upright(Photo(mask.path, mask.width, mask.height, mask.mode, mask.transparent, photo.turned))
    return mask if fits(mask, photo.width, photo.height) else None
