"""What a stream says once, for all its slices (pcgs(5), HEAD, GRID, GHED and NETS)."""

from __future__ import annotations

from dataclasses import dataclass

from gspc.errors import BitstreamError
from gspc.format.chunks import ChunkInfo
from gspc.format.container import StreamInfo
from gspc.format.grid import GridSpec
from gspc.format.limits import CHUNK_HEADER_BYTES
from gspc.format.shape import StreamShape
from gspc.reference.arrays import F32, I32, I64, Bool
from gspc.reference.context import grid_context
from gspc.reference.integer_layers import NetworkReader
from gspc.reference.networks import Layers, pool_features
from gspc.reference.parameters import StoredHeads, read_grid, read_heads


@dataclass(frozen=True)
class Model:
    """All that the symbols of slices are predicted from."""

    shape: StreamShape
    position_bits: int
    grid_signs: tuple[Bool, ...]  # [entries, 4] of each plane
    layers: Layers
    heads: StoredHeads
    stages: tuple[int, ...]  # of the levels

    def context(self, positions: I32) -> I64:
        """Context [N, C] at positions [N, 3]."""
        return self._context(positions, self.shape.context_planes)

    def pool_features(self, positions: I32) -> F32:
        """Features [N, P] of a stream with a pool, from positions [N, 3] alone."""
        return pool_features(self.layers, self._context(positions, self.shape.pool_planes))

    def _context(self, positions: I32, planes: slice) -> I64:
        grid = self.shape.grid
        part = GridSpec(grid.box_low, grid.box_size, grid.planes[planes])
        return grid_context(positions, part, self.grid_signs[planes])


def payload(data: bytes, chunk: ChunkInfo) -> bytes:
    """What a chunk holds."""
    start = chunk.offset + CHUNK_HEADER_BYTES
    return data[start : start + chunk.length]


def read_model(data: bytes, info: StreamInfo, level: int) -> Model:
    """Everything that is not in slices, as far as `level` needs it. Raises BitstreamError for damage and for
    streams that this decoder does not read."""
    header = info.header
    shape = header.shape
    if header.coder != "lanes":
        raise BitstreamError(f"symbols are coded by {header.coder}, which this decoder does not read")
    if len(info.levels) > 1 and not shape.holds_levels:
        raise BitstreamError("a stream of several levels needs trit networks")
    parts = {(chunk.tag, chunk.level): payload(data, chunk) for chunk in info.chunks}
    needed = [("GRID", 1), ("GHED", 1), *(("NETS", one) for one in range(1, level + 1))]
    for tag, one in needed:
        if (tag, one) not in parts:
            raise BitstreamError(f"level {one} has no chunk {tag}")
    networks = NetworkReader(shape)
    for one in range(1, level + 1):
        networks.add_level(parts["NETS", one])
    return Model(
        shape,
        header.position_bits,
        read_grid(parts["GRID", 1], shape.grid),
        networks.layers(),
        read_heads(parts["GHED", 1], shape),
        tuple(networks.stages),
    )
