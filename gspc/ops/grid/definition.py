"""The readable torch version of `gspc.ops.grid` (method section 3), on any device; tests compare the kernels
with it. N anchors, E grid entries, C context."""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops.arrays.grid import GridShape
from gspc.ops.rows.definition import positive_share

_PRIMES = (1, 2654435761, 805459861)
_AXES = ((0, 1, 2), (0, 1), (0, 2), (1, 2))


def grid_coordinates(positions: Tensor, spec: GridShape) -> Tensor:
    """Voxel positions [N, 3] to int64 [N, 3] in [0, 2^20): the box fills the middle 15/16, the rest is
    contracted.
    """
    p = positions.long().clamp(0, (1 << 21) - 1)
    low = torch.tensor(spec.box_low, device=p.device)
    size = torch.tensor(spec.box_size, device=p.device)
    below, above = (low - p).clamp(min=0), (p - low - size).clamp(min=0)
    inside = (1 << 15) + (p - low) * ((1 << 20) - (1 << 16)) // size
    under = (1 << 15) - (below << 15) // (below + size)
    over = (1 << 20) - (1 << 15) + (above << 15) // (above + size)
    u = torch.where(p < low, under, torch.where(p >= low + size, over, inside))
    return u.clamp(max=(1 << 20) - 1)


def _grid_corners(u: Tensor, plane: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Entry indices int64 [N, 2^d] and integer weights int64 [N, 2^d] (they sum to 2^(8 d)) of one plane's
    corners.
    """
    dims, resolution, log2_size = plane
    axes = _AXES[dims]
    side = resolution + 1
    dense = side ** len(axes) <= 1 << log2_size
    index = torch.zeros(len(u), 1, dtype=torch.int64, device=u.device)
    weight = torch.ones_like(index)
    for i, axis in enumerate(axes):
        v = u[:, axis, None] * resolution
        upper = torch.tensor([[0, 1]], device=u.device)
        corner = (v >> 20) + upper  # [N, 2]
        fraction = (v >> 12) & 255
        corner_weight = torch.where(upper == 1, fraction, 256 - fraction)
        if dense:
            index = (index[:, None, :] + corner[:, :, None] * side**i).flatten(1)
        else:
            index = (index[:, None, :] ^ ((corner * _PRIMES[i]) & 0xFFFFFFFF)[:, :, None]).flatten(1)
        weight = (weight[:, None, :] * corner_weight[:, :, None]).flatten(1)
    return (index if dense else index & ((1 << log2_size) - 1)), weight


def grid_context(positions: Tensor, embeddings: Tensor, spec: GridShape) -> Tensor:
    """Binary grid context, float32 [N, C] in [-1, 1], from voxel positions [N, 3] and embeddings [E, 4].

    Linear interpolation of the embeddings' signs, rounded to 1/512. The gradient is straight-through: the
    rounding is ignored and d sign(e) / d e = 1 where |e| <= 1, else 0.
    """
    u = grid_coordinates(positions, spec)
    gated = torch.where((embeddings >= -1) & (embeddings <= 1), embeddings, torch.zeros_like(embeddings))
    hard = torch.where(embeddings >= 0, 1.0, -1.0)
    signs = hard + (gated - gated.detach())
    parts, start = [], 0
    for plane in spec.planes:
        index, weight = _grid_corners(u, plane)
        # Every partial sum is a multiple of 2^-24 (3D) or 2^-16 not above 1, so float32 holds it exactly.
        soft = (signs[start + index] * (weight.float() / 256 ** len(_AXES[plane[0]]))[..., None]).sum(1)
        exact = torch.floor(soft.detach().double() * 512 + 0.5) / 512
        parts.append(soft + (exact.float() - soft.detach()))
        dims, resolution, log2_size = plane
        start += min((resolution + 1) ** len(_AXES[dims]), 1 << log2_size)
    return torch.cat(parts, 1) if parts else embeddings.new_zeros(len(positions), 0)


def grid_rows(
    positions: Tensor, embeddings: Tensor, spec: GridShape, index: Tensor, also: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """See `gspc.ops.grid.grid_rows`: [v] and [a] -> [v, C], [a, C], []."""
    both = grid_context(positions.index_select(0, torch.cat([index, also])), embeddings, spec)
    rows, others = both.split([len(index), len(also)])
    return rows, others, positive_share(embeddings)
