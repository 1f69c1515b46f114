"""The index of a tiled scene, a `.pcgsx` file: JSON that says where each tile lies and what its stream holds
(pcgsx(5))."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from gspc.errors import InputError
from gspc.format import limits
from gspc.format.tile import MAX_SIDE, Pair, box_from_plain, box_to_plain
from gspc.format.usable import camera_problem, frame_problem, name_problem
from gspc.scene import Camera, Frame
from gspc.tiles.value import Value, parsed

FORMAT, VERSION = "gspc-tiles", 1
MARK = b'{"format": "gspc-tiles"'  # how every index begins
MAX_TILES = 1 << 16
MAX_BYTES = 1 << 27  # of an index: 2 KiB for each of the most tiles
MAX_STREAM = 1 << 53  # bytes; whole numbers that JSON readers keep exact
MAX_COUNT = 1 << 40  # anchors, Gaussians
MAX_REACH = 2.0**60  # own units; squares are finite in float32

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class TileLevel:
    """The beginning of a tile's stream, up to the end of a level."""

    size: int  # bytes
    anchors: int
    gaussians: int
    memory: int  # bytes of the decoded scene


@dataclass(frozen=True, slots=True)
class TileEntry:
    """One tile of an index. Coordinates and lengths are those of the index's frame."""

    name: str
    file: str  # relative to the index, with forward slashes
    low: Pair  # of its box: x and z, -inf where it does not end
    high: Pair
    floor: Triple  # least coordinates of its anchors
    ceiling: Triple  # largest ones
    spread: float  # farthest mean of a Gaussian from its anchor
    sigma: float  # largest standard deviation that a Gaussian may have
    reach: float  # how far beyond the box anything of it can be seen
    levels: tuple[TileLevel, ...]

    def level(self, number: int) -> TileLevel:
        """Of a level counted from 1, or the last one."""
        return self.levels[min(number, len(self.levels)) - 1]


@dataclass(frozen=True)
class TileIndex:
    """A scene of many tiles."""

    frame: Frame  # of the user's coordinates
    background: Triple
    cameras: tuple[Camera, ...]  # suggested views, in the user's coordinates
    tiles: tuple[TileEntry, ...]

    @property
    def levels(self) -> int:
        """Of the tile that has most."""
        return max(len(tile.levels) for tile in self.tiles)

    def total(self, level: int) -> TileLevel:
        """All tiles up to a level."""
        rows = [tile.level(level) for tile in self.tiles]
        return TileLevel(
            sum(row.size for row in rows),
            sum(row.anchors for row in rows),
            sum(row.gaussians for row in rows),
            sum(row.memory for row in rows),
        )


def write_index(index: TileIndex) -> bytes:
    """The file; a line for each camera and each tile."""

    def line(value: Any) -> str:
        return json.dumps(value, allow_nan=False)

    def listed(values: Iterator[Any]) -> str:
        return "[\n" + ",\n".join(f" {line(value)}" for value in values) + "\n]"

    parts = [
        f'"version": {VERSION}',
        f'"frame": {line(index.frame.to_plain())}',
        f'"background": {line([float(value) for value in index.background])}',
        f'"cameras": {listed(camera.to_plain() for camera in index.cameras)}',
        f'"tiles": {listed(_tile_to_plain(tile) for tile in index.tiles)}',
    ]
    return (MARK.decode() + ",\n" + ",\n".join(parts) + "}\n").encode()


def _tile_to_plain(tile: TileEntry) -> dict[str, Any]:
    return {
        "name": tile.name,
        "file": tile.file,
        **box_to_plain(tile.low, tile.high),
        "anchors_from": list(tile.floor),
        "anchors_to": list(tile.ceiling),
        "spread": tile.spread,
        "sigma": tile.sigma,
        "reach": tile.reach,
        "levels": [
            {"end": row.size, "anchors": row.anchors, "gaussians": row.gaussians, "memory": row.memory}
            for row in tile.levels
        ],
    }


