"""A tiled scene seen from a camera: only tiles that can touch the picture are decoded, each for itself; what
they show is united and drawn once. On the CPU nothing here imports torch."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gspc.codec import Region, decode
from gspc.errors import BitstreamError, GspcError, InputError
from gspc.format import limits
from gspc.format.tile import PLAN
from gspc.ops import arrays
from gspc.rendering.budget import WRITING, Budget, array_bytes
from gspc.rendering.culling import AnchorBounds, anchor_bounds, visible_anchors
from gspc.rendering.heads import gaussians_for_view
from gspc.rendering.rasterizer import Backend, choose_backend, rasterize
from gspc.rendering.render import check_camera
from gspc.rotations import quaternion_of
from gspc.scene import F32, F64, Camera, DecodedScene, Frame, Gaussians, Note
from gspc.splats.transform import multiply
from gspc.tiles.files import TileFiles
from gspc.tiles.index import TileIndex
from gspc.tiles.join import memory_of
from gspc.tiles.sight import visible_balls

# Of a drawn Gaussian: its 14 numbers, once more when they are united, and what the rasterizer makes of them.
GAUSSIAN_BYTES = 256
BOUNDS_BYTES = 16  # of an anchor: how far it reaches

Say = Callable[[Note], None]
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """One tile in a picture."""

    number: int
    level: int


@dataclass(frozen=True)
class TiledScene:
    """An index to be drawn, at level `upto` or as fine as tiles are, within `max_memory` bytes; of a `region`
    its anchors alone."""

    index: TileIndex
    folder: Path
    upto: int | None = None
    threads: int = 0
    max_memory: int = limits.MAX_MEMORY
    region: Region | None = None
    on_note: Say = field(default=lambda note: None, compare=False)

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Suggested views, in the user's coordinates."""
        return self.index.cameras

    @property
    def level(self) -> int:
        """The level that is drawn where memory allows."""
        return min(self.upto or self.index.levels, self.index.levels)

    @property
    def points(self) -> F64:  # [2 n, 3]
        """Corners of the tiles' anchors in the user's coordinates: where the scene is."""
        tiles = [tile for tile, there in zip(self.index.tiles, self.chosen, strict=True) if there]
        ends = [end for tile in tiles for end in (tile.floor, tile.ceiling)]
        return self.index.frame.to_user(np.array(ends))

    def decode(self, number: int, level: int, max_memory: int | None = None) -> DecodedScene:
        """A tile at a level, or its anchors in the region, within `max_memory` bytes (None: those that the
        scene may take). No more is read than it takes. Raises InputError, BitstreamError."""
        entry = self.index.tiles[number]
        row = entry.level(level)
        data = self.files.read(entry, level)
        upto, limit = min(level, len(entry.levels)), self.max_memory if max_memory is None else max_memory
        try:
            try:
                scene = decode(data, upto=upto, threads=self.threads, max_memory=limit).scene
            except BitstreamError:  # a thread less takes less memory
                scene = decode(data, upto=upto, threads=1, max_memory=limit).scene
        except GspcError as error:
            raise type(error)(f"{self.folder / entry.file}: {error}") from error
        if (len(scene.anchors), int(scene.gaussian_mask.sum())) != (row.anchors, row.gaussians):
            raise InputError(
                f"{self.folder / entry.file}: is not the stream that its index was made of; run gspc join "
                "again"
            )
        return scene if self.region is None else self.region.crop(scene)

    @cached_property
    def files(self) -> TileFiles:
        """Where its bytes are."""
        return TileFiles(self.index, self.folder)

    @cached_property
    def chosen(self) -> NDArray[np.bool_]:  # [tiles]
        """The tiles that can have anchors in the region."""
        tiles = self.index.tiles
        if self.region is None:
            return np.ones(len(tiles), np.bool_)
        corners = self.index.frame.to_canonical(self.region.corners)
        floor, ceiling = (np.array([getattr(tile, end) for tile in tiles]) for end in ("floor", "ceiling"))
        slack = 1e-6 * np.abs(corners).max()  # of rounding
        return ((floor <= corners.max(axis=0) + slack) & (ceiling >= corners.min(axis=0) - slack)).all(axis=1)

    def renderer(self, device: str = "cpu") -> TileRenderer:
        """What draws it. Raises BackendError."""
        return TileRenderer(self, choose_backend(device))

    @cached_property
    def bounds(self) -> AnchorBounds:
        """A ball around the anchors of each tile, as if it were one anchor with all that they may show."""
        tiles = self.index.tiles
        ends = np.array([(tile.floor, tile.ceiling) for tile in tiles])
        around = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) / 2
        spread = np.array([tile.spread for tile in tiles])
        sigma = np.array([tile.sigma for tile in tiles], np.float32)
        reach = ((around + spread) * (1 + 1e-6)).astype(np.float32)
        return AnchorBounds(ends.mean(axis=1).astype(np.float32), reach, sigma, np.ones(len(tiles), np.bool_))

    @cached_property
    def costs(self) -> tuple[F64, F64]:
        """Bytes that a picture takes for each tile's Gaussians, and for the tile decoded: [levels, tiles]."""
        rows = [[tile.level(level) for tile in self.index.tiles] for level in range(1, self.index.levels + 1)]
        gaussians = [[GAUSSIAN_BYTES * one.gaussians for one in row] for row in rows]
        decoded = [[one.memory + BOUNDS_BYTES * one.anchors for one in row] for row in rows]
        return np.array(gaussians, np.float64), np.array(decoded, np.float64)

    def memory(self, drawn: Sequence[Drawn]) -> int:
        """Bytes that a picture of these tiles takes at most: all their Gaussians, decoding one tile, and what
        tiles share."""
        return self._memory(*_columns(drawn))

    def gaussian_memory(self, drawn: Sequence[Drawn]) -> int:
        """Bytes that their Gaussians take of it."""
        numbers, levels = _columns(drawn)
        return int(self.costs[0][levels - 1, numbers].sum())

    def _memory(self, numbers: I64, levels: I64) -> int:
        gaussians, decoded = (cost[levels - 1, numbers] for cost in self.costs)
        return int(gaussians.sum() + decoded.max(initial=0)) + self.index.shared.size

    def plan(self, camera: Camera) -> tuple[Drawn, ...]:
        """The tiles that can touch a picture, nearest first, and the level of each: the one asked for, but a
        level less for the farthest, and so on, until all fit into memory. `camera` is in the index's frame.
        Raises BitstreamError where even level 1 of all does not fit."""
        seen = np.flatnonzero(visible_balls(self.bounds, camera) & self.chosen)
        away = np.linalg.norm(self.bounds.anchors[seen][:, PLAN] - camera.center[list(PLAN)], axis=1)
        numbers = seen[np.argsort(away, kind="stable")]

        def levels(steps: int) -> I64:
            rounds, rest = divmod(steps, max(len(numbers), 1))
            farthest = np.arange(len(numbers)) >= len(numbers) - rest
            return self.level - rounds - farthest.astype(np.int64)

        picture = WRITING * camera.width * camera.height

        def fits(steps: int) -> bool:
            return self._memory(numbers, levels(steps)) + picture <= self.max_memory

        most = len(numbers) * (self.level - 1)
        steps = bisect_left(range(most + 1), True, key=fits)
        if steps > most:
            least = self._memory(numbers, levels(most)) + picture
            raise BitstreamError(
                f"camera '{camera.name}': its {len(numbers)} tiles take about {least:,} bytes even at "
                "level 1; give a larger --max-memory"
            )
        return tuple(
            Drawn(int(number), int(level)) for number, level in zip(numbers, levels(steps), strict=True)
        )


