"""From a folder on disk to SceneData: its cameras, photographs, points, and the views that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gspc.config import DataOptions
from gspc.data.backgrounds import choose_backing
from gspc.data.images import PixelCache
from gspc.data.layouts import ColmapLayout, TransformsLayout, find_layout
from gspc.data.masks import find_masks
from gspc.data.names import walk
from gspc.data.photos import Photographs, find_photographs
from gspc.data.points import Cloud, starting_points
from gspc.data.report import Notes, SceneReport, counted
from gspc.data.shots import by_name
from gspc.data.sources import read_cloud, read_shots
from gspc.data.summary import report_of
from gspc.data.views import ViewMaker, Views
from gspc.errors import InputError
from gspc.scene import SceneData

REGISTERED = 0.9  # of the photographs at least should be in the model


@dataclass(frozen=True)
class Loaded:
    """A scene and what was understood of its files."""

    scene: SceneData
    report: SceneReport


def load_scene(path: Path, options: DataOptions | None = None, *, to_train: bool = True) -> SceneData:
    """The scene at `path`: a COLMAP model or transforms files with their photographs; see `understand`."""
    return understand(path, options, to_train=to_train).scene


def understand(path: Path, options: DataOptions | None = None, *, to_train: bool = True) -> Loaded:
    """The scene at `path` (see layouts.py for what may lie there), and a report of how it was read.

    Headers of all photographs are checked now, their pixels are decoded by View.load. A split of the scene's
    own (transforms_test.json, test_filenames) stands unless `hold` is 0; otherwise every hold-th view by name
    is a test view. `to_train` asks for at least one view that is not. What was mended or left out is in the
    scene's notes. Raises InputError, naming the file and what to do.
    """
    options = options or DataOptions()
    notes = Notes()
    layout = find_layout(path, notes)
    shots = by_name(read_shots(layout, notes))
    source = layout.model if isinstance(layout, ColmapLayout) else layout.train
    _enough(path if isinstance(layout, ColmapLayout) else source, len(shots))
    found = find_photographs(shots, _homes(layout, options), _root(layout, options), options, notes)
    if isinstance(layout, ColmapLayout):
        _say_unregistered(found, notes)
    masks = find_masks(found.shots, found.photos, found.home, layout.root, options.masks, notes)
    photos = [photo for photo in found.photos if photo is not None]
    backing = choose_backing(options.background, photos, notes)
    maker = ViewMaker(options, backing, PixelCache(round(options.image_cache * 1e9)), found.divisor)
    views = maker.views(found, masks, _homes(layout, options), notes)
    train, test = _split(source, found, views, options, to_train=to_train, notes=notes)
    scene_views = (*train, *test)
    cloud = starting_points(read_cloud(layout, notes), [view.camera for view in scene_views], notes)
    if to_train:
        _say_split(train, test, notes)
    scene = SceneData(
        _name(layout), train, test, cloud.positions, cloud.colors, backing.color, tuple(notes.lines)
    )
    return Loaded(scene, _report(layout, source, found, maker, cloud, scene, notes))


def _report(
    layout: ColmapLayout | TransformsLayout,
    source: Path,
    found: Photographs,
    maker: ViewMaker,
    cloud: Cloud,
    scene: SceneData,
    notes: Notes,
) -> SceneReport:
    kind = "COLMAP" if isinstance(layout, ColmapLayout) else "transforms"
    return report_of(scene, kind, source, found.home, maker.used, cloud.origin, notes)


def _homes(layout: ColmapLayout | TransformsLayout, options: DataOptions) -> tuple[Path, ...]:
    if options.images is not None:
        return (options.images,)
    return layout.homes if isinstance(layout, ColmapLayout) else (layout.root,)


def _root(layout: ColmapLayout | TransformsLayout, options: DataOptions) -> Path:
    return layout.root if options.images is None else options.images


def _name(layout: ColmapLayout | TransformsLayout) -> str:
    folder = layout.path if layout.path.is_dir() else layout.root
    return folder.resolve().name or "scene"


def _enough(path: Path, count: int) -> None:
    if count < 2:
        have = "only one camera" if count else "no cameras"
        raise InputError(f"{have}; a scene needs photographs from at least two places", source=str(path))


def _say_unregistered(found: Photographs, notes: Notes) -> None:
    """A warning when the model has few of the photographs: COLMAP could not place the others."""
    there = sum(1 for _ in walk(found.home))
    if len(found.shots) < REGISTERED * there:
        notes.warn(f"{found.home}: only {len(found.shots)} of {there} photographs have a camera in the model")


def _split(
    path: Path, found: Photographs, views: Views, options: DataOptions, *, to_train: bool, notes: Notes
) -> tuple[Views, Views]:
    """Training and test views: the scene's own split, else the first by name and every hold-th after it are
    for testing, none when 0."""
    parts = {shot.name: shot.part for shot in found.shots}
    own = tuple(view for view in views if parts[found.shot_of[view.camera.name]] == "test")
    asked = any(part == "test" for part in parts.values())
    if options.hold and asked and own:
        train = tuple(view for view in views if view not in own)
        if to_train and not train:
            raise InputError("no frames to train on", source=str(path))
        return train, own
    if options.hold and asked:
        notes.warn(
            f"{path}: no photograph of its held-out frames is there; holding out every {options.hold}th view"
        )
    hold = options.hold
    test = views[::hold] if hold else ()
    train = tuple(view for index, view in enumerate(views) if not hold or index % hold)
    if to_train and not train:
        raise InputError(f"--hold {hold} leaves no view to train on; hold out fewer", source=str(path))
    return train, test


def _say_split(train: Sequence[object], test: Sequence[object], notes: Notes) -> None:
    held = f"{len(test)} held out for eval" if test else "none held out"
    notes.say(f"{counted(len(train) + len(test), 'view')}: {len(train)} to train on, {held}")
