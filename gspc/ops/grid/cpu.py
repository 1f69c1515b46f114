"""The context grid on a CPU: torch autograd over `gspc._kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops.arrays.grid import GridShape, grid_shape_array
from gspc.ops.kernels import native


def grid_context(positions: Tensor, table: Tensor, spec: GridShape) -> Tensor:
    """`gspc.ops.grid.grid_context` of checked arguments: int32 [N, 3], float32 [E, 4] -> float32 [N, C]."""
    result: Tensor = _GridContext.apply(
        positions.contiguous(), table.contiguous(), grid_shape_array(spec), spec.context_size
    )
    return result


class _GridContext(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, embeddings: Tensor, shape: np.ndarray, width: int) -> Tensor:
        table = np.empty(len(embeddings) + native.GRID_SIGN_PADDING, np.uint8)
        out = torch.empty(len(positions), width)
        points = positions.numpy()
        native.grid_pack_signs(embeddings.detach().numpy(), table)
        native.grid_forward(shape, table, points, out.numpy())
        ctx.save_for_backward(positions, embeddings)
        ctx.shape = shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[None, Tensor, None, None]:
        positions, embeddings = ctx.saved_tensors
        grad = torch.empty(embeddings.shape)
        native.grid_backward(
            ctx.shape,
            embeddings.detach().numpy(),
            positions.numpy(),
            grad_out.contiguous().numpy(),
            grad.numpy(),
        )
        return None, grad, None, None
