"""What single anchors cost: the code lengths that a stream's integer tables promise, symbol by symbol.

The core adds them up while it decodes. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gspc import _codec
from gspc.codec.core import COMPONENTS
from gspc.codec.recode import recode
from gspc.errors import BitstreamError
from gspc.format import limits
from gspc.format.scene import F32, F64, I32, U8

__all__ = ["COMPONENTS", "AnchorCosts", "anchor_costs", "decoding_memory", "plane_entropies"]


@dataclass(frozen=True)
class AnchorCosts:
    """Bits of the symbols of each anchor at each level (not of positions, masks and escaped magnitudes)."""

    positions: I32  # [N, 3] voxels
    first_level: U8  # [N] the level at which an anchor appears
    bits: F32  # [S, N, 6] by level and COMPONENTS; 0 before an anchor appears
    origin: tuple[float, float, float]
    voxel_size: float

    @property
    def world(self) -> F64:  # [N, 3]
        """Anchors in world space."""
        return self.positions * self.voxel_size + np.array(self.origin)


def decoding_memory(data: bytes, upto: int, *, threads: int = 1) -> int:
    """Bytes that decoding a stream up to a level takes at most. Raises BitstreamError."""
    try:
        return _codec.decode_cost(bytes(data), upto, threads)[0]
    except _codec.StreamError as error:
        raise BitstreamError(str(error)) from None


def anchor_costs(data: bytes, *, threads: int = 0, max_memory: int = limits.MAX_MEMORY) -> AnchorCosts:
    """The bits of every anchor of a stream's whole levels, in about the time that decoding takes.

    Raises BitstreamError for a damaged stream or one beyond `max_memory` bytes, BackendError when it was
    coded with torchac and that is not installed.
    """
    lanes = recode(bytes(data), "lanes", max_memory=max_memory)
    try:
        return AnchorCosts(*_codec.stream_costs(lanes, threads, max_memory))
    except _codec.StreamError as error:
        raise BitstreamError(str(error)) from None


def plane_entropies(data: bytes) -> list[float]:
    """Bits of each plane of the grid, by whatever coder the stream is.

    The entropy of the plane's signs, feature by feature, given the two entries before, which the grid's
    adaptive models approach. Raises BitstreamError.
    """
    try:
        return list(_codec.plane_entropies(bytes(data)))
    except _codec.StreamError as error:
        raise BitstreamError(str(error)) from None
