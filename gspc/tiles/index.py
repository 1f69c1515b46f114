"""The index of a tiled scene, a `.pcgsx` file: JSON that says where each tile lies and what its stream holds
(pcgsx(5))."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from gspc.errors import InputError
from gspc.format import limits
from gspc.format.tile import MAX_SIDE, Pair, box_from_plain, box_to_plain
from gspc.format.usable import camera_problem, frame_problem, name_problem
from gspc.scene import Camera, Frame
from gspc.tiles.value import Value, parsed

FORMAT, VERSION = "gspc-tiles", 2
PLAIN = 1  # the version of an index whose tiles are whole streams; older readers know no other
MARK = b'{"format": "gspc-tiles"'  # how every index begins
MAX_TILES = 1 << 16
MAX_BYTES = 1 << 27  # of an index: 2 KiB for each of the most tiles
MAX_STREAM = 1 << 53  # bytes; whole numbers that JSON readers keep exact
MAX_COUNT = 1 << 40  # anchors, Gaussians
MAX_REACH = 2.0**60  # own units; squares are finite in float32
MAX_PIECE = limits.MAX_CHUNK_BYTES + limits.CHUNK_HEADER_BYTES
DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_PIECES = 1 << 12  # that tiles share: some for each level, and for each of some coarse models

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class TileLevel:
    """The beginning of a tile's stream, up to the end of a level."""

    size: int  # bytes
    anchors: int
    gaussians: int
    memory: int  # bytes of the decoded scene


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that several tiles have in common, in the file that holds what is shared."""

    offset: int
    length: int
    digest: str  # SHA-256 in hexadecimal digits


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece that a tile's file lacks."""

    at: int  # where it belongs in the tile's stream
    piece: Piece

    @property
    def end(self) -> int:
        """Where it ends in the stream."""
        return self.at + self.piece.length


@dataclass(frozen=True, slots=True)
class Shared:
    """What tiles share: a file beside them, and its pieces."""

    file: str = ""  # relative to the index; empty where tiles are whole
    pieces: tuple[Piece, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all pieces."""
        return sum(piece.length for piece in self.pieces)


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
    cuts: tuple[Cut, ...] = ()  # in the stream's order

    def cuts_up_to(self, number: int) -> tuple[Cut, ...]:
        """Those in the stream up to a level, counted from 1."""
        end = self.level(number).size
        return tuple(cut for cut in self.cuts if cut.at < end)

    def stored(self, number: int) -> int:
        """Bytes that the tile's own file has of the stream up to a level."""
        return self.level(number).size - sum(cut.piece.length for cut in self.cuts_up_to(number))

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
    shared: Shared = Shared()

    @property
    def levels(self) -> int:
        """Of the tile that has most."""
        return max(len(tile.levels) for tile in self.tiles)

    def total(self, level: int) -> TileLevel:
        """All tiles up to a level; what they share counts once."""
        rows = [tile.level(level) for tile in self.tiles]
        pieces = {cut.piece for tile in self.tiles for cut in tile.cuts_up_to(level)}
        return TileLevel(
            sum(tile.stored(level) for tile in self.tiles) + sum(piece.length for piece in pieces),
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
        f'"version": {VERSION if index.shared.pieces else PLAIN}',
        f'"frame": {line(index.frame.to_plain())}',
        f'"background": {line([float(value) for value in index.background])}',
        f'"cameras": {listed(camera.to_plain() for camera in index.cameras)}',
    ]
    if index.shared.pieces:
        parts.append(f'"shared_file": {line(index.shared.file)}')
        parts.append(f'"shared": {listed(_piece_to_plain(piece) for piece in index.shared.pieces)}')
    numbers = {piece: number for number, piece in enumerate(index.shared.pieces)}
    parts.append(f'"tiles": {listed(_tile_to_plain(tile, numbers) for tile in index.tiles)}')
    return (MARK.decode() + ",\n" + ",\n".join(parts) + "}\n").encode()


def _piece_to_plain(piece: Piece) -> dict[str, Any]:
    return {"offset": piece.offset, "length": piece.length, "sha256": piece.digest}


def _tile_to_plain(tile: TileEntry, numbers: dict[Piece, int]) -> dict[str, Any]:
    cuts = [{"at": cut.at, "shared": numbers[cut.piece]} for cut in tile.cuts]
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
        **({"cuts": cuts} if cuts else {}),
    }


def read_index(data: bytes) -> TileIndex:
    """The reverse of `write_index`. Raises InputError for anything that is not as it should be."""
    if len(data) > MAX_BYTES:
        raise InputError(f"is larger than {MAX_BYTES >> 20} MiB; an index of tiles is not")
    values = parsed(data)
    if values["format"].text() != FORMAT:
        raise values["format"].error("is not that of an index of tiles")
    version = values["version"].whole(0, 1 << 31)
    if not PLAIN <= version <= VERSION:
        raise InputError(
            f"is an index of version {version}, and {PLAIN} to {VERSION} are known here; update gspc"
        )
    frame = _frame(values["frame"])
    red, green, blue = (value.number(0, 1) for value in values["background"].items(3, 3))
    cameras = tuple(_camera(value) for value in values["cameras"].items(0, limits.MAX_CAMERAS))
    shared = _shared(values) if version > PLAIN else Shared()
    tiles = tuple(_tile(value, shared) for value in values["tiles"].items(1, MAX_TILES))
    if len({tile.name for tile in tiles}) != len(tiles):
        raise values["tiles"].error("has two tiles of one name")
    return TileIndex(frame, (red, green, blue), cameras, tiles, shared)


def _shared(values: Value) -> Shared:
    pieces, end = [], 0
    for value in values["shared"].items(1, MAX_PIECES):
        offset, length = value["offset"].whole(end, MAX_STREAM), value["length"].whole(1, MAX_PIECE)
        if DIGEST.fullmatch(digest := value["sha256"].text()) is None:
            raise value["sha256"].error("is no SHA-256 in hexadecimal digits")
        pieces.append(Piece(offset, length, digest))
        end = offset + length
    return Shared(_file(values["shared_file"]), tuple(pieces))


def _file(value: Value) -> str:
    if not stays_inside(value.text()):
        raise value.error("leads out of the index's folder")
    return value.text()


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


def _tile(values: Value, shared: Shared) -> TileEntry:
    name = values["name"]
    if (problem := name_problem(name.text())) is not None:
        raise name.error(f"cannot be used: {problem}")
    file = _file(values["file"])
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
    cuts = _cuts(values["cuts"], levels, shared) if values.has("cuts") else ()
    return TileEntry(name.text(), file, low, high, floor, ceiling, spread, sigma, reach, levels, cuts)


def _cuts(values: Value, levels: tuple[TileLevel, ...], shared: Shared) -> tuple[Cut, ...]:
    """What a tile's file lacks: in order, and each within what one level adds."""
    cuts, end = [], 0
    for value in values.items(0, len(shared.pieces)):
        piece = shared.pieces[value["shared"].whole(0, len(shared.pieces) - 1)]
        cut = Cut(value["at"].whole(end, MAX_STREAM), piece)
        end = cut.end
        if end > levels[-1].size or any(cut.at < row.size < end for row in levels):
            raise value.error("does not lie within a level of its stream")
        cuts.append(cut)
    return tuple(cuts)


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


def spread_evenly(cameras: Sequence[Camera], most: int = limits.MAX_CAMERAS) -> tuple[Camera, ...]:
    """At most `most` cameras of as many as there are, each name once."""
    unique = list({camera.name: camera for camera in cameras}.values())
    step = max(1, -(-len(unique) // most))
    return tuple(unique[::step])
