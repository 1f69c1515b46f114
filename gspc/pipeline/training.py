"""Photographs, or a splat that stands in for them, to a model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.errors import UsageError
from gspc.pipeline.photographs import noted
from gspc.pipeline.teaching import is_teacher, teach

if TYPE_CHECKING:
    from gspc.config import DataOptions, FitOptions
    from gspc.data import SceneReport
    from gspc.scene import SceneData
    from gspc.train import FitObserver, FitResult


def fit(
    scene: Path, output: Path, data: DataOptions, options: FitOptions, observer: FitObserver
) -> FitResult:
    """Trains a model of the photographs in `scene`, or of the splat that it is, and writes it to `output`, as
    `gspc.train.fit` does.

    How the photographs were read is noted in the model, so that they can be read alike to evaluate it.
    Straightened photographs are kept beside the checkpoint until the model is written, or in `data.cache` for
    good.
    """
    from gspc.train import fit as train

    beside = output.with_name(output.name + ".photos")
    photographs = _views(scene, replace(data, cache=data.cache or beside), options)
    for note in photographs.notes:
        observer.message(f"warning: {note.text}" if note.warning else note.text)
    made = noted(data, photographs)
    result = train(photographs, output, replace(options, metadata={**made, **options.metadata}), observer)
    if data.cache is None:
        shutil.rmtree(beside, ignore_errors=True)
    return result


def _views(scene: Path, data: DataOptions, options: FitOptions) -> SceneData:
    from gspc.data import load_scene

    if is_teacher(scene):
        return teach(scene, data, seed=options.seed, device=options.device).scene
    _refuse_cameras(scene, data)
    return load_scene(scene, data)


def _refuse_cameras(scene: Path, data: DataOptions) -> None:
    if data.cameras is not None:
        raise UsageError(f"{scene}: is no splat, but photographs, which have cameras; leave out --cameras")


def understand(scene: Path, data: DataOptions) -> SceneReport:
    """What `fit` would make of the photographs in `scene`, or of the splat that it is, without training.
    Raises InputError."""
    from gspc.data import understand as read

    if is_teacher(scene):
        return teach(scene, data).report
    _refuse_cameras(scene, data)
    return read(scene, data).report


def reconstruct(photographs: Path, observer: FitObserver) -> None:
    """Finds the cameras of a folder of photographs and keeps them there; see `gspc.data.reconstruct`."""
    from gspc.data.reconstruct import reconstruct as run

    run(photographs, observer.message)


def write_demo_scene(directory: Path) -> None:
    """Writes the generated demo scene as a COLMAP directory."""
    from gspc.data.demo import write_demo_scene as write

    write(directory)
