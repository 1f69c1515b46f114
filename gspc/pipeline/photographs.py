"""How photographs were read for training, noted in the model's metadata, so that they can be read alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gspc.config import Background, DataOptions
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.scene import SceneData


def noted(options: DataOptions, photographs: SceneData) -> dict[str, str]:
    """The metadata of a model: the options as they were given, and the background that was found."""
    from gspc.data.images import COLORS

    return {
        "resolution": str(options.resolution or ""),
        "hold": str(options.hold),
        "background": next(name for name, color in COLORS.items() if color == photographs.background),
    }


def as_trained(
    metadata: Mapping[str, str],
    *,
    resolution: int | None = None,
    hold: int | None = None,
    background: Background | None = None,
    images: Path | None = None,
) -> DataOptions:
    """How to read photographs: what is asked for, else what `noted` wrote, else the defaults.

    Metadata comes from a file: what makes no sense in it counts as not there.
    """
    from gspc.data.images import COLORS

    options = DataOptions()
    if resolution is None:
        resolution = _number(metadata, "resolution")
    if hold is None:
        hold = _number(metadata, "hold")
    found = next((name for name in COLORS if name == metadata.get("background")), options.background)
    return replace(
        options,
        resolution=resolution,
        hold=options.hold if hold is None else hold,
        background=background or found,
        images=images,
    )


def _number(metadata: Mapping[str, str], name: str) -> int | None:
    """The value of an option; None where there is none that the option would take."""
    text = metadata.get(name, "")
    if not text.isdecimal() or len(text) > 5:
        return None
    try:
        options: dict[str, Any] = {name: int(text)}
        DataOptions(**options)
    except UsageError:
        return None
    return options[name]
