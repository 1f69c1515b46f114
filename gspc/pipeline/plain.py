"""Plain splats of other tools as an input: what is in them, and pictures of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gspc.errors import UsageError
from gspc.format.limits import MAX_MEMORY
from gspc.pipeline.source import Source, naming

if TYPE_CHECKING:
    from gspc.rendering.frames import Drawing
    from gspc.scene import F64, Camera
    from gspc.splats import Splats


@dataclass(frozen=True)
class PlainScene:
    """Splats in gspc's own axes, and cameras to see them from; the files suggest none."""

    splats: Splats
    cameras: tuple[Camera, ...]


def read_plain(source: Source, *, frame: str | None = None) -> Splats:
    """The Gaussians of an input in the axes it has, or in those that `frame` says it has. Raises InputError
    for anything else than a splat, UsageError for a frame that is none."""
    from gspc.errors import InputError
    from gspc.splats import read_splats

    with naming(source.name):
        if source.kind != "splats":
            raise InputError("is no splat of another tool")
        return read_splats(source.data, frame=frame)


def plain_scene(source: Source, *, frame: str | None = None) -> PlainScene:
    """A splat to render, with cameras on a circle around it."""
    from gspc.splats import HOME, orbit, to_frame

    splats = to_frame(read_plain(source, frame=frame), HOME)
    return PlainScene(splats, orbit(splats))


def drawing(scene: PlainScene, device: str = "cpu", max_memory: int = MAX_MEMORY) -> Drawing:
    """What draws a splat over black. Raises BackendError, InputError."""
    from gspc.splats import SplatRenderer

    return SplatRenderer(scene.splats, device, max_memory=max_memory)


def plain_facts(splats: Splats) -> list[tuple[str, str]]:
    """What `inspect` says about a splat."""
    low, high = splats.means.min(axis=0), splats.means.max(axis=0)
    opacities = splats.opacities
    facts = [
        ("format", splats.metadata.get("format", "unknown")),
        ("Gaussians", f"{splats.count:,}"),
        ("harmonics", f"degree {splats.degree}"),
        ("axes", f"{splats.frame} by the format's habit"),
        ("from", _point(low)),
        ("to", _point(high)),
        ("opacity", f"mean {float(opacities.mean()):.3f}, {int((opacities < 1 / 255).sum()):,} invisible"),
    ]
    return facts + [(key, value) for key, value in splats.metadata.items() if key != "format"]


def plain_values(splats: Splats) -> dict[str, Any]:
    """The same as numbers."""
    return {
        "format": splats.metadata.get("format", "unknown"),
        "gaussians": splats.count,
        "degree": splats.degree,
        "axes": splats.frame,
        "low": [float(value) for value in splats.means.min(axis=0)],
        "high": [float(value) for value in splats.means.max(axis=0)],
        "mean_opacity": float(splats.opacities.mean()),
        "invisible": int((splats.opacities < 1 / 255).sum()),
        "metadata": dict(splats.metadata),
    }


def _point(values: F64) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def refuse_scene_options(name: str, options: Sequence[tuple[str, bool]]) -> None:
    """Raises UsageError for the first option that was given and means nothing for splats."""
    for option, given in options:
        if given:
            raise UsageError(f"is a splat of another tool, for which {option} means nothing", source=name)


def write_unbundled(data: bytes, folder: Path, *, force: bool) -> None:
    """A SOG's zip as files in `folder`, meta.json last. Raises OutputError before anything is written."""
    from gspc.output import check_target, write_atomically
    from gspc.splats import unbundle

    files = unbundle(data)
    for name in files:
        check_target(folder / name, force=force)
    for name, content in files.items():
        write_atomically(folder / name, content)
