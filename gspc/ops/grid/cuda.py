"""The context grid on a CUDA device: torch autograd over `kernels/cuda/grid.cu`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.arrays.grid import GridShape, grid_shape_array


def grid_context(positions: Tensor, table: Tensor, spec: GridShape) -> Tensor:
    """`gspc.ops.grid.grid_context` of checked arguments on one CUDA device: positions int32 [N, 3], table
    float32 [E, 4] -> float32 [N, C].

    The gradient's sums are exact to some 40 bits and do not depend on the order in which threads add. Raises
    BackendError where the kernels cannot be used.
    """
    kernels.require()
    result: Tensor = _GridContext.apply(positions.contiguous(), _aligned(table), spec)
    return result


class _GridContext(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, table: Tensor, spec: GridShape) -> Tensor:
        shape = grid_shape_array(spec)
        signs = torch.empty(len(table), dtype=torch.uint8, device=table.device)
        out = table.new_empty(len(positions), spec.context_size)
        with kernels.on_device(table):
            stream = kernels.stream(table)
            kernels.call("gspc_grid_pack_signs", table.data_ptr(), len(table), signs.data_ptr(), stream)
            kernels.call(
                "gspc_grid_forward",
                shape.ctypes.data,
                len(spec.planes),
                signs.data_ptr(),
                positions.data_ptr(),
                len(positions),
                out.data_ptr(),
                stream,
            )
        ctx.save_for_backward(positions, table)
        ctx.shape = shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[None, Tensor, None]:
        positions, table = ctx.saved_tensors
        grad = torch.empty_like(table)
        grad_out = _aligned(grad_out)
        sums = torch.zeros(table.shape, dtype=torch.int64, device=table.device)
        largest = torch.zeros(1, dtype=torch.int32, device=table.device)
        with kernels.on_device(table):
            kernels.call(
                "gspc_grid_backward",
                ctx.shape.ctypes.data,
                (len(ctx.shape) - 6) // 3,
                table.data_ptr(),
                positions.data_ptr(),
                grad_out.data_ptr(),
                len(positions),
                sums.data_ptr(),
                largest.data_ptr(),
                grad.data_ptr(),
                kernels.stream(table),
            )
        return None, grad, None


def _aligned(tensor: Tensor) -> Tensor:
    """Contiguous and on a 16-byte boundary, as the grid kernels load vectors; a view may be neither."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % 16 == 0 else tensor.clone()
