"""Photographs to a model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.pipeline.heldout import held_out_text

if TYPE_CHECKING:
    from gspc.config import DataOptions, FitOptions
    from gspc.data import SceneReport
    from gspc.scene import SceneData
    from gspc.train import FitObserver, FitResult


def fit(
    scene: Path, output: Path, data: DataOptions, options: FitOptions, observer: FitObserver
) -> FitResult:
    """Trains a model of the photographs in `scene` and writes it to `output`; see `gspc.train.fit`.

    How the photographs were read is noted in the model, so that they can be read alike to evaluate it.
    Straightened photographs are kept beside the checkpoint until the model is written, or in `data.cache` for
    good.
    """
    from gspc.data import load_scene
    from gspc.train import fit as train

    beside = output.with_name(output.name + ".photos")
    photographs = load_scene(scene, data if data.cache else replace(data, cache=beside))
    for note in photographs.notes:
        observer.message(f"warning: {note.text}" if note.warning else note.text)
    made = _metadata(photographs, data)
    result = train(photographs, output, replace(options, metadata={**made, **options.metadata}), observer)
    shutil.rmtree(beside, ignore_errors=True)
    return result


def _metadata(photographs: SceneData, data: DataOptions) -> dict[str, str]:
    """What evaluation needs to read the photographs as training did."""
    made = {
        "resolution": str(data.resolution or ""),
        "hold": str(data.hold),
        "background": "white" if min(photographs.background) > 0.5 else "black",
    }
    if photographs.test:
        made["held_out"] = held_out_text([view.camera.name for view in photographs.test])
    chosen = {"field": str(data.field), "exif": str(data.exif)}
    return made | {name: value for name, value in chosen.items() if value not in ("full", "auto")}


def understand(scene: Path, data: DataOptions) -> SceneReport:
    """What `fit` would make of the photographs in `scene`, without training. Raises InputError."""
    from gspc.data import understand as read

    return read(scene, data).report


def reconstruct(photographs: Path, observer: FitObserver) -> None:
    """Finds the cameras of a folder of photographs and keeps them there; see `gspc.data.reconstruct`."""
    from gspc.data.reconstruct import reconstruct as run

    run(photographs, observer.message)


def write_demo_scene(directory: Path) -> None:
    """Writes the generated demo scene as a COLMAP directory."""
    from gspc.data.demo import write_demo_scene as write

    write(directory)
