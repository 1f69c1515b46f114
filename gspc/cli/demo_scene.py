"""`gspc demo-scene`: writes the generated scene of `make demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gspc.cli import console, options
from gspc.errors import OutputError

EXAMPLE = "gspc demo-scene demo/scene"


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", show_default=False, help="Where the scene goes.")
    ],
    force: options.Force = False,
) -> None:
    """Write a small generated scene, to try gspc on.

    It is a COLMAP directory: 48 photographs in images/ and their cameras in sparse/0/.
    """
    from gspc import pipeline
    from gspc.output import writing

    for part in ("images", "sparse"):
        if (directory / part).exists() and not force:
            raise OutputError(f"{directory / part}: exists already; add -f to write the demo scene over it")
    with writing(directory):
        if not force and directory.is_dir() and any(directory.iterdir()):
            raise OutputError(f"{directory}: has files in it; add -f to overwrite them")
        with console.status("drawing pictures") as show:
            pipeline.write_demo_scene(
                directory, on_picture=lambda done, total: show(f"drew {done} of {total} pictures")
            )
    console.note(f"{directory}: demo scene written")
