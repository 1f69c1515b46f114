"""`gspc demo-scene`: writes the generated scene of `make demo` (hidden)."""

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
    """Write the generated demo scene as a COLMAP directory."""
    from gspc import pipeline
    from gspc.output import writing

    with writing(directory):
        if not force and directory.is_dir() and any(directory.iterdir()):
            raise OutputError(f"{directory}: has files in it; add -f to overwrite them")
        pipeline.write_demo_scene(directory)
    console.note(f"{directory}: demo scene written")
