"""`gspc render`: a scene to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gspc.cli import console, options, targets
from gspc.errors import UsageError

EXAMPLE = "gspc render scene.pcgs --upto 1 --view 0 -o view.png"


def command(
    source: options.Input = None,
    cameras: Annotated[
        Path | None,
        typer.Option(
            "--cameras",
            metavar="DIR",
            help="Cameras of this scene's directory, read as fit does, instead of the suggested ones.",
        ),
    ] = None,
    field: options.FieldOfView = None,
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
    coarse: Annotated[
        bool,
        typer.Option(
            "--coarse", help="Draw the prediction without its residual features (predictive family)."
        ),
    ] = False,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="DIR|FILE.png|-", help="A directory, or for one view a PNG or stdout."
        ),
    ] = "renders",
    device: options.RenderDevice = "cpu",
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = "4GB",
    force: options.Force = False,
) -> None:
    """Render a scene from its suggested cameras.

    The paths of the pictures are printed on stdout.
    """
    memory = options.byte_count(max_memory)
    single = output == "-" or output.lower().endswith(".png")
    target = targets.binary(output, "a picture", force=force) if single else None
    options.limit_threads(threads)
    from gspc import pipeline

    data = pipeline.load_source(options.read_source(source))
    restored = pipeline.restore(data, upto=upto, threads=threads, max_memory=memory)
    for warning in restored.warnings:
        console.warn(f"{data.name}: {warning}")
    scene = restored.scene
    if coarse:
        with pipeline.naming(data.name):
            scene = pipeline.coarse(scene)
    chosen = pipeline.choose_cameras(
        scene,
        directory=cameras,
        view=view,
        size=size,
        field=field.value if field else "full",
        on_note=lambda note: options.say_notes([note]),
    )
    if target is not None:
        if len(chosen) != 1:
            raise UsageError(
                f"-o {output} takes one picture and there are {len(chosen)} views; choose one with --view or "
                "name a directory"
            )
        target.write(pipeline.render_png(scene, chosen[0], device=device))
        if target.path is not None:
            console.out(target.name)
        return
    with console.status(f"rendering {len(chosen)} views"):
        pipeline.render_directory(
            scene,
            chosen,
            Path(output),
            device=device,
            force=force,
            on_picture=lambda path: console.out(str(path)),
        )
