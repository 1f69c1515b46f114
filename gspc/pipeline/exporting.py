"""Scenes as plain Gaussians in the formats that other tools read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from gspc.errors import UsageError
from gspc.pipeline.decompressing import MAX_MEMORY, restore_part
from gspc.pipeline.plain import read_plain
from gspc.pipeline.results import File
from gspc.pipeline.source import Given, Source, naming, source_of
from gspc.pipeline.tiling import tiled_scene

if TYPE_CHECKING:
    from gspc.scene import F32, F64, Camera, DecodedScene, Frame
    from gspc.splats import Splats
    from gspc.tiles import TiledScene

FAR_IN_FLOAT32 = (
    1024.0  # own units from the origin, where float32 still tells a ten-thousandth of a unit apart
)
CHECKED = 12  # views of the check: more say the same and take longer

Report = Callable[[str], None]
Pictures: TypeAlias = "dict[int, F32]"  # of a scene, by the id of its camera


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    to: format, a name of gspc.splats.FORMATS. upto: level of a stream, None for the last. degree: of the
    harmonics, 0 to 3. refine: steps after baking. frame: axes to write, None for the format's usual ones.
    source_frame: axes of a splat that is read, None for its format's usual ones. spz_version: 3 or 4.
    check: compare pictures of the file with those of the scene. region: only the anchors in this box,
    x0, y0, z0, x1, y1, z1 in the user's coordinates.

    >>> import gspc
    >>> gspc.export("scene.pcgs", gspc.ExportOptions("splat", upto=1, check=False)).level
    1
    """

    to: str
    upto: int | None = None
    degree: int = 3
    refine: int = 0
    frame: str | None = None
    source_frame: str | None = None
    spz_version: int = 3
    check: bool = True
    region: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ExportCheck:
    """How close pictures drawn from the file are to the neural scene's, over `views` suggested cameras."""

    psnr: float  # dB, mean over the views
    worst: float  # dB
    views: int


@dataclass(frozen=True)
class Exported(File):
    """A file, and what became of the scene in it.

    >>> import gspc
    >>> made = gspc.export("scene.pcgs", gspc.ExportOptions("ply", degree=1, check=False))
    >>> made.format, made.degree, made.frame, made.level
    ('ply', 1, 'RDF', 2)
    """

    data: bytes = field(repr=False)
    format: str
    gaussians: int
    degree: int
    frame: str
    level: int | None  # of the stream; None for splats of other tools
    levels: int | None
    check: ExportCheck | None
    warnings: tuple[str, ...] = ()


def writable_formats() -> tuple[str, ...]:
    """Names of the formats that can be written."""
    from gspc.splats.formats import WRITABLE

    return WRITABLE


def format_for(name: str) -> str | None:
    """The format that a file's name asks for by its suffix, or None."""
    from gspc.splats.formats import format_of

    return format_of(name)


def export(
    source: Given | Splats,
    options: ExportOptions | str,
    *,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
    report: Report = lambda text: None,
) -> Exported:
    """The file of a stream's, a model's or a decoded scene's Gaussians, baked, or of a splat's, converted.
    Tiles of an index are baked one after another.

    `options` may be just the format. `report` hears in words what is being done. Raises UsageError for
    options that mean nothing here, InputError, BitstreamError, BackendError.

    >>> import gspc
    >>> made = gspc.export("scene.pcgs", "ply")
    >>> made.save("scene.ply").name, made.gaussians > 0, made.check.psnr > 20
    ('scene.ply', True, True)
    """
    from gspc.splats import Splats, axes

    if isinstance(options, str):
        options = ExportOptions(options)
    _check_options(options)
    if options.frame is not None:
        axes(options.frame)
    if isinstance(source, Splats):
        return _write(source.with_degree(options.degree), options)
    source = source_of(source)
    if source.kind == "splats":
        return _convert(source, options)
    if options.source_frame is not None:
        raise UsageError("--source-frame is about splats of other tools; a scene of gspc knows its axes")
    if source.kind == "tiles":
        tiled = tiled_scene(
            source, upto=options.upto, threads=threads, max_memory=max_memory, region=options.region
        )
        with naming(source.name):
            return _export_tiles(tiled, options, report)
    restored = restore_part(
        source, upto=options.upto, region=options.region, threads=threads, max_memory=max_memory
    )
    with naming(source.name):
        own = restored.scene.in_own_coordinates()
        drawn: Pictures = {}
        splats = _bake(own, options, report, max_memory, drawn)
        frame, warnings = representable(restored.scene.frame)
        made = _write(placed(splats, frame), options)
        if options.check:
            report("comparing with the scene")
            scene = replace(restored.scene, frame=frame)
            made = replace(made, check=_compare(scene, own.cameras, drawn, made, options, max_memory))
    return replace(
        made,
        level=restored.level,
        levels=restored.levels_in_file,
        warnings=restored.warnings + warnings + made.warnings,
    )


