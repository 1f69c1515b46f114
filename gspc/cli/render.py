"""`gspc render`: a scene to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gspc.cli import console, options, process, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import PlainScene, Source
    from gspc.scene import DecodedScene

EXAMPLE = "gspc render scene.pcgs --upto 1 --view 0 -o view.png"


Cameras = Annotated[
    Path | None,
    typer.Option(
        "--cameras",
        metavar="DIR",
        help="Draw from the cameras of this scene's directory, which is read as fit reads it.",
    ),
]
View = Annotated[
    str | None,
    typer.Option("--view", metavar="NAME|INDEX", help="One view, by name or by its number counted from 0."),
]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Size of the pictures in pixels; the height may be left out."),
]
Coarse = Annotated[
    bool,
    typer.Option(
        "--coarse",
        help="Leave out what was stored beside the prediction; for scenes with a feature pool.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR|FILE.png|-",
        help="A directory for the pictures; for one view also a PNG file, or - for stdout.",
    ),
]
SourceFrame = Annotated[
    str | None,
    typer.Option(
        "--source-frame",
        metavar="XYZ",
        help="Where x, y and z of a splat of another tool point, such as RDF or RUB, if not as usual.",
    ),
]


def _restored(data: Source, *, upto: int | None, threads: int, max_memory: int, coarse: bool) -> DecodedScene:
    from gspc import pipeline

    restored = pipeline.restore(data, upto=upto, threads=threads, max_memory=max_memory)
    for warning in restored.warnings:
        console.warn(f"{data.name}: {warning}")
    if not coarse:
        return restored.scene
    with pipeline.naming(data.name):
        return pipeline.coarse(restored.scene)


def command(
    source: options.Input = None,
    cameras: Cameras = None,
    field: options.FieldOfView = None,
    view: View = None,
    size: Size = None,
    upto: options.Upto = None,
    coarse: Coarse = False,
    source_frame: SourceFrame = None,
    output: Output = "renders",
    device: options.RenderDevice = "cpu",
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    force: options.Force = False,
) -> None:
    """Draw a scene from given cameras.

    A scene comes with up to 64 suggested cameras, from which some of its photographs were taken. --cameras
    takes others. Splats of other tools (.ply, .spz, .sog, .glb, ...) are drawn from a circle around them,
    over black. The paths of the pictures are printed on stdout.
    """
    memory = options.byte_count(max_memory)
    single = output == "-" or output.lower().endswith(".png")
    target = targets.binary(output, "a picture", force=force) if single else None
    process.limit_threads(threads)
    from gspc import pipeline

    data = pipeline.load_source(options.read_source(source))
    scene: DecodedScene | PlainScene
    if data.kind == "splats":
        pipeline.refuse_scene_options(data.name, (("--upto", upto is not None), ("--coarse", coarse)))
        scene = pipeline.plain_scene(data, frame=source_frame)
    elif source_frame is not None:
        raise UsageError(f"{data.name}: is no splat of another tool; leave out --source-frame")
    else:
        scene = _restored(data, upto=upto, threads=threads, max_memory=memory, coarse=coarse)
    chosen = pipeline.choose_cameras(
        scene,
        directory=cameras,
        view=view,
        size=size,
        field=field or "full",
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
