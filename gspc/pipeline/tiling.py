"""Scenes larger than a machine: split into tiles, joined by an index, opened as one scene."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.errors import InputError, UsageError
from gspc.format.limits import MAX_MEMORY
from gspc.pipeline.decompressing import region_of
from gspc.pipeline.results import File
from gspc.pipeline.source import TILES, Source, naming, read_bytes

if TYPE_CHECKING:
    from gspc.config import DataOptions
    from gspc.scene import Note
    from gspc.tiles import SplitReport, TiledScene, TileIndex

MOST_MARK = 256  # bytes at the beginning of an index that tell what it is
Name = str | os.PathLike[str]


@dataclass(frozen=True)
class JoinedTiles(File):
    """An index, as a file (pcgsx(5)) and as it is read."""

    data: bytes = field(repr=False)
    index: TileIndex


def split_tiles(
    scene: Name,
    output: Name,
    *,
    grid: tuple[int, int] = (2, 2),
    data: DataOptions | None = None,
    coarse: Name | None = None,
    force: bool = False,
    dry_run: bool = False,
) -> SplitReport:
    """Splits a scene into `grid` (columns, rows) blocks of its ground plane and writes each as a folder that
    `fit` takes, below `output`, whole or not at all; with `dry_run` only says what it would write.

    `coarse` is a model of the whole scene, from which the fits of all tiles start and whose networks, grid
    and lattice they share. `data.hold` leaves every hold-th photograph out of all tiles; by default none.
    `force` replaces a folder of tiles and nothing else. Raises InputError, OutputError, and BackendError
    where lenses take pycolmap and it is missing.
    """
    from gspc.config import DataOptions
    from gspc.tiles import split_scene

    options = data or DataOptions(hold=0)
    return split_scene(
        Path(scene),
        None if dry_run else Path(output),
        grid=grid,
        options=options,
        coarse=None if coarse is None else Path(coarse),
        force=force,
    )


def join_tiles(
    streams: Sequence[Name],
    folder: Name,
    *,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
    on_tile: Callable[[int], None] = lambda done: None,
) -> JoinedTiles:
    """The index of tiles' streams, to be saved in `folder`, which must hold them all. One stream is in memory
    at a time. Raises UsageError, InputError for streams that do not fit together, BitstreamError."""
    from gspc.tiles import united, write_index
    from gspc.tiles.join import read_tile_stream

    if not streams:
        raise UsageError("give at least one stream of a tile to join")
    found = []
    for path in map(Path, streams):
        with naming(str(path)):
            name, data = _relative(path, Path(folder)), read_bytes(path)
            found.append(read_tile_stream(data, name, threads=threads, max_memory=max_memory))
        on_tile(len(found))
    index = united(found)
    return JoinedTiles(write_index(index), index)


def _relative(path: Path, folder: Path) -> str:
    """What an index calls a stream. Raises InputError for one that lies elsewhere."""
    from gspc.tiles import stays_inside

    try:
        name = path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        raise InputError(
            f"lies outside of the index's folder, {folder}; write the index to a folder above its streams"
        ) from None
    if not stays_inside(name):
        raise InputError("has a name that an index cannot hold; rename it")
    return name


def tiled_scene(
    source: Source,
    *,
    upto: int | None = None,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
    region: Sequence[float] | None = None,
    on_note: Callable[[Note], None] = lambda note: None,
) -> TiledScene:
    """The scene of an index, of which nothing is decoded yet. Of a `region` (x0, y0, z0, x1, y1, z1 in the
    user's coordinates) only the anchors inside are there. `on_note` hears where a picture had to be drawn
    coarser to keep to `max_memory`.

    Raises UsageError for a level that no tile has and a region where no tile is, InputError.
    """
    from gspc.tiles import TiledScene, read_index

    with naming(source.name):
        index = read_index(source.data)
        folder = Path(source.name)
        if not folder.is_file():
            raise InputError("is an index of tiles, which lie beside its file: give the file's name")
        if upto is not None and upto > index.levels:
            raise UsageError(f"its tiles have {index.levels} levels; there is no level {upto}")
        scene = TiledScene(
            index, folder.parent, upto, threads, max_memory, region_of(region), on_note=on_note
        )
        if not scene.chosen.any():
            raise UsageError("has no tiles in this region")
    return scene


def is_tiles(name: object) -> bool:
    """Whether a file of this name is an index of tiles."""
    if not isinstance(name, str | os.PathLike):
        return False
    path = Path(name)
    try:
        with path.open("rb") as file:
            return path.is_file() and TILES.match(file.read(MOST_MARK)) is not None
    except (OSError, ValueError):
        return False  # whoever reads it says what is wrong


def refuse_options(source: Source, options: Sequence[tuple[str, bool]]) -> None:
    """Raises UsageError for the first option that was given and means nothing for an index of tiles."""
    for option, given in options:
        if given:
            raise UsageError(f"is an index of tiles, for which {option} means nothing", source=source.name)


def tile_problems(scene: TiledScene, *, whole: bool) -> tuple[str, ...]:
    """What is wrong with the files of an index: those that are missing or of another length; `whole` reads
    them and looks at every checksum, too."""
    from gspc.errors import GspcError
    from gspc.format import describe
    from gspc.tiles import read_tile, tile_size

    found = []
    for entry in scene.index.tiles:
        try:
            if (size := tile_size(entry, scene.folder)) != entry.levels[-1].size:
                found.append(f"{entry.file}: has {size:,} bytes, not {entry.levels[-1].size:,}")
            elif whole:
                damaged = describe(read_tile(entry, scene.folder, len(entry.levels))).damaged
                found += [f"{entry.file}: {chunk.name}: checksum error" for chunk in damaged]
        except GspcError as error:
            found.append(str(error).removeprefix(f"{scene.folder}{os.sep}"))
    return tuple(found)


def tile_facts(index: TileIndex) -> tuple[tuple[str, str], ...]:
    """What `inspect` says about an index."""
    total = index.total(index.levels)
    sizes = sorted(tile.levels[-1].size for tile in index.tiles)
    reach = max(tile.reach for tile in index.tiles)
    return (
        ("tiles", f"{len(index.tiles):,}"),
        ("anchors", f"{total.anchors:,}"),
        ("Gaussians", f"{total.gaussians:,}"),
        ("bytes of a tile", f"{sizes[0]:,} to {sizes[-1]:,}, half of them up to {sizes[len(sizes) // 2]:,}"),
        ("memory decoded", f"{total.memory:,} bytes for all tiles, which are never decoded at once"),
        ("beyond its box", f"up to {reach:.3g} own units"),
        ("unit", f"{index.frame.scale:.6g} of the photographs' coordinates"),
        ("background", " ".join(f"{value:g}" for value in index.background)),
        ("suggested cameras", str(len(index.cameras))),
    )


def tile_values(index: TileIndex) -> dict[str, object]:
    """The same as numbers, with every tile."""
    from gspc.format.tile import box_to_plain

    return {
        "frame": index.frame.to_plain(),
        "background": list(index.background),
        "suggested_cameras": len(index.cameras),
        "tiles": [
            {
                "name": tile.name,
                "file": tile.file,
                **box_to_plain(tile.low, tile.high),
                "reach": tile.reach,
                "bytes_up_to_level": [row.size for row in tile.levels],
                "anchors": tile.levels[-1].anchors,
                "gaussians": tile.levels[-1].gaussians,
            }
            for tile in index.tiles
        ],
    }
