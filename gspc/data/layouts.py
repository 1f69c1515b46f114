"""Where people keep cameras and photographs: every layout that COLMAP, nerfstudio and their relatives leave
behind.

Nothing is opened here but what tells two models apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gspc.data import colmap, kinds
from gspc.data.colmap.model import count_images, forms
from gspc.data.names import walk
from gspc.data.report import Notes, counted, listed
from gspc.errors import InputError

# Folders of photographs, as they are tried beside a model and above it.
PHOTO_FOLDERS = ("images", "input", "photos", "imgs", "rgb", "color", "train")


@dataclass(frozen=True)
class ColmapLayout:
    """A COLMAP model and the folders that may have its photographs, in the order they are tried."""

    path: Path  # what the user named
    root: Path  # the scene's folder: nothing outside is read by name
    model: Path
    homes: tuple[Path, ...]


@dataclass(frozen=True)
class TransformsLayout:
    """Transforms files of a scene; `test` and `val` are None where there are none."""

    path: Path
    root: Path
    train: Path
    test: Path | None = None
    val: Path | None = None


def find_layout(path: Path, notes: Notes) -> ColmapLayout | TransformsLayout:
    """What lies at `path`. Raises InputError that says what to do when there are no cameras."""
    if not path.exists():
        raise InputError("no such file or folder", source=str(path))
    if path.is_file():
        return _of_file(path)
    model, files = find_model(path, notes), find_transforms(path)
    if files is not None and (model is None or _prefer_transforms(path, model.model, files, notes)):
        return files
    if model is not None:
        return model
    raise _no_cameras(path)


def _of_file(path: Path) -> TransformsLayout:
    kind = kinds.look(path)
    if path.suffix.lower() == ".json" and not (kind and kind.instead):
        return TransformsLayout(path, path.parent, path)
    if kind is not None:
        raise InputError(f"is {kind.what}; {kind.advice}", source=str(path))
    raise InputError(
        "is no scene; name a folder with photographs and cameras, or a transforms.json", source=str(path)
    )


def find_transforms(path: Path) -> TransformsLayout | None:
    """transforms_train.json with its splits, or transforms.json, in the folder `path`."""
    files = {part: path / f"transforms{part}.json" for part in ("_train", "_test", "_val", "")}
    there = {part: file for part, file in files.items() if file.is_file()}
    if "_train" in there:
        return TransformsLayout(path, path, there["_train"], there.get("_test"), there.get("_val"))
    return TransformsLayout(path, path, there[""]) if "" in there else None


def _prefer_transforms(path: Path, model: Path, files: TransformsLayout, notes: Notes) -> bool:
    """Which of two camera sources is used: nerfstudio's file before the model it was made from, else COLMAP's
    model, unless none of its photographs is there."""
    if model.is_relative_to(path / "colmap"):
        return True
    try:
        _, images = colmap.read_cameras(model)
    except InputError as error:
        notes.warn(f"{error}; taking {files.train} instead")
        return True
    names = {image.name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0].lower() for image in images}
    there = {file.rpartition("/")[2].rpartition(".")[0].lower() for file in walk(path)}
    taken, other = (model, files.train) if names & there else (files.train, model)
    notes.warn(
        f"{path}: there are cameras in {files.train.name} and in {model.relative_to(path)}; taking "
        f"{taken.relative_to(path)}, name {other} to take the other"
    )
    return taken == files.train


def find_model(path: Path, notes: Notes | None = None) -> ColmapLayout | None:
    """The COLMAP model of the scene at `path`: of several, the one with most images, which `notes` learns."""
    for group in _groups(path):
        found = [folder for folder in group if forms(folder) is not None]
        if found:
            model = _largest(found, notes if notes is not None else Notes())
            return ColmapLayout(path, _root(path, model), model, _homes(path, model))
    half = next((f for group in _groups(path) for f in group if colmap.member(f, "cameras.bin")), None)
    half = half or next(
        (f for group in _groups(path) for f in group if colmap.member(f, "cameras.txt")), None
    )
    return ColmapLayout(path, path, half, _homes(path, half)) if half is not None else None


def _groups(path: Path) -> Iterator[tuple[Path, ...]]:
    """Folders that may hold the model, those before others first; models of one group compete."""
    yield (*_numbered(path / "sparse"), path / "sparse")
    yield (*_numbered(path), path)
    yield tuple(f for dense in (*_numbered(path / "dense"), path / "dense") for f in _sparse(dense))
    yield _sparse(path / "undistorted")
    yield (*_sparse(path / "colmap"), *_numbered(path / "colmap"), path / "colmap")
    yield _sparse(path / "distorted")
    yield _sparse(path / "reconstruction")


def _sparse(folder: Path) -> tuple[Path, ...]:
    return (*_numbered(folder / "sparse"), folder / "sparse")


def _numbered(folder: Path) -> tuple[Path, ...]:
    """Folders 0, 1, ... below `folder`, in that order."""
    if not folder.is_dir():
        return ()
    found = [entry for entry in folder.iterdir() if re.fullmatch(r"\d{1,6}", entry.name) and entry.is_dir()]
    return tuple(sorted(found, key=lambda entry: int(entry.name)))


def _largest(models: list[Path], notes: Notes) -> Path:
    """The model with most images; the first of those that have equally many."""
    if len(models) == 1:
        return models[0]
    counts = [count_images(model) for model in models]
    best = models[counts.index(max(counts))]
    others = [f"{model} with {count}" for model, count in zip(models, counts, strict=True) if model != best]
    notes.warn(
        f"{best}: the model with most images, {max(counts)}, of {len(models)}; not used: {listed(others)}"
    )
    return best


def _root(path: Path, model: Path) -> Path:
    """The scene's folder: what the user named, or the folder above the model where they named that."""
    if model not in (path, *_numbered(path)):
        return path
    root = model
    for name in (r"\d{1,6}", "sparse", "colmap|distorted"):
        if re.fullmatch(name, root.absolute().name):
            root = root.absolute().parent
    return root if root != model.absolute() else path


