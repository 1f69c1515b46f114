"""The photographs of a scene's shots: found, checked and turned, with what cannot be used left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gspc.config import DataOptions
from gspc.data import kinds
from gspc.data.exif import choose, fits
from gspc.data.images import Photo, decode, inspect_photo, intact
from gspc.data.layouts import PHOTO_FOLDERS
from gspc.data.names import Located, locate
from gspc.data.report import Notes, counted, listed
from gspc.data.shots import Shot
from gspc.errors import InputError

CHECKED_PIXELS = 100e6  # of all photographs together that are decoded up front to know that they can be
WAYS = {
    "case": "with letters of another case or form",
    "suffix": "with another suffix",
    "path": "in another folder",
}


@dataclass(frozen=True)
class Photographs:
    """The photograph of each shot, None where it cannot be used."""

    shots: tuple[Shot, ...]  # names of views complete with their suffix
    photos: tuple[Photo | None, ...]
    home: Path
    divisor: int = 1  # photographs are reduced by this already
    shot_of: dict[str, str] = field(
        default_factory=dict
    )  # name of a view -> that of its shot, once views are made


def name_shots(shots: Sequence[Shot], located: Located) -> tuple[Shot, ...]:
    """Shots named with the suffix of their photograph where the model leaves it out (Blender files do so)."""
    result = []
    for shot, path in zip(shots, located.paths, strict=True):
        bare = not re.search(r"\.[A-Za-z][A-Za-z0-9]{1,4}$", shot.name)
        result.append(replace(shot, name=shot.name + (path.suffix if path else ".png")) if bare else shot)
    return tuple(result)


def find_photographs(
    shots: Sequence[Shot], homes: Sequence[Path], root: Path, options: DataOptions, notes: Notes
) -> Photographs:
    """Photographs of `shots` in the first home that has most of them, or in images_N where --resolution asks
    for that or there is nothing else.

    Raises InputError when too many are missing or damaged.
    """
    files = [shot.file for shot in shots]
    located, divisor = locate(files, homes, root), 1
    if options.images is None:
        located, divisor = _reduced(shots, files, homes, root, options.resolution, located, notes)
    if not located.found:
        raise _nothing(files, homes, located, root, options)
    for way, (count, name, path) in located.ways.items():
        notes.say(f"{counted(count, 'photograph')} found {WAYS[way]} than the model says: {name} is {path}")
    shots = name_shots(shots, located)
    photos, problems = _inspect(shots, located)
    if sum(p.width * p.height for p in photos if p) <= CHECKED_PIXELS:
        photos = _decodable(shots, photos, problems)
    photos = _turned(shots, photos, options, notes)
    _leave_out(shots, problems, located.home, options, notes)
    return Photographs(shots, tuple(photos), located.home, divisor)


def _inspect(shots: Sequence[Shot], located: Located) -> tuple[list[Photo | None], dict[str, str]]:
    """Headers of the photographs, and what is wrong with those that have none: name -> reason."""
    photos: list[Photo | None] = []
    problems: dict[str, str] = {}
    for shot, path in zip(shots, located.paths, strict=True):
        photo = None
        if path is None:
            problems[shot.name] = "missing"
        else:
            try:
                photo = inspect_photo(path)
                if not intact(path):
                    decode(photo)
            except InputError as error:
                photo = None
                problems[shot.name] = _reason(path, error)
        photos.append(photo)
    return photos, problems


def _reason(path: Path, error: InputError) -> str:
    """Why a photograph cannot be used, in a few words for the line that names several."""
    kind = kinds.look(path)
    if kind is not None and not kind.image:
        return f"{kind.what} ({kind.advice})"
    if not path.stat().st_size:
        return "an empty file"
    return f"damaged ({str(error).removeprefix(f'{path}: ').partition(';')[0]})"


def _decodable(
    shots: Sequence[Shot], photos: Sequence[Photo | None], problems: dict[str, str]
) -> list[Photo | None]:
    """The photographs whose pixels can be decoded."""
    result: list[Photo | None] = []
    for shot, photo in zip(shots, photos, strict=True):
        kept = photo
        if photo is not None:
            try:
                decode(photo)
            except InputError as error:
                kept = None
                problems[shot.name] = _reason(photo.path, error)
        result.append(kept)
    return result


def _leave_out(
    shots: Sequence[Shot], problems: dict[str, str], home: Path, options: DataOptions, notes: Notes
) -> None:
    """One line on the photographs that are left out; InputError when too many are.

    Held-out photographs that are absent make no scene unusable, as data sets often come without them.
    """
    if not problems:
        return
    needed = [shot for shot in shots if shot.part != "test"]
    lost = [shot.name for shot in needed if shot.name in problems]
    few = len(shots) - len(problems) < min(3, len(shots)) or len(needed) - len(lost) < min(2, len(needed))
    text = f"{len(problems)} of {counted(len(shots), 'photograph')} {_why(problems)}"
    if options.strict or few or 10 * len(lost) > len(needed):
        strict = " (--strict)" if options.strict and not few and 10 * len(lost) <= len(needed) else ""
        raise InputError(
            f"{text}{strict}; add or replace them, or name another folder with --images DIR",
            source=str(home),
        )
    for name, why in problems.items():
        notes.leave_out([name], why)
    notes.warn(f"{home}: {text}; left out")


def _why(problems: dict[str, str]) -> str:
    """`cannot be used: a.png (missing), ...`, with one reason said once."""
    reasons = set(problems.values())
    if len(reasons) == 1:
        verb = "is" if len(problems) == 1 else "are"
        return f"{verb} {reasons.pop()}: {listed(list(problems))}"
    return "cannot be used: " + listed([f"{name} ({why})" for name, why in problems.items()])


def _turned(
    shots: Sequence[Shot], photos: Sequence[Photo | None], options: DataOptions, notes: Notes
) -> list[Photo | None]:
    """The photographs the way up that their cameras saw them."""
    result, turned, unclear = [], [], []
    for shot, photo in zip(shots, photos, strict=True):
        if photo is None or photo.orientation == 1:
            result.append(photo)
            continue
        width, height = shot.size or (photo.width, photo.height)
        chosen, open_choice = choose(photo, width, height, options.exif)
        open_choice |= shot.size is None and options.exif == "auto"
        result.append(chosen)
        if chosen.turned != 1:
            turned.append(shot.name)
        elif open_choice:
            unclear.append(shot.name)
    if turned:
        notes.say(
            f"{counted(len(turned), 'photograph')} turned as the EXIF orientation says, which fits the "
            "cameras: "
            f"{listed(turned)}"
        )
    if unclear:
        notes.warn(
            f"{counted(len(unclear), 'photograph')} with an EXIF orientation that the cameras' sizes cannot "
            f"confirm, used as stored: {listed(unclear)}; --exif apply turns them, --exif ignore is silent"
        )
    return result


def _reduced(
    shots: Sequence[Shot],
    files: Sequence[str],
    homes: Sequence[Path],
    root: Path,
    resolution: int | None,
    full: Located,
    notes: Notes,
) -> tuple[Located, int]:
    """images_N in place of the photographs, where that is asked for and fits, or nothing else is there."""
    folders = _reduced_folders(homes, root)
    if resolution in (2, 4, 8):
        for folder in folders.get(resolution, ()):
            found = locate(files, [folder], folder)
            if found.found >= max(full.found, 1) and _is_reduced(shots, found, resolution):
                return found, resolution
    if full.found:
        return full, 1
    order = sorted(folders, key=lambda divisor: (divisor != resolution, divisor))
    for divisor in order:
        for folder in folders[divisor]:
            found = locate(files, [folder], folder)
            if found.found and _is_reduced(shots, found, divisor):
                if divisor != resolution:
                    notes.warn(f"{folder}: used as it is, since the photographs of full size are not there")
                return found, divisor
    return full, 1


def _reduced_folders(homes: Sequence[Path], root: Path) -> dict[int, list[Path]]:
    """Divisor -> folders named images_N beside the homes."""
    result: dict[int, list[Path]] = {}
    for base in dict.fromkeys((root, *homes, *(home.parent for home in homes))):
        if base.is_dir() and base.absolute().is_relative_to(root.absolute()):
            for folder in sorted(base.glob("images_[0-9]*")):
                divisor = folder.name.partition("_")[2]
                if divisor.isdecimal() and int(divisor) > 1 and folder.is_dir():
                    result.setdefault(int(divisor), []).append(folder)
    return result


def _is_reduced(shots: Sequence[Shot], located: Located, divisor: int) -> bool:
    """Whether the photographs found are their cameras' pictures reduced by `divisor` to within a pixel."""
    for shot, path in zip(shots, located.paths, strict=True):
        if path is None or shot.size is None:
            continue
        try:
            photo = inspect_photo(path)
        except InputError:
            continue
        width, height = shot.size
        if abs(photo.width - width / divisor) >= 1 or abs(photo.height - height / divisor) >= 1:
            return False
    return True


