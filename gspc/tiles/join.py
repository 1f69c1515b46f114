"""Streams of tiles to an index. Each stream is decoded once per level, one after another, so that memory
depends on the largest tile alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from gspc.codec import decode
from gspc.codec.costs import decoding_memory
from gspc.errors import BitstreamError, InputError
from gspc.format import StreamInfo, describe
from gspc.format.limits import CHUNK_HEADER_BYTES
from gspc.format.tile import PLAN, Tile, tile_in
from gspc.ops.footprint import CUTOFF
from gspc.rendering.culling import anchor_bounds
from gspc.scene import F64, Camera, DecodedScene
from gspc.tiles.index import MAX_TILES, TileEntry, TileIndex, TileLevel, Triple, spread_evenly

COARSE_KEY = "coarse"  # of a stream's metadata: which coarse model its tile was fitted from
SAME = 1e-6  # of a background's colors
WORTH_SHARING = 512  # bytes of a chunk; what stands for it in an index has about 120


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk of a stream, with its header, that other streams may have, too."""

    at: int
    length: int
    digest: str  # SHA-256

    @property
    def end(self) -> int:
        """Where it ends in the stream."""
        return self.at + self.length


@dataclass(frozen=True)
class Joined:
    """What one stream adds to an index."""

    tile: Tile
    background: Triple
    cameras: tuple[Camera, ...]
    entry: TileEntry
    coarse: str = ""  # what tells its coarse model apart; empty where it had none
    parts: tuple[Part, ...] = ()  # in the stream's order


@dataclass
class _Measured:
    """What grows from level to level, in the frame of the whole scene."""

    spread: float = 0.0
    sigma: float = 0.0
    reach: float = 0.0

    def add(self, scene: DecodedScene, tile: Tile, anchors: F64) -> None:  # [N, 3]
        """Takes a level into account: coarser values may reach farther than finer ones."""
        bounds = anchor_bounds(scene)
        scale = scene.frame.scale / tile.frame.scale
        spread, sigma = scale * bounds.reach[bounds.alive], scale * bounds.sigma[bounds.alive]
        self.spread = max(self.spread, float(spread.max(initial=0)))
        self.sigma = max(self.sigma, float(sigma.max(initial=0)))
        seen = (spread + CUTOFF * sigma)[:, None]
        plan = anchors[bounds.alive][:, PLAN]
        beyond = np.maximum(tile.low - (plan - seen), plan + seen - tile.high)
        self.reach = max(self.reach, float(beyond.max(initial=0)))


def read_tile_stream(data: bytes, file: str, *, threads: int, max_memory: int) -> Joined:
    """A stream that is to be joined; `file` is what the index will call it. Raises InputError for a stream of
    no tile, BitstreamError for a damaged one."""
    stream = describe(data)
    if stream.truncated:
        raise BitstreamError("is cut short; get the file again")
    measured, rows = _Measured(), []
    for number, level in enumerate(stream.levels, start=1):
        scene = decode(data, upto=number, threads=threads, max_memory=max_memory).scene
        tile = _tile_of(scene)
        anchors = tile.frame.to_canonical(scene.frame.to_user(scene.anchors))
        measured.add(scene, tile, anchors)
        count = int(scene.gaussian_mask.sum())
        memory = decoding_memory(data, number)
        rows.append(TileLevel(level.offset + level.length, len(anchors), count, memory))
    entry = TileEntry(
        name=tile.name,
        file=file,
        low=tile.low,
        high=tile.high,
        floor=_triple(anchors.min(axis=0)),
        ceiling=_triple(anchors.max(axis=0)),
        spread=measured.spread,
        sigma=measured.sigma,
        reach=measured.reach,
        levels=tuple(rows),
    )
    coarse = scene.metadata.get(COARSE_KEY, "")
    return Joined(tile, scene.background, scene.cameras, entry, coarse, _parts(data, stream))


def _parts(data: bytes, stream: StreamInfo) -> tuple[Part, ...]:
    """Its larger chunks but for slices, of which no two tiles have the same."""
    found = []
    for chunk in stream.chunks:
        length = CHUNK_HEADER_BYTES + chunk.length
        if chunk.slice is None and length >= WORTH_SHARING:
            digest = sha256(memoryview(data)[chunk.offset : chunk.offset + length]).hexdigest()
            found.append(Part(chunk.offset, length, digest))
    return tuple(found)


def _tile_of(scene: DecodedScene) -> Tile:
    tile = tile_in(scene.metadata)
    if tile is None:
        raise InputError("is no tile; join streams of folders that gspc tile wrote")
    return tile


def memory_of(scene: DecodedScene) -> int:
    """Bytes of a decoded scene's arrays."""
    arrays = (scene.anchors, scene.features, scene.log_scales, scene.offsets, scene.gaussian_mask)
    return max(1, sum(array.nbytes for array in arrays))


def _triple(values: F64) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z


def united(found: Sequence[Joined]) -> TileIndex:
    """The index of tiles that fit together. Raises InputError for those that do not, naming two files."""
    if len(found) > MAX_TILES:
        raise InputError(f"{len(found):,} tiles are more than an index holds ({MAX_TILES:,})")
    first = found[0]
    for other in found[1:]:
        _check_alike(first, other)
    _check_apart(found)
    cameras = spread_evenly([camera for one in found for camera in one.cameras])
    entries = tuple(one.entry for one in found)
    return TileIndex(first.tile.frame, first.background, cameras, entries)


def _check_alike(first: Joined, other: Joined) -> None:
    if first.tile.frame.to_plain() != other.tile.frame.to_plain():
        raise InputError(
            f"{other.entry.file}: is a tile of another scene than {first.entry.file}, or of another run of "
            "gspc tile: their frames differ"
        )
    if first.coarse != other.coarse:
        raise InputError(
            f"{other.entry.file}: was fitted from another coarse model than {first.entry.file}, or one of "
            "them from none; fit all folders of one gspc tile run"
        )
    if not np.allclose(first.background, other.background, rtol=0, atol=SAME):
        raise InputError(
            f"{other.entry.file}: has another background than {first.entry.file}; fit all tiles with one "
            "--background"
        )


def _check_apart(found: Sequence[Joined]) -> None:
    """Raises InputError where boxes overlap: anchors belong to one tile only."""
    low = np.array([one.tile.low for one in found])
    high = np.array([one.tile.high for one in found])
    names: dict[str, str] = {}
    for number, one in enumerate(found):
        file = one.entry.file
        if one.tile.name in names:
            other = names[one.tile.name]
            raise InputError(f"{file}: is tile {one.tile.name}, as {other} is; name each tile once")
        names[one.tile.name] = file
        meets = ((low[:number] < high[number]) & (high[:number] > low[number])).all(axis=1)
        if meets.any():
            other = found[int(meets.argmax())].entry.file
            raise InputError(f"{file}: its box overlaps that of {other}; join the tiles of one gspc tile run")