def _homes(path: Path, model: Path) -> tuple[Path, ...]:
    """Folders that may have the photographs of a model, those beside what the user named first."""
    above = [path, model, *list(model.absolute().parents)[:3]]
    bases = [base for base in dict.fromkeys(above) if _within(base, path, model)]
    names = (
        sorted(PHOTO_FOLDERS, key=lambda name: name != "input")
        if "distorted" in model.parts
        else PHOTO_FOLDERS
    )
    folders = [base / name for name in names for base in bases]
    return tuple(folder for folder in (*folders, *bases) if folder.is_dir()) or (path,)


def _within(base: Path, path: Path, model: Path) -> bool:
    root = _root(path, model).absolute()
    return base.absolute().is_relative_to(root)


def _no_cameras(path: Path) -> InputError:
    """What a folder without cameras is, and what makes it a scene."""
    photographs = list(walk(path))
    if photographs:
        return InputError(
            f"{counted(len(photographs), 'photograph')} and no cameras; add --reconstruct to "
            "find them "
            "(needs pip install 'gspc[colmap]'), or run COLMAP and give its folder (sparse/0)",
            source=str(path),
        )
    for name, what in _EXPORTS:
        if any(path.glob(name)):
            return InputError(what, source=str(path))
    stray = kinds.splat_in(path)
    if stray is not None and (kind := kinds.look(stray)) is not None:
        where = stray.relative_to(path).as_posix()
        return InputError(f"no photographs; {where} is {kind.what}; {kind.advice}", source=str(path))
    return InputError(
        "neither a COLMAP model (sparse/0/cameras.bin or .txt) nor a transforms.json is there; name a "
        "folder that has one",
        source=str(path),
    )


_EXPORTS = (
    ("keyframes", "a Polycam export; convert it with ns-process-data polycam and give its transforms.json"),
    ("*.r3d", "a Record3D export; convert it with ns-process-data record3d and give its transforms.json"),
    ("EXR_RGBD", "a Record3D export; convert it with ns-process-data record3d and give its transforms.json"),
    ("*.psx", "a Metashape project; export its cameras for COLMAP (File > Export > Export Cameras)"),
    ("*.rcproj", "a RealityCapture project; export its registration for COLMAP"),
    ("*.nvm", "a VisualSFM model; convert it with COLMAP (colmap model_converter)"),
    ("bundle.out", "a Bundler model; convert it with COLMAP"),
    ("poses_bounds.npy", "LLFF's poses; give the COLMAP model (sparse/0) that they were made from"),
    ("*.mp4", "a video; take photographs from it first, such as ffmpeg -i VIDEO -vf fps=2 photos/%04d.jpg"),
    ("*.mov", "a video; take photographs from it first, such as ffmpeg -i VIDEO -vf fps=2 photos/%04d.jpg"),
    ("*.MOV", "a video; take photographs from it first, such as ffmpeg -i VIDEO -vf fps=2 photos/%04d.jpg"),
    ("*.heic", "HEIC photographs, which cannot be decoded here; convert them to JPEG"),
    ("*.HEIC", "HEIC photographs, which cannot be decoded here; convert them to JPEG"),
)