def _export_tiles(scene: TiledScene, options: ExportOptions, report: Report) -> Exported:
    """The Gaussians of all tiles in one file: each tile is decoded, baked and let go."""
    from gspc.splats import joined

    frame, warnings = representable(scene.index.frame)
    offset = scene.index.frame.translation - frame.translation
    parts = []
    numbers = scene.chosen.nonzero()[0].tolist()
    for done, number in enumerate(numbers, start=1):
        report(f"tile {done} of {len(numbers)}")
        with naming(str(scene.folder / scene.index.tiles[number].file)):
            tile = scene.decode(number, scene.level)
            if not tile.gaussian_mask.any():
                continue  # none of its anchors is in the region
            moved = replace(tile.frame, translation=tile.frame.translation - offset)
            baked = _bake(tile.in_own_coordinates(), options, lambda text: None, scene.max_memory, {})
            parts.append(placed(baked, moved))
    if not parts:
        raise UsageError("has no anchors in this region")
    made = _write(joined(parts), options)
    if options.check:
        report("comparing with the scene")
        pairs = [(camera, _moved(camera, offset)) for camera in scene.cameras]
        neural = scene.renderer()
        check = _check(made, options, neural.render, scene.index.background, pairs, scene.max_memory)
        made = replace(made, check=check)
    return replace(made, level=scene.level, levels=scene.index.levels, warnings=warnings + made.warnings)


def representable(frame: Frame) -> tuple[Frame, tuple[str, ...]]:
    """The frame, moved by whole units where float32 could not hold positions in it, and a warning of that.

    Formats of splats hold float32 or less. UTM coordinates, millions of meters, would come out in steps of
    half a meter.
    """
    farthest = max(abs(float(value)) for value in frame.translation)
    if farthest <= FAR_IN_FLOAT32 * frame.scale:
        return frame, ()
    offset = [round(float(value)) for value in frame.translation]
    text = " ".join(str(value) for value in offset)
    warning = f"the format cannot hold positions this far from the origin: all are moved by minus ({text})"
    return replace(frame, translation=frame.translation - offset), (warning,)


def placed(splats: Splats, frame: Frame) -> Splats:
    """Gaussians in a scene's own coordinates, moved to the user's."""
    from gspc.splats.transform import transform

    if frame.identity:
        return splats
    return transform(splats, frame.rotation, frame.scale, frame.translation)


def _check_options(options: ExportOptions) -> None:
    if options.to not in writable_formats():
        raise UsageError(f"'{options.to}' is not written; choose one of {', '.join(writable_formats())}")
    if not 0 <= options.degree <= 3:
        raise UsageError(f"harmonics have degrees 0 to 3, not {options.degree}")
    if options.refine < 0:
        raise UsageError(f"{options.refine} steps of --refine: give 0 or more")


