"""Files of training: the checkpoint to resume from and the finished `model.pt`. Both load with
`weights_only=True`, and nothing in them is used before its type is checked."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints

import torch
from torch import Tensor, nn

from gspc.errors import InputError
from gspc.format import limits, usable
from gspc.format.grid import GridPlane, GridSpec
from gspc.format.shape import ATTRIBUTES
from gspc.model.anchors import PER_ANCHOR, POSITION_CENTER, AnchorModel, ModelShape
from gspc.model.loaded import Loaded
from gspc.model.quantization import StepBase
from gspc.output import write_atomically
from gspc.recipe import ingredients
from gspc.scene import Camera, Frame

FORMAT = "gspc-model"
VERSION = 3
AGAIN = "run `gspc fit` again"
GAIN_UNIT = 1e-5  # dB, of gains in the file
MOST_SWELL = 3.0  # of a log scale; fits look no further than 1

# Limits of the sizes that no ingredient of a recipe is named after.
SIZE_LIMITS = {
    "offsets": (1, limits.MAX_OFFSETS),
    "pool_planes": (0, limits.MAX_PLANES),
    "refined": (0, 7),
}


@dataclass(frozen=True)
class Gains:
    """What parts of a model are worth: how far each raises the mean PSNR of the training views, in dB, the
    others being there; see `gspc.train.utility`."""

    refined: Tensor  # float32 [N, 3, S - 1]: features, scaling, offsets from the step of level t to the next
    fresh: Tensor  # float32 [N, K]: a Gaussian that appears after level 1, at its level; 0 for others
    anchors: Tensor  # float32 [N]: an anchor that appears at level 1, with its Gaussians of that level
    # Where only the best anchors are drawn: their share of the price of all, and by how much log scales of
    # Gaussians are then best larger.
    swell: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class TrainedModel:
    """What later stages need of a fit."""

    model: AnchorModel
    cameras: tuple[Camera, ...]  # suggested views
    background: tuple[float, float, float]
    metadata: dict[str, str]
    frame: Frame = field(default_factory=Frame)  # of the user's coordinates, which cameras are in
    gains: Gains | None = None  # None: never measured


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


def model_from(values: Loaded) -> AnchorModel:
    """The reverse of `model_to_dict`. Raises InputError for anything that is not as it should be."""
    shape, spec, state = _shape(values["shape"]), _grid(values["grid"]), values["state"]
    positions = _positions(state["positions"])
    origin = state["origin"].tensor((3,), torch.float64)
    entries = (spec.total_entries, spec.features_per_entry)
    state["grid.embeddings"].tensor(entries, torch.float32)  # before a model allocates as many
    if (reason := shape.stream(spec).error()) is not None:
        raise values["shape"].error(f"has sizes that no stream may have: {reason}")
    voxel_size, distance_scale = values["voxel_size"].positive(), values["distance_scale"].positive()
    with torch.random.fork_rng(devices=[]):  # the state replaces the first weights: nothing is drawn
        model = AnchorModel(shape, spec, voxel_size, origin, distance_scale, anchors=0)
    _check_state(state, model.state_dict(), len(positions))
    model.positions = positions
    for name in PER_ANCHOR:
        setattr(model, name, nn.Parameter(state[name].value))
    model.load_state_dict(dict(state.table()))
    return model


def _shape(values: Loaded) -> ModelShape:
    found: dict[str, Any] = {}
    kinds, known = get_type_hints(ModelShape), ingredients()
    for name in (entry.name for entry in fields(ModelShape)):
        value, about = values[name], known.get(name)
        if kinds[name] is bool:
            found[name] = value.switch()
        elif kinds[name] is int:
            low, high = SIZE_LIMITS[name] if about is None else (about.low, about.high)
            found[name] = value.whole(low, high)
        elif about is not None and about.choices:
            found[name] = value.text(about.choices)
    weights = values["rate_weights"].items(found["levels"])
    found["rate_weights"] = tuple(weight.number(0) for weight in weights)
    steps = values["step_base"]
    found["step_base"] = StepBase(*(steps[name].positive() for name in ("features", "scaling", "offsets")))
    assert found.keys() == kinds.keys(), "a field of a shape is not read"
    if found["pool_planes"] and not found["pool"]:
        raise values["pool_planes"].error("is given, but there is no pool")
    return ModelShape(**found)


def _grid(values: Loaded) -> GridSpec:
    def whole(value: Loaded, count: int) -> tuple[Any, ...]:
        return tuple(part.whole() for part in value.items(count))

    try:
        return GridSpec(
            box_low=whole(values["box_low"], 3),
            box_size=whole(values["box_size"], 3),
            planes=tuple(GridPlane(*whole(plane, 3)) for plane in values["planes"].items()),
        )
    except ValueError as error:
        raise values.error(f"is beyond what a grid may have ({error})") from error


def _positions(value: Loaded) -> Tensor:  # -> int32 [N, 3]
    anchors = len(value.value) if isinstance(value.value, Tensor) and value.value.ndim else 0
    positions = value.tensor((anchors, 3), torch.int32)
    if not anchors:
        raise value.error("has no anchors")
    if int(positions.min()) < 0 or int(positions.max()) >= 2 * POSITION_CENTER:
        raise value.error("lies outside the 21 bits per axis that positions have")
    return positions


def _check_state(state: Loaded, like: dict[str, Tensor], anchors: int) -> None:
    """Raises InputError unless the tensors are those of `like`, a model without anchors, and as many."""
    for name, tensor in like.items():
        rows = (anchors,) if name in ("positions", *PER_ANCHOR) else tensor.shape[:1]
        state[name].tensor((*rows, *tensor.shape[1:]), tensor.dtype)
    for name in state.names():
        if name not in like:
            raise state.error(f"has {name}, which its model does not")


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


def load(source: Path | bytes, name: str, expected: str, version: int, advice: str) -> Loaded:
    """Reads a file of ours of the kind `expected`; `advice` says what to do about one that is unusable.

    Raises InputError when it is not one, is damaged, or is of another version.
    """
    try:
        file: Any = io.BytesIO(source) if isinstance(source, bytes) else source
        # torch's reader does not look at the checksums of the archive that it reads.
        with zipfile.ZipFile(file) as archive:
            if (bad := archive.testzip()) is not None:
                raise ValueError(bad)
        if isinstance(file, io.BytesIO):
            file.seek(0)
        values = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError("no such file", source=name) from error
    except Exception as error:  # damaged bytes make torch's reader raise nearly anything
        raise InputError(f"not a {expected} file, or damaged; {advice}", source=name) from error
    if not isinstance(values, dict) or values.get("format") != expected:
        raise InputError(f"not a {expected} file; give the output of `gspc fit`", source=name)
    loaded = Loaded(values, name, advice)
    if (found := loaded["version"].whole()) != version:
        raise InputError(
            f"written by another version of gspc (format {found}, here {version}); {advice}", source=name
        )
    return loaded


def save_model(path: Path, trained: TrainedModel) -> None:
    """Writes `model.pt`."""
    values = {
        "format": FORMAT,
        "version": VERSION,
        "model": model_to_dict(trained.model),
        "cameras": [camera.to_plain() for camera in trained.cameras],
        "background": list(trained.background),
        "metadata": dict(trained.metadata),
        "frame": trained.frame.to_plain(),
    }
    if trained.gains is not None:
        gains = {name: _short(getattr(trained.gains, name)) for name in ("refined", "fresh", "anchors")}
        values["gains"] = gains | {"swell": [list(pair) for pair in trained.gains.swell]}
    save(path, values)


def _short(gains: Tensor) -> Tensor:
    """Gains [...] in `GAIN_UNIT` at half precision: ranking asks for no more."""
    most = torch.finfo(torch.float16).max
    return (gains / GAIN_UNIT).clamp(-most, most).half()


def _gains(values: Loaded, model: AnchorModel) -> Gains:
    def read(name: str, *shape: int) -> Tensor:
        return values[name].tensor((model.anchors, *shape), torch.float16).float() * GAIN_UNIT

    levels, offsets = model.shape.levels, model.shape.offsets
    swell = []
    for pair in values["swell"].items() if "swell" in values.names() else ():  # earlier builds measured none
        share, more = pair.items(2)
        swell.append((share.number(1e-6, 1), more.number(0, MOST_SWELL)))
    return Gains(
        read("refined", len(ATTRIBUTES), levels - 1), read("fresh", offsets), read("anchors"), tuple(swell)
    )


def _camera(values: Loaded) -> Camera:
    values["name"].text()
    for side in values["size"].items(2):
        side.whole()
    for number in values["intrinsics"].items(4):
        number.number()
    try:
        camera = Camera.from_plain(values.table())
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise values.error(f"is no camera ({error})") from error
    if (problem := usable.camera_problem(camera)) is not None:
        raise values.error(f"cannot be used: {problem}")
    return camera


def frame_from(values: Loaded) -> Frame:
    """A frame of the user's coordinates. Raises InputError."""
    values["scale"].positive()
    for row in values["rotation"].items(3):
        for number in row.items(3):
            number.number()
    for number in values["translation"].items(3):
        number.number()
    frame = Frame.from_plain(values.table())
    if (problem := usable.frame_problem(frame)) is not None:
        raise values.error(f"cannot be used: {problem}")
    return frame


def load_model(source: Path | bytes, name: str = "model") -> TrainedModel:
    """Reads `model.pt`. Raises InputError."""
    values = load(source, str(source) if isinstance(source, Path) else name, FORMAT, VERSION, AGAIN)
    red, green, blue = (part.number(0, 1) for part in values["background"].items(3))
    metadata = values["metadata"]
    texts = {key: metadata[key].text() for key in metadata.names()}
    cameras = tuple(_camera(camera) for camera in values["cameras"].items())
    # Models of earlier builds were trained in the user's coordinates.
    frame = frame_from(values["frame"]) if "frame" in values.names() else Frame()
    model = model_from(values["model"])
    gains = _gains(values["gains"], model) if "gains" in values.names() else None
    return TrainedModel(model, cameras, (red, green, blue), texts, frame, gains)
