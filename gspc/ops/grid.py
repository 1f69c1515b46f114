"""Context of anchors from the binary multi-resolution grid (torch autograd over `gspc._kernels`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda, reference
from gspc.ops.arrays import GridShape, grid_shape_array, kernels


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
    if table.device.type != "cpu":
        if table.is_cuda and cuda.enabled():
            return cuda.grid_context(positions, table, spec)
        return reference.grid_context(positions, table, spec)
    return _GridContext.apply(
        positions.contiguous(), table.contiguous(), grid_shape_array(spec), spec.context_size
    )


class _GridContext(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, embeddings: Tensor, shape: np.ndarray, width: int) -> Tensor:
        table = np.empty(len(embeddings) + kernels().GRID_SIGN_PADDING, np.uint8)
        out = torch.empty(len(positions), width)
        points = positions.numpy()
        kernels().grid_pack_signs(embeddings.detach().numpy(), table)
        kernels().grid_forward(shape, table, points, out.numpy())
        ctx.save_for_backward(positions, embeddings)
        ctx.shape = shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[None, Tensor, None, None]:
        positions, embeddings = ctx.saved_tensors
        grad = torch.empty(embeddings.shape)
        kernels().grid_backward(
            ctx.shape,
            embeddings.detach().numpy(),
            positions.numpy(),
            grad_out.contiguous().numpy(),
            grad.numpy(),
        )
        return None, grad, None, None
