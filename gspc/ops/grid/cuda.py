"""The context grid on a CUDA device: torch autograd over `kernels/cuda/grid.cu`."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.arrays.grid import GridShape, grid_shape_array
from gspc.ops.cuda import COUNT, POINTER


class _Call(ctypes.Structure):
    """`GridCall` of kernels/cuda/grid.cu."""

    _fields_ = (
        *((name, POINTER) for name in ("shape", "embeddings", "positions")),
        *((name, COUNT) for name in ("planes", "count", "also_count")),
        *((name, POINTER) for name in ("index", "also", "table", "parts", "out", "also_out", "share")),
        *((name, POINTER) for name in ("by_out", "by_also", "by_share")),
        *((name, POINTER) for name in ("sums", "largest", "by_embeddings")),
    )


def grid_context(positions: Tensor, table: Tensor, spec: GridShape) -> Tensor:
    """`gspc.ops.grid.grid_context` of checked arguments on one CUDA device: positions int32 [N, 3], table
    float32 [E, 4] -> float32 [N, C].

    The gradient's sums are exact to some 40 bits and do not depend on the order in which threads add. Raises
    BackendError where the kernels cannot be used.
    """
    kernels.require()
    result: Tensor = _Grid.apply(positions.contiguous(), _aligned(table), spec, None, None)
    return result


def grid_rows(
    positions: Tensor, table: Tensor, spec: GridShape, index: Tensor, also: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`gspc.ops.grid.grid_rows` of checked arguments, as above: [v] and [a] -> [v, C], [a, C], []."""
    rows = index.contiguous(), also.contiguous()
    found: tuple[Tensor, Tensor, Tensor] = _Grid.apply(positions.contiguous(), _aligned(table), spec, *rows)
    return found


class _Grid(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        positions: Tensor,
        table: Tensor,
        spec: GridShape,
        index: Tensor | None,
        also: Tensor | None,
    ) -> Tensor | tuple[Tensor, ...]:
        shape, width = grid_shape_array(spec), spec.context_size
        call = _Call(shape=shape.ctypes.data, planes=len(spec.planes))
        call.embeddings, call.positions = table.data_ptr(), positions.data_ptr()
        call.index, call.also = kernels.pointer(index), kernels.pointer(also)
        call.count = len(positions if index is None else index)
        call.also_count = 0 if also is None else len(also)
        parts = 4 * kernels.blocks(len(table))
        scratch = torch.empty(parts + len(table), dtype=torch.uint8, device=table.device)
        call.parts, call.table = scratch.data_ptr(), scratch.data_ptr() + parts
        found = [table.new_empty(call.count, width)]
        call.out = found[0].data_ptr()
        if also is not None:
            found += [table.new_empty(call.also_count, width), table.new_empty(())]
            call.also_out, call.share = (tensor.data_ptr() for tensor in found[1:])
        kernels.run("gspc_grid_forward", call, table)
        ctx.save_for_backward(positions, table, index, also)
        ctx.call, ctx.shape = call, shape
        ctx.set_materialize_grads(False)
        return tuple(found) if also is not None else found[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[None, Tensor, None, None, None]:
        table, call = ctx.saved_tensors[1], ctx.call
        found = torch.empty_like(table)
        values = table.numel()
        sums = torch.zeros(values + 1, dtype=torch.int64, device=table.device)
        given = [None if grad is None else _aligned(grad) for grad in grads]
        for name, grad in zip(("by_out", "by_also", "by_share"), given, strict=False):
            setattr(call, name, kernels.pointer(grad))
        call.sums, call.largest = sums.data_ptr(), sums.data_ptr() + 8 * values
        call.by_embeddings = found.data_ptr()
        kernels.run("gspc_grid_backward", call, table)
        return None, found, None, None, None


def _aligned(tensor: Tensor) -> Tensor:
    """Contiguous and on a 16-byte boundary, as the grid kernels load vectors; a view may be neither."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % 16 == 0 else tensor.clone()