def _nothing(
    files: Sequence[str], homes: Sequence[Path], located: Located, root: Path, options: DataOptions
) -> InputError:
    """Why there is no photograph at all."""
    if options.images is not None and not options.images.is_dir():
        return InputError(
            "no such folder of photographs; name it with --images DIR", source=str(options.images)
        )
    folder = next((home for home in homes if home.name in PHOTO_FOLDERS), None)
    if folder is None and options.images is None:
        return InputError(
            "no such folder of photographs; name it with --images DIR", source=str(root / "images")
        )
    return InputError(
        f"none of the {counted(len(files), 'photograph')} is there "
        f"({listed(files)}); "
        "name their folder with --images DIR",
        source=str(folder or located.home),
    )


def misfit(shot: Shot, photo: Photo, size: tuple[int, int], homes: Sequence[Path]) -> InputError:
    """A photograph that is not its camera's picture, and the folder that has one that is."""
    width, height = size
    advice = "use the photographs the model was made from"
    for folder in _siblings(photo, homes):
        other = locate([shot.file], [folder], folder).paths[0]
        if other is not None and other != photo.path:
            try:
                fitting = fits(inspect_photo(other), width, height)
            except InputError:
                continue
            if fitting:
                advice = f"those in {folder} fit: --images {folder}"
                break
    return InputError(
        f"{photo.width}x{photo.height} pixels do not fit its camera of {width}x{height}; {advice}",
        source=str(photo.path),
    )


def _siblings(photo: Photo, homes: Sequence[Path]) -> list[Path]:
    """Folders beside and below that of the photographs, which may have others."""
    above = [home for home in homes if photo.path.is_relative_to(home)]
    home = max(above, key=lambda folder: len(folder.parts), default=photo.path.parent)
    near = [folder for base in (home.parent, home) for folder in sorted(base.iterdir()) if folder.is_dir()]
    return [folder for folder in dict.fromkeys((*homes, *near)) if folder != home][:50]