def read_index(data: bytes) -> TileIndex:
    """The reverse of `write_index`. Raises InputError for anything that is not as it should be."""
    if len(data) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES >> 20} MiB; an index of tiles is not")
    values = parsed(data)
    if values["format"].text() != FORMAT:
        raise values["format"].error("is not that of an index of tiles")
    if (version := values["version"].whole(0, 1 << 31)) != VERSION:
        raise InputError(f"is an index of version {version}, and {VERSION} is known here; update gspc")
    frame = _frame(values["frame"])
    red, green, blue = (value.number(0, 1) for value in values["background"].items(3, 3))
    cameras = tuple(_camera(value) for value in values["cameras"].items(0, limits.MAX_CAMERAS))
    tiles = tuple(_tile(value) for value in values["tiles"].items(1, MAX_TILES))
    if len({tile.name for tile in tiles}) != len(tiles):
        raise values["tiles"].error("has two tiles of one name")
    return TileIndex(frame, (red, green, blue), cameras, tiles)


def _frame(values: Value) -> Frame:
    try:
        frame = Frame.from_plain(values.value)
        problem = frame_problem(frame)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise values.error(f"is no frame ({error})") from None
    if problem is not None:
        raise values.error(f"cannot be used: {problem}")
    return frame


def _camera(values: Value) -> Camera:
    name = values["name"].text()
    for side in values["size"].items(2, 2):
        side.whole(1, limits.MAX_SIDE)
    try:
        camera = Camera.from_plain(values.value)
        problem = camera_problem(camera)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise values.error(f"is no camera ({error})") from None
    if problem is not None:
        raise values.error(f"('{name[:40]}') cannot be used: {problem}")
    return camera


def _tile(values: Value) -> TileEntry:
    name = values["name"]
    if (problem := name_problem(name.text())) is not None:
        raise name.error(f"cannot be used: {problem}")
    file = values["file"]
    if not stays_inside(file.text()):
        raise file.error("leads out of the index's folder")
    try:
        low, high = box_from_plain(values.value)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise values.error(f"has no box ({error})") from None
    spread, sigma, reach = (values[key].number(0, MAX_REACH) for key in ("spread", "sigma", "reach"))
    levels = tuple(_level(value) for value in values["levels"].items(1, limits.MAX_LEVELS))
    for before, after in itertools.pairwise(levels):
        if before.size >= after.size or before.anchors > after.anchors or before.gaussians > after.gaussians:
            raise values["levels"].error("do not grow")
    floor, ceiling = _three(values["anchors_from"]), _three(values["anchors_to"])
    return TileEntry(name.text(), file.text(), low, high, floor, ceiling, spread, sigma, reach, levels)


def _three(values: Value) -> Triple:
    x, y, z = (value.number(-MAX_SIDE, MAX_SIDE) for value in values.items(3, 3))
    return x, y, z


def _level(values: Value) -> TileLevel:
    return TileLevel(
        values["end"].whole(1, MAX_STREAM),
        values["anchors"].whole(1, MAX_COUNT),
        values["gaussians"].whole(1, MAX_COUNT),
        values["memory"].whole(1, MAX_STREAM),
    )


def stays_inside(name: str) -> bool:
    """Whether a file's name, with forward slashes, can only be a file below the folder it is joined to; the
    same on every system."""
    parts = name.split("/")
    plain = name.isprintable() and "\\" not in name and not PureWindowsPath(name).drive
    return plain and all(part not in ("", ".", "..") for part in parts)


def file_of(entry: TileEntry, folder: Path) -> Path:
    """A tile's file, below the folder of its index even through links. Raises InputError."""
    path = folder / entry.file
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: cannot be found ({error})") from None
    if not inside:
        raise InputError(f"{path}: is a link that leads out of the index's folder, and is not followed")
    return path


def tile_size(entry: TileEntry, folder: Path) -> int:
    """Bytes of a tile's file. Raises InputError where there is none."""
    path = file_of(entry, folder)
    if not path.is_file():
        raise InputError(f"{path}: no such file, which the index names; get it, or run gspc join again")
    return path.stat().st_size


def read_tile(entry: TileEntry, folder: Path, level: int) -> bytes:
    """The beginning of a tile's stream up to a level, and no byte more. Raises InputError."""
    path, size = folder / entry.file, entry.level(level).size
    try:
        if tile_size(entry, folder) < size:
            raise InputError(f"{path}: is shorter than its index says; get it again, or run gspc join again")
        with path.open("rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def spread_evenly(cameras: Sequence[Camera], most: int = limits.MAX_CAMERAS) -> tuple[Camera, ...]:
    """At most `most` cameras of as many as there are, each name once."""
    unique = list({camera.name: camera for camera in cameras}.values())
    step = max(1, -(-len(unique) // most))
    return tuple(unique[::step])