def _bake(
    scene: DecodedScene, options: ExportOptions, report: Report, max_memory: int, drawn: Pictures
) -> Splats:
    """Bakes and refines; `drawn` gets the scene's pictures that came about on the way."""
    from gspc.splats import bake, refine

    degree = 0 if options.to == "splat" else options.degree  # a .splat holds no harmonics

    def baked(done: int, total: int) -> None:
        report(f"baking {100 * done // total} %")

    def refined(done: int, total: int) -> None:
        report(f"refining {done} of {total}")

    def seen(camera: Camera, picture: F32) -> None:
        drawn[id(camera)] = picture

    splats = bake(scene, degree, baked, on_picture=seen, max_memory=max_memory)
    if options.refine:
        splats = refine(splats, scene, options.refine, refined, max_memory=max_memory)
    return splats


def _convert(source: Source, options: ExportOptions) -> Exported:
    if options.refine:
        raise UsageError("is a splat already; --refine is about baking scenes of gspc", source=source.name)
    if options.upto is not None:
        raise UsageError("is a splat of another tool and has no levels; leave out --upto", source=source.name)
    if options.region is not None:
        raise UsageError("is a splat of another tool; --region is about scenes of gspc", source=source.name)
    splats = read_plain(source, frame=options.source_frame)
    with naming(source.name):
        return _write(splats.with_degree(options.degree), options)


def _write(splats: Splats, options: ExportOptions) -> Exported:
    from gspc.splats import FORMATS, write_splats

    data = write_splats(splats, options.to, frame=options.frame, spz_version=options.spz_version)
    flat = options.to == "splat"
    lost = f"a .splat holds no harmonics; those of degree {splats.degree} were left out"
    return Exported(
        data=data,
        format=options.to,
        gaussians=splats.count,
        degree=0 if flat else splats.degree,
        frame=(options.frame or FORMATS[options.to].frame).upper(),
        level=None,
        levels=None,
        check=None,
        warnings=(lost,) if flat and splats.degree else (),
    )


def _compare(
    scene: DecodedScene,
    own: Sequence[Camera],
    drawn: Pictures,
    made: Exported,
    options: ExportOptions,
    max_memory: int,
) -> ExportCheck:
    """Draws what the file holds, read back, beside the scene. `own`: the scene's cameras in its own
    coordinates, whose pictures `drawn` may hold already."""
    from gspc.rendering import Renderer

    @cache
    def renderer() -> Renderer:
        return Renderer(scene, max_memory=max_memory)

    def picture(camera: Camera) -> F32:
        known = drawn.get(id(camera))
        return renderer().render(scene.frame.camera_to_user(camera)) if known is None else known

    pairs = [(camera, scene.frame.camera_to_user(camera)) for camera in own]
    return _check(made, options, picture, scene.background, pairs, max_memory)


def _check(
    made: Exported,
    options: ExportOptions,
    neural: Callable[[Camera], F32],
    background: tuple[float, float, float],
    cameras: Sequence[tuple[Camera, Camera]],
    max_memory: int,
) -> ExportCheck:
    """Compares pictures; of each pair of cameras `neural` draws the scene for the first, the second sees the
    file."""
    from gspc.metrics import psnr
    from gspc.splats import SplatRenderer, read_splats, spread

    splats = read_splats(made.data, frame=options.frame)
    plain: Any = SplatRenderer(splats, background=background, max_memory=max_memory)
    chosen = {id(camera) for camera in spread([camera for camera, _ in cameras], CHECKED)}
    pairs = [pair for pair in cameras if id(pair[0]) in chosen]
    found = [psnr(plain.render(of_file), neural(of_scene)) for of_scene, of_file in pairs]
    return ExportCheck(sum(found) / len(found), min(found), len(found))


def _moved(camera: Camera, offset: F64) -> Camera:
    """The camera that sees what is moved by minus `offset` [3] as this one saw it before."""
    pose = camera.world_to_camera.copy()
    pose[:3, 3] += pose[:3, :3] @ offset
    return replace(camera, world_to_camera=pose)
