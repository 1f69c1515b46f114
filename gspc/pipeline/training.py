"""Photographs, or a splat that stands in for them, to a model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gspc import extras
from gspc.config import DataOptions, FitOptions
from gspc.output import check_target
from gspc.pipeline.compressing import compress
from gspc.pipeline.photographs import noted
from gspc.pipeline.source import load_source
from gspc.pipeline.teaching import is_teacher, load_views, refuse_cameras, teach

if TYPE_CHECKING:
    from gspc.data import SceneReport
    from gspc.train import FitObserver, FitProgress, FitResult

TOLERANCE = 5.0  # per cent of a target size that a fit should land within


def fit(
    scene: str | os.PathLike[str],
    output: str | os.PathLike[str],
    data: DataOptions | None = None,
    options: FitOptions | None = None,
    observer: FitObserver | Callable[[FitProgress], object] | None = None,
) -> FitResult:
    """Trains a model of the photographs in `scene`, or of the splat that it is, and writes it to `output`,
    replacing what is there; see `gspc.train.fit`.

    `observer` is called with a FitProgress every few iterations. An object with the methods `message` (of a
    line of text) and `progress` is told of both. Raises UsageError, InputError, OutputError, BackendError;
    Stopped, a KeyboardInterrupt, after a checkpoint is saved. A fit that `options.pause_at` ends is not
    finished: the result's path is its checkpoint.

    How the photographs were read is noted in the model, so that they can be read alike to evaluate it.
    Straightened photographs are kept beside the checkpoint until the model is written, or in `data.cache` for
    good. Raises BackendError where torch is not installed.

    >>> import gspc
    >>> seen = []
    >>> options = gspc.FitOptions(iterations=20, levels=2)
    >>> result = gspc.fit("photos", "new.pt", options=options, observer=seen.append)
    >>> result.path.name, result.iterations, [state.iteration for state in seen]
    ('new.pt', 20, [10, 20])
    """
    extras.require("torch", "fit")
    from gspc.train import fit as train

    scene, output = Path(scene), Path(output)
    check_target(output, force=True)
    data, options, observer = data or DataOptions(), options or FitOptions(), _told(observer)
    beside = output.with_name(output.name + ".photos")
    data_now = replace(data, cache=data.cache or beside)
    photographs = load_views(scene, data_now, seed=options.seed, device=options.device)
    for note in photographs.notes:
        observer.message(f"warning: {note.text}" if note.warning else note.text)
    options = replace(options, coarse=options.coarse or _coarse(scene))
    made = noted(data, photographs) | _of_tile(scene, options.coarse)
    result = train(photographs, output, replace(options, metadata={**made, **options.metadata}), observer)
    if result.paused:
        return result
    if data.cache is None:
        shutil.rmtree(beside, ignore_errors=True)
    return result if options.target_size is None else _compared(result, options.target_size, observer)


def _coarse(scene: Path) -> Path | None:
    """The model that gspc tile said the fit of its folder starts from."""
    from gspc.tiles import coarse_of_folder

    return coarse_of_folder(scene)


def _of_tile(scene: Path, coarse: Path | None) -> dict[str, str]:
    """The metadata of a model of a tile: which block of a larger scene its streams are to hold, and which
    coarse model it was started from."""
    from gspc.format.tile import KEY
    from gspc.tiles import COARSE_KEY, tile_of_folder
    from gspc.train.coarse import digest_of

    tile = tile_of_folder(scene)
    found = {} if tile is None else {KEY: tile.to_text()}
    return found if coarse is None else found | {COARSE_KEY: digest_of(coarse)}


def _compared(result: FitResult, target: int, observer: FitObserver) -> FitResult:
    """The result with the bytes of its stream, whose distance from the target the observer hears."""
    size = len(compress(load_source(result.path)).data)
    missed = 100 * (size / target - 1)
    text = f"the stream takes {size:,} bytes, {missed:+.1f} % of the target of {target:,}"
    near = abs(missed) <= TOLERANCE
    observer.message(
        text if near else f"warning: {text}; more iterations or other --rate-weights come nearer"
    )
    return replace(result, stream_bytes=size)


class _Callback:
    """An observer that passes progress on and ignores messages."""

    def __init__(self, call: Callable[[FitProgress], object] | None) -> None:
        self.call = call

    def message(self, text: str) -> None:
        """Nothing: a program that wants to know passes an object."""

    def progress(self, progress: FitProgress) -> None:
        if self.call is not None:
            self.call(progress)


def _told(observer: FitObserver | Callable[[FitProgress], object] | None) -> FitObserver:
    return _Callback(observer) if observer is None or callable(observer) else observer


def understand(scene: Path, data: DataOptions) -> SceneReport:
    """What `fit` would make of the photographs in `scene`, or of the splat that it is, without training.
    Raises InputError."""
    from gspc.data import understand as read

    if is_teacher(scene):
        return teach(scene, data).report
    refuse_cameras(scene, data)
    return read(scene, data).report


def reconstruct(photographs: Path, observer: FitObserver) -> None:
    """Finds the cameras of a folder of photographs and keeps them there; see `gspc.data.reconstruct`."""
    from gspc.data.reconstruct import reconstruct as run

    run(photographs, observer.message)


def write_demo_scene(
    directory: Path, *, on_picture: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Writes the generated demo scene as a COLMAP directory; `on_picture` hears how many of how many pictures
    are drawn."""
    from gspc.data.demo import write_demo_scene as write

    write(directory, on_picture=on_picture)
