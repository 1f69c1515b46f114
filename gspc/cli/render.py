"""`gspc render`: a scene to pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gspc.cli import console, options, targets

if TYPE_CHECKING:
    from gspc.scene import Camera

EXAMPLE = "gspc render scene.pcgs --upto 1 --view 0 -o view.png"


def command(
    source: options.Input = None,
    cameras: Annotated[
        Path | None,
        typer.Option(
            "--cameras", metavar="DIR", help="Cameras of this COLMAP directory instead of the suggested ones."
        ),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option(
            "--view", metavar="NAME|INDEX", help="One view, by name or by its number counted from 0."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="WxH", help="Size of the pictures in pixels; the height may be left out."
        ),
    ] = None,
    upto: options.Upto = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="DIR|FILE.png|-", help="A directory, or for one view a PNG or stdout."
        ),
    ] = "renders",
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = "4GB",
    force: options.Force = False,
) -> None:
    """Render a scene from its suggested cameras.

    The paths of the pictures are printed on stdout.
    """
    pixels, memory = options.picture_size(size), options.byte_count(max_memory)
    stdout = targets.binary("-", "a picture", force=force) if output == "-" else None
    if output.lower().endswith(".png"):
        targets.binary(output, "a picture", force=force)
    options.limit_threads(threads)
    from gspc import pipeline

    data = pipeline.load_source(options.read_source(source))
    restored = pipeline.restore(data, upto=upto, threads=threads, max_memory=memory)
    for warning in restored.warnings:
        console.warn(f"{data.name}: {warning}")
    with pipeline.naming(data.name):
        chosen = pipeline.select_cameras(restored.scene, cameras=cameras, view=view, size=pixels)
    places = [stdout] if stdout else _places(output, chosen, force=force)
    _need_one_view(output, places, chosen)
    with console.status("rendering") as report:
        for number, (place, picture) in enumerate(
            zip(places, pipeline.render(restored.scene, chosen), strict=True)
        ):
            report(f"rendering {number + 1} of {len(places)}: {picture.name}")
            place.write(pipeline.encode_png(picture))
            if place.path is not None:
                console.out(place.name)


def _need_one_view(output: str, places: Sequence[targets.Target], cameras: Sequence[Camera]) -> None:
    from gspc.errors import UsageError

    if len(places) != len(cameras):
        raise UsageError(
            f"-o {output} takes one picture and there are {len(cameras)} views; choose one with --view "
            "or name a directory"
        )


def _places(output: str, cameras: Sequence[Camera], *, force: bool) -> list[targets.Target]:
    """One PNG per camera, named after its view; every one is checked before the first is rendered."""
    from gspc.output import writing

    if output.lower().endswith(".png"):
        return [targets.binary(output, "a picture", force=force)]
    directory = Path(output)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    return [targets.binary(str(directory / name), "a picture", force=force) for name in file_names(cameras)]


def file_names(cameras: Sequence[Camera]) -> list[str]:
    """A distinct PNG name per camera. They come from files: nothing in them may lead out of the directory."""
    names: list[str] = []
    for camera in cameras:
        base = camera.name.removesuffix(Path(camera.name).suffix).replace("/", "-")
        kept = "".join(char if char.isalnum() or char in "-_." else "_" for char in base)
        plain = kept.strip(".-")[:100] or "view"
        stem, copy = plain, 1
        while f"{stem}.png" in names:
            copy += 1
            stem = f"{plain}-{copy}"
        names.append(f"{stem}.png")
    return names
