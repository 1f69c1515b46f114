"""Photographs, or a splat that stands in for them, to a model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.pipeline.photographs import noted
from gspc.pipeline.teaching import is_teacher, load_views, refuse_cameras, teach

if TYPE_CHECKING:
    from gspc.config import DataOptions, FitOptions
    from gspc.data import SceneReport
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
    data_now = replace(data, cache=data.cache or beside)
    photographs = load_views(scene, data_now, seed=options.seed, device=options.device)
    for note in photographs.notes:
        observer.message(f"warning: {note.text}" if note.warning else note.text)
    made = noted(data, photographs)
    result = train(photographs, output, replace(options, metadata={**made, **options.metadata}), observer)
    if data.cache is None:
        shutil.rmtree(beside, ignore_errors=True)
    return result


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


def write_demo_scene(directory: Path) -> None:
    """Writes the generated demo scene as a COLMAP directory."""
    from gspc.data.demo import write_demo_scene as write

    write(directory)
