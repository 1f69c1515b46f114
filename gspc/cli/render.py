"""`gspc render`: a scene to pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gspc.cli import console, options, process, render_options, targets
from gspc.errors import InputError, UsageError

if TYPE_CHECKING:
    from gspc.pipeline import Source
    from gspc.pipeline.pictures import Drawable
    from gspc.scene import Camera, DecodedScene

EXAMPLE = "gspc render scene.pcgs --path orbit -o turn.mp4"
PICTURES = {".png": "png", ".jpg": "jpg", ".jpeg": "jpg"}
FILMS = (".mp4", ".mov", ".mkv", ".webm")
OTHERS = (".bmp", ".gif", ".tif", ".tiff", ".webp", ".exr", ".ppm", ".avi", ".avif", ".heic", ".m4v", ".mpg")


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
    cameras: render_options.Cameras = None,
    view: render_options.View = None,
    path: render_options.CameraPath = None,
    frames: render_options.Frames = None,
    fps: render_options.Fps = None,
    size: render_options.Size = None,
    upto: options.Upto = None,
    region: options.Region = None,
    output: render_options.Output = "renders",
    json_report: options.Json = None,
    field: options.FieldOfView = None,
    coarse: render_options.Coarse = False,
    source_frame: render_options.SourceFrame = None,
    device: options.RenderDevice = "cpu",
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    max_work: options.MaxWork = None,
    force: options.Force = False,
) -> None:
    """Draw a scene from given cameras.

    A scene comes with up to 64 suggested cameras, from which some of its photographs were taken. --cameras
    takes others, --path moves one. Splats of other tools (.ply, .spz, .sog, .glb, ...) are drawn from a
    circle around them, over black. Of the index of a tiled scene (.pcgsx) only the tiles that a view needs
    are decoded. The paths of the files are printed on stdout.
    """
    memory = options.memory_limit(max_memory, max_work)
    kind = _kind(output)
    if fps is not None and kind != "film":
        raise UsageError(f"--fps {fps:g} is of films, and -o {output} is none: {', '.join(FILMS)}")
    rate = fps or render_options.FPS
    if kind == "film":
        targets.refuse_source(Path(output), source)
        targets.check(output, source, force=force)
    single = (
        targets.binary(output, "a picture", force=force, source=source) if kind in ("png", "jpg") else None
    )
    targets.check(json_report, source, force=force)
    process.limit_threads(threads)
    from gspc import pipeline

    limits = {"threads": threads, "max_memory": memory}
    data, upto = options.load_part(source, upto=upto, region=region, **limits)
    scene = _scene(data, upto=upto, region=region, coarse=coarse, source_frame=source_frame, **limits)
    with pipeline.naming(data.name, InputError):
        chosen = pipeline.choose_cameras(
            scene,
            directory=cameras,
            view=view,
            size=size,
            field=field or "full",
            path=path,
            frames=frames,
            on_note=lambda note: options.say_notes([note]),
        )
    if single is not None and len(chosen) != 1:
        raise UsageError(
            f"-o {output} takes one picture and there are {len(chosen)} views; choose one with --view or "
            "name a directory"
        )
    report_on_stdout = json_report is not None and targets.is_stdout(json_report)
    said = (lambda line: None) if report_on_stdout else console.out
    how: dict[str, Any] = {"device": device, "memory": memory, "force": force, "said": said}
    with pipeline.naming(data.name, InputError):
        if single is not None:
            single.write(pipeline.render_picture(scene, chosen[0], kind, device=device, max_memory=memory))
            written = [single.name]
            if single.path is not None:
                said(single.name)
        elif kind == "film":
            written = _film(scene, chosen, Path(output), fps=rate, **how)
        else:
            written = _directory(scene, chosen, Path(output), **how)
    values = _as_json(data, scene, chosen, written, output) | ({"fps": rate} if kind == "film" else {})
    stdout_taken = single is not None and single.path is None
    targets.report(json_report, values, stdout_taken=stdout_taken, force=force)


def _kind(output: str) -> str:
    """What to write: png, jpg, film or directory, by the name. Raises UsageError for other pictures."""
    suffix = Path(output).suffix.lower()
    if suffix in FILMS:
        return "film"
    if suffix in PICTURES:
        return PICTURES[suffix]
    if targets.takes_anything(output):
        return "png"
    if suffix in OTHERS:
        raise UsageError(f"-o {output}: pictures are .png or .jpg, films {', '.join(FILMS)}")
    return "directory"


def _scene(
    data: Source,
    *,
    upto: int | None,
    region: str | None,
    coarse: bool,
    source_frame: str | None,
    **limits: Any,
) -> Any:
    """The scene to draw: decoded, of tiles, of which none is decoded yet, or a splat of another tool. Raises
    UsageError for what means nothing."""
    from gspc import pipeline

    if data.kind == "splats":
        pipeline.refuse_scene_options(data.name, (("--upto", upto is not None), ("--coarse", coarse)))
        return pipeline.plain_scene(data, frame=source_frame)
    if data.kind == "tiles":
        given = (("--coarse", coarse), ("--source-frame", source_frame is not None))
        pipeline.refuse_options(data, given)
        box = options.region_numbers(region)
        return pipeline.tiled_scene(
            data, upto=upto, region=box, on_note=lambda note: options.say_notes([note]), **limits
        )
    if source_frame is not None:
        raise UsageError(f"{data.name}: is no splat of another tool; leave out --source-frame")
    return _restored(data, upto=upto, coarse=coarse, **limits)


def _film(
    scene: Drawable,
    chosen: Sequence[Camera],
    path: Path,
    *,
    fps: float,
    device: str,
    memory: int,
    force: bool,
    said: Callable[[str], None],
) -> list[str]:
    from gspc import pipeline

    with console.status(f"drawing {len(chosen)} pictures") as show:
        pipeline.render_film(
            scene,
            chosen,
            path,
            fps=fps,
            device=device,
            max_memory=memory,
            force=force,
            on_picture=lambda done: show(f"drew {done} of {len(chosen)} pictures"),
        )
    said(str(path))
    return [str(path)]


def _directory(
    scene: Drawable,
    chosen: Sequence[Camera],
    folder: Path,
    *,
    device: str,
    memory: int,
    force: bool,
    said: Callable[[str], None],
) -> list[str]:
    from gspc import pipeline

    written: list[str] = []
    with console.status(f"drawing {len(chosen)} pictures") as show:

        def drawn(path: Path) -> None:
            written.append(str(path))
            said(str(path))
            show(f"drew {len(written)} of {len(chosen)} pictures")

        pipeline.render_directory(
            scene, chosen, folder, device=device, max_memory=memory, force=force, on_picture=drawn
        )
    return written


def _as_json(
    data: Source, scene: Any, chosen: Sequence[Camera], written: Sequence[str], output: str
) -> dict[str, Any]:
    return {
        "input": data.name,
        "output": output,
        "level": getattr(scene, "level", None),
        "files": list(written),
        "views": [{"name": camera.name, "size": [camera.width, camera.height]} for camera in chosen],
    }
