"""Context of anchors from the binary multi-resolution grid. N anchors, E grid entries, C context."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.arrays.grid import GridShape
from gspc.ops.grid import cpu, cuda, definition
from gspc.ops.rows import positive_share

__all__ = ["GridShape", "grid_context", "grid_rows"]


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
    table = _checked(positions, embeddings, spec)
    by = {"cpu": cpu.grid_context, "cuda": cuda.grid_context, "torch": definition.grid_context}
    return by[place.of(table)](positions, table, spec)


def grid_rows(
    positions: Tensor, embeddings: Tensor, spec: GridShape, index: Tensor, also: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What a training step asks of a grid that learns; a GPU finds all of it in one go.

    Args:
        positions, embeddings, spec: as for `grid_context`; one tensor of embeddings.
        index: int64 [v], rows of the positions.
        also: int64 [a], other rows.

    Returns:
        The contexts at these rows, [v, C] and [a, C], and the share [] of the embeddings that are >= 0 (see
        `gspc.ops.rows.positive_share`). Gradients flow from all three to the embeddings.

    Raises:
        ValueError: as `grid_context`, and on indices of another dtype.
    """
    table = _checked(positions, embeddings, spec)
    if index.dtype != torch.int64 or also.dtype != torch.int64:
        raise ValueError(f"grid: rows are {index.dtype} and {also.dtype}, expected int64")
    by = place.of(table)
    if by == "cpu":  # one pass for each is as fast
        rows, others = (cpu.grid_context(positions.index_select(0, at), table, spec) for at in (index, also))
        return rows, others, positive_share(table)
    return (cuda if by == "cuda" else definition).grid_rows(positions, table, spec, index, also)


def _checked(positions: Tensor, embeddings: Tensor | Sequence[Tensor], spec: GridShape) -> Tensor:
    """The embeddings as one table [E, 4]."""
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
    if table.shape != (spec.total_entries, 4):
        table = table.reshape(-1, 4)
    if positions.dtype != torch.int32 or positions.ndim != 2 or positions.shape[1] != 3:
        raise ValueError(f"positions are {positions.dtype} {tuple(positions.shape)}, expected int32 [N, 3]")
    if positions.device != table.device:
        raise ValueError(f"positions are on {positions.device}, embeddings on {table.device}")
    return table
