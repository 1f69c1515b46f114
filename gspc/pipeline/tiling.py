"""Scenes larger than a machine: split into tiles, joined by an index, opened as one scene."""

from __future__ import annotations

import os
import re
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

NAME_OF_FILE = re.compile(
    r"[\w-][\w.-]{0,199}", re.ASCII
)  # names of tiles that are names of files everywhere
MOST_MARK = 256  # bytes at the beginning of an index that tell what it is
Name = str | os.PathLike[str]


@dataclass(frozen=True)
class JoinedTiles(File):
    """An index, as a file (pcgsx(5)) and as it is read."""

    data: bytes = field(repr=False)
    index: TileIndex
    common: int = 0  # bytes of the streams that would not be needed if tiles shared what they have in common


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
    share: Name | None = None,
    force: bool = False,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
    on_tile: Callable[[int], None] = lambda done: None,
) -> JoinedTiles:
    """The index of tiles' streams, to be saved in `folder`, which must hold them all.

    With `share`, a folder in `folder`, tiles are written there once more, and what several of them have in
    common once for all; the streams may then lie anywhere, and the index names none of them. `force` replaces
    a folder that an earlier join wrote and nothing else. One stream is in memory at a time. Raises
    UsageError, InputError for streams that do not fit together, BitstreamError, OutputError.
    """
    from gspc.tiles import united, write_index
    from gspc.tiles.join import read_tile_stream
    from gspc.tiles.share import savings, write_shared

    if not streams:
        raise UsageError("give at least one stream of a tile to join")
    paths, place = [Path(stream) for stream in streams], ""
    if share is not None:
        with naming(str(share)):
            place = _relative(Path(share), Path(folder))
        check_shared(share, force=force)
    found = []
    for path in paths:
        with naming(str(path)):
            name = _relative(path, Path(folder)) if share is None else str(path)
            data = read_bytes(path)
            found.append(read_tile_stream(data, name, threads=threads, max_memory=max_memory))
        on_tile(len(found))
    index = united(found)
    if share is not None:
        index = write_shared(index, found, lambda number: read_bytes(paths[number]), Path(share), place)
    return JoinedTiles(write_index(index), index, 0 if share is not None else savings(found))


def check_shared(folder: Name, *, force: bool) -> None:
    """Refuses, before any work, a folder that `join_tiles` could not share tiles in. Raises OutputError."""
    from gspc.tiles.share import check_folder

    check_folder(Path(folder), force=force)


def restore_tiles(source: Source, folder: Name, *, force: bool = False) -> tuple[Path, ...]:
    """Writes the streams of an index's tiles to `folder`, byte for byte as they were joined, and gives their
    paths; with `force` over files that are there. Raises InputError, UsageError, OutputError."""
    from gspc.output import check_target, write_atomically, writing

    if source.kind != "tiles":
        raise InputError(
            "is no index of tiles, of which alone streams can be restored; name what gspc join wrote",
            source=source.name,
        )
    scene = tiled_scene(source)
    tiles = scene.index.tiles
    plain = all(NAME_OF_FILE.fullmatch(tile.name) for tile in tiles)
    names = [tile.name if plain else f"tile-{number}" for number, tile in enumerate(tiles, start=1)]
    paths = tuple(Path(folder) / f"{name}.pcgs" for name in names)
    with writing(Path(folder)):
        Path(folder).mkdir(exist_ok=True)
    for path in paths:
        check_target(path, force=force)
    for path, tile in zip(paths, tiles, strict=True):
        write_atomically(path, scene.files.read(tile, len(tile.levels)))
    return paths


def _relative(path: Path, folder: Path) -> str:
    """What an index calls a stream. Raises InputError for one that lies elsewhere."""
    from gspc.tiles import stays_inside

    try:
        name = Path(os.path.realpath(path)).relative_to(os.path.realpath(folder)).as_posix()
    except ValueError:
        raise InputError(
            f"lies outside of the index's folder, {folder}; write the index to a folder above what it names"
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

    found = []
    for entry in scene.index.tiles:
        last = len(entry.levels)
        try:
            if (size := scene.files.size(entry)) != entry.stored(last):
                found.append(f"{entry.file}: has {size:,} bytes, not {entry.stored(last):,}")
            elif whole:
                damaged = describe(scene.files.read(entry, last)).damaged
                found += [f"{entry.file}: {chunk.name}: checksum error" for chunk in damaged]
        except GspcError as error:
            found.append(str(error).removeprefix(f"{scene.folder}{os.sep}"))
    return tuple(found) + _shared_problems(scene)


def _shared_problems(scene: TiledScene) -> tuple[str, ...]:
    """The first piece that tiles share and that is not there."""
    try:
        for piece in scene.index.shared.pieces:
            scene.files.piece(piece)
    except InputError as error:
        return (str(error).removeprefix(f"{scene.folder}{os.sep}"),)
    return ()


def tile_facts(index: TileIndex) -> tuple[tuple[str, str], ...]:
    """What `inspect` says about an index."""
    total = index.total(index.levels)
    sizes = sorted(tile.levels[-1].size for tile in index.tiles)
    reach = max(tile.reach for tile in index.tiles)
    shared = f"{index.shared.size:,} bytes in {len(index.shared.pieces)} pieces, stored once"
    return (
        ("tiles", f"{len(index.tiles):,}"),
        ("anchors", f"{total.anchors:,}"),
        ("Gaussians", f"{total.gaussians:,}"),
        ("bytes of a tile", f"{sizes[0]:,} to {sizes[-1]:,}, half of them up to {sizes[len(sizes) // 2]:,}"),
        *((("shared by tiles", shared),) if index.shared.pieces else ()),
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
        "shared_bytes": index.shared.size,
        "tiles": [
            {
                "name": tile.name,
                "file": tile.file,
                **box_to_plain(tile.low, tile.high),
                "reach": tile.reach,
                "bytes_up_to_level": [row.size for row in tile.levels],
                "bytes_of_its_own": tile.stored(len(tile.levels)),
                "anchors": tile.levels[-1].anchors,
                "gaussians": tile.levels[-1].gaussians,
            }
            for tile in index.tiles
        ],
    }
