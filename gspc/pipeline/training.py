"""Photographs to a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.pipeline.photographs import noted

if TYPE_CHECKING:
    from gspc.config import DataOptions, FitOptions
    from gspc.train import FitObserver, FitResult


def fit(
    scene: Path, output: Path, data: DataOptions, options: FitOptions, observer: FitObserver
) -> FitResult:
    """Trains a model of the photographs in `scene` and writes it to `output`; see `gspc.train.fit`.

    How the photographs were read is noted in the model, so that they can be read alike to evaluate it.
    """
    from gspc.data import load_scene
    from gspc.train import fit as train

    photographs = load_scene(scene, data)
    made = noted(data, photographs)
    return train(photographs, output, replace(options, metadata={**made, **options.metadata}), observer)


def write_demo_scene(directory: Path) -> None:
    """Writes the generated demo scene as a COLMAP directory."""
    from gspc.data.demo import write_demo_scene as write

    write(directory)