def _columns(drawn: Sequence[Drawn]) -> tuple[I64, I64]:
    numbers = np.array([one.number for one in drawn], np.int64)
    return numbers, np.array([one.level for one in drawn], np.int64)


class TileRenderer:
    """Draws views of a tiled scene, and keeps tiles decoded from view to view as far as memory goes."""

    def __init__(self, scene: TiledScene, backend: Backend) -> None:
        self.scene = scene
        self.backend = backend
        self.decoded = 0  # how often a tile was decoded
        self._kept: OrderedDict[tuple[int, int], tuple[DecodedScene, AnchorBounds, int]] = OrderedDict()
        self._said = False

    def render(self, camera: Camera) -> F32:  # [H, W, 3]
        """The picture as `gspc.rendering.Renderer` gives it. `camera` is in the user's coordinates. Raises
        InputError, BitstreamError."""
        own = self.scene.index.frame.camera_to_canonical(camera)
        check_camera(own)
        drawn = self.scene.plan(own)
        self._say(camera, drawn)
        room = self.scene.max_memory - self.scene.gaussian_memory(drawn) - self.scene.index.shared.size
        room -= WRITING * camera.width * camera.height
        parts = []
        for one in drawn:
            scene, bounds = self._tile(one.number, one.level, room)
            parts.append(_shown(scene, bounds, camera, self.scene.index.frame, own.center))
        pose = np.eye(4)
        pose[:3, :3] = own.world_to_camera[:3, :3]
        return self._draw(_united(parts), replace(own, world_to_camera=pose))

    def _say(self, camera: Camera, drawn: tuple[Drawn, ...]) -> None:
        coarse = sum(one.level < self.scene.level for one in drawn)
        if coarse and not self._said:
            self._said = True
            self.scene.on_note(
                Note(
                    f"camera '{camera.name}': {coarse} of its {len(drawn)} tiles, the far ones, are drawn "
                    "at a coarser level to keep to --max-memory",
                    warning=True,
                )
            )

    def _tile(self, number: int, level: int, room: int) -> tuple[DecodedScene, AnchorBounds]:
        """A decoded tile. Those that were not used for longest leave as far as decoding it takes their place
        in the `room` bytes that Gaussians leave."""
        key = (number, level)
        if key not in self._kept:
            self._leave(room - self.scene.index.tiles[number].level(level).memory)
            scene = self.scene.decode(number, level, room)
            self.decoded += 1
            self._kept[key] = (
                scene,
                anchor_bounds(scene),
                memory_of(scene) + BOUNDS_BYTES * len(scene.anchors),
            )
        self._kept.move_to_end(key)
        scene, bounds, _ = self._kept[key]
        return scene, bounds

    def _leave(self, room: int) -> None:
        total = sum(size for _, _, size in self._kept.values())
        while self._kept and total > max(room, 0):
            total -= self._kept.popitem(last=False)[1][2]

    def _draw(self, gaussians: Gaussians, camera: Camera) -> F32:
        background = self.scene.index.background
        parts = gaussians.parts
        if self.backend.name != "cpu":
            import torch

            means, quats, scales, opacities, colors = (
                torch.as_tensor(array, device=self.backend.device) for array in parts
            )
            with torch.no_grad():
                drawn = rasterize(self.backend, means, quats, scales, opacities, colors, camera, background)
            return drawn.image.cpu().numpy()
        budget = Budget(self.scene.max_memory).holding(array_bytes(*parts))
        budget = budget.holding(WRITING * camera.width * camera.height + self.scene.index.shared.size)
        lens = (camera.fx, camera.fy, camera.cx, camera.cy)
        view = (camera.world_to_camera, lens, camera.width, camera.height, background)
        kept = sum(size for _, _, size in self._kept.values())
        with suppress(arrays.OverBudget):
            return arrays.rasterize(*parts, *view, budget.holding(kept).room).image
        self._kept.clear()  # tiles make room for large Gaussians
        with budget.drawing(camera.name):
            return arrays.rasterize(*parts, *view, budget.room).image


