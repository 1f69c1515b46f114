"""Context of anchors from the binary multi-resolution grid. N anchors, E grid entries, C context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.arrays.grid import GridShape
from gspc.ops.grid import cpu, cuda, definition

__all__ = ["GridShape", "grid_context"]


def grid_context(positions: Tensor, embeddings: Tensor | Sequence[Tensor], spec: GridShape) -> Tensor:
    """Binary grid context with a straight-through gradient (method section 3).

    Args:
        positions: voxel positions, int32 [N, 3]; values outside [0, 2^21) are clamped.
        embeddings: float32 [E, 4] or flat [4 E], or one such tensor per plane in plane order;
            E = spec.total_entries.
        spec: box and planes of the grid.

    Returns:
        float32 [N, C] in [-1, 1], exact multiples of 1/512: integer context (as the codec computes it) / 512.
        d sign(e) / d e is taken as 1 where |e| <= 1, else 0.

    Raises:
        ValueError: on a wrong shape, dtype, or tensors on different devices.
    """
    table = (
        embeddings
        if isinstance(embeddings, Tensor)
        else torch.cat([part.reshape(-1, 4) for part in embeddings])
    )
    if table.dtype != torch.float32 or table.numel() != spec.total_entries * 4:
        raise ValueError(
            f"embeddings are {table.dtype} with {table.numel()} values, "
            f"expected float32 with {spec.total_entries * 4}"
        )
    table = table.reshape(-1, 4)
    if positions.dtype != torch.int32 or positions.ndim != 2 or positions.shape[1] != 3:
        raise ValueError(f"positions are {positions.dtype} {tuple(positions.shape)}, expected int32 [N, 3]")
    if positions.device != table.device:
        raise ValueError(f"positions are on {positions.device}, embeddings on {table.device}")
    by = {"cpu": cpu.grid_context, "cuda": cuda.grid_context, "torch": definition.grid_context}
    return by[place.of(table)](positions, table, spec)
