"""Files of training: the checkpoint to resume from and the finished `model.pt`. Both load with
`weights_only=True`."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from gspc.errors import InputError
from gspc.format.grid import GridPlane, GridSpec
from gspc.model.anchors import AnchorModel, ModelShape
from gspc.output import write_atomically
from gspc.scene import Camera

FORMAT = "gspc-model"
VERSION = 3


@dataclass(frozen=True)
class TrainedModel:
    """What later stages need of a fit."""

    model: AnchorModel
    cameras: tuple[Camera, ...]  # suggested views
    background: tuple[float, float, float]
    metadata: dict[str, str]


def model_to_dict(model: AnchorModel) -> dict[str, Any]:
    """Shape and tensors of a model."""
    spec = model.grid.spec
    return {
        "shape": model.shape.to_dict(),
        "grid": {
            "box_low": list(spec.box_low),
            "box_size": list(spec.box_size),
            "planes": [list(plane) for plane in spec.planes],
        },
        "voxel_size": model.voxel_size,
        "distance_scale": model.heads.distance_scale,
        "state": model.state_dict(),
    }


def model_from_dict(values: dict[str, Any]) -> AnchorModel:
    """The reverse of `model_to_dict`."""
    grid = values["grid"]
    spec = GridSpec(
        box_low=tuple(grid["box_low"]),
        box_size=tuple(grid["box_size"]),
        planes=tuple(GridPlane(*plane) for plane in grid["planes"]),
    )
    state = values["state"]
    model = AnchorModel(
        ModelShape.from_dict(values["shape"]),
        spec,
        values["voxel_size"],
        state["origin"],
        values["distance_scale"],
        len(state["positions"]),
    )
    model.load_state_dict(state)
    return model


def save(path: Path, values: dict[str, Any]) -> None:
    """Writes whole or not at all: a killed process leaves the file before. Raises OutputError."""
    write_atomically(path, lambda file: _write(values, file))


def _write(values: dict[str, Any], file: BinaryIO) -> None:
    try:
        torch.save(values, file)
    except RuntimeError as error:  # how torch's zip writer passes on what the file says, on its way out
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load(source: Path | bytes, name: str, expected: str) -> dict[str, Any]:
    """Reads a file of ours. Raises InputError when it is not one, is damaged, or is of a newer version."""
    try:
        file: Any = io.BytesIO(source) if isinstance(source, bytes) else source
        values = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError("no such file", source=name) from error
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        ValueError,
        KeyError,
    ) as error:
        raise InputError("not a gspc model, or damaged; run `gspc fit` again", source=name) from error
    if not isinstance(values, dict) or values.get("format") != expected:
        raise InputError(f"not a {expected} file; give the output of `gspc fit`", source=name)
    if values.get("version") != VERSION:
        raise InputError(
            f"written by another version of gspc (format {values.get('version')}, here {VERSION})",
            source=name,
        )
    return values


def save_model(path: Path, trained: TrainedModel) -> None:
    """Writes `model.pt`."""
    save(
        path,
        {
            "format": FORMAT,
            "version": VERSION,
            "model": model_to_dict(trained.model),
            "cameras": [camera.to_plain() for camera in trained.cameras],
            "background": list(trained.background),
            "metadata": dict(trained.metadata),
        },
    )


def load_model(source: Path | bytes, name: str = "model") -> TrainedModel:
    """Reads `model.pt`. Raises InputError."""
    values = load(source, str(source) if isinstance(source, Path) else name, FORMAT)
    try:
        return TrainedModel(
            model=model_from_dict(values["model"]),
            cameras=tuple(Camera.from_plain(camera) for camera in values["cameras"]),
            background=tuple(values["background"]),
            metadata=dict(values["metadata"]),
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"incomplete gspc model ({error}); run `gspc fit` again", source=name) from error
