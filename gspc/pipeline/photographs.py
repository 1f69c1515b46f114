"""How photographs were read for training, noted in the model's metadata, so that they can be read alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from gspc.choices import Background, Exif, LensField
from gspc.config import DataOptions
from gspc.errors import UsageError
from gspc.pipeline.heldout import held_out_text

if TYPE_CHECKING:
    from gspc.scene import SceneData


@dataclass(frozen=True)
class Wanted:
    """How to read the photographs; what is None comes from what training wrote into the file."""

    resolution: int | None = None
    hold: int | None = None
    background: Background | None = None
    images: Path | None = None
    masks: Path | None = None
    field: LensField | None = None
    exif: Exif | None = None
    cache: Path | None = None
    strict: bool = False
    cameras: Path | None = None


class Reading(TypedDict, total=False):
    """The fields of Wanted, as named arguments."""

    resolution: int | None
    hold: int | None
    background: Background | None
    images: Path | None
    masks: Path | None
    field: LensField | None
    exif: Exif | None
    cache: Path | None
    strict: bool
    cameras: Path | None


def noted(options: DataOptions, photographs: SceneData) -> dict[str, str]:
    """The metadata of a model: the options as they were given, the background that was found, and which views
    were held out. Options that few people need are left out at their defaults."""
    from gspc.data.backgrounds import COLORS

    made = {
        "resolution": str(options.resolution or ""),
        "hold": str(options.hold),
        "background": next(name for name, color in COLORS.items() if color == photographs.background),
    }
    if photographs.test:
        made["held_out"] = held_out_text(view.camera.name for view in photographs.test)
    if options.field != DataOptions.field:
        made["field"] = options.field
    if options.exif != DataOptions.exif:
        made["exif"] = options.exif
    return made


def as_trained(metadata: Mapping[str, str], wanted: Wanted | None = None) -> DataOptions:
    """How to read photographs: what is asked for, else what `noted` wrote, else the defaults.

    Metadata comes from a file: what makes no sense in it counts as not there.
    """
    wanted = wanted or Wanted()
    asked = {name: value for name, value in vars(wanted).items() if value is not None}
    return DataOptions(**{**_as_noted(metadata), **asked})


def _as_noted(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Options that `noted` wrote, without those that DataOptions would not take."""
    found: dict[str, Any] = {}
    for name in ("resolution", "hold", "background", "field", "exif"):
        text = metadata.get(name, "")
        value: Any = text
        if name in ("resolution", "hold"):
            if not text.isdecimal() or len(text) > 5:
                continue
            value = int(text)
        try:
            DataOptions(**{name: value})
        except UsageError:
            continue
        found[name] = value
    return found