def _shown(scene: DecodedScene, bounds: AnchorBounds, camera: Camera, frame: Frame, center: F64) -> Gaussians:
    """What a tile shows to a camera of the user's coordinates, in axes and units of `frame` with the camera
    at the origin: float32 is finest there, however large the scene."""
    own = scene.frame
    seen = own.camera_to_canonical(camera)
    found = gaussians_for_view(scene, seen, visible_anchors(bounds, seen))
    turn = frame.rotation.T @ own.rotation
    scale = own.scale / frame.scale
    moved = (own.translation - frame.translation) @ frame.rotation / frame.scale - center
    means = (scale * (found.means.astype(np.float64) @ turn.T) + moved).astype(np.float32)
    same = np.array_equal(own.rotation, frame.rotation)
    quats = found.quats if same else multiply(quaternion_of(turn), found.quats)
    return replace(found, means=means, quats=quats, scales=found.scales * np.float32(scale))


def _united(parts: list[Gaussians]) -> Gaussians:
    def joined(name: str, width: int) -> F32:
        rows = [getattr(part, name).reshape(-1, width) for part in parts]
        return np.ascontiguousarray(np.concatenate([np.zeros((0, width), np.float32), *rows]))

    return Gaussians(
        joined("means", 3),
        joined("quats", 4),
        joined("scales", 3),
        joined("opacities", 1)[:, 0],
        joined("colors", 3),
    )
