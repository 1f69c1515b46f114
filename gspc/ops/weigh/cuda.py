"""The rate in the loss on a CUDA device: torch autograd over `kernels/cuda/presence.cu`."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.cuda import INT, POINTER
from gspc.ops.weigh.types import Bits, Opening, Weight

MAX_SUMMANDS, MAX_OPENINGS, MAX_COSTS = 24, 8, 8
_DOUBLE = ctypes.c_double


class _Opening(ctypes.Structure):
    """`Opening` of kernels/cuda/presence.cu."""

    _fields_ = (
        ("base", _DOUBLE),
        ("factors", _DOUBLE * MAX_COSTS),
        ("costs", POINTER * MAX_COSTS),
        ("by_open", POINTER),
    )


class _Call(ctypes.Structure):
    """`LossCall`."""

    _fields_ = (
        *((name, INT) for name in ("summands", "openings")),
        *((name, _DOUBLE) for name in ("share", "weight", "values", "signs")),
        ("relative", POINTER),
        ("bits", POINTER * MAX_SUMMANDS),
        *((name, POINTER) for name in ("positive", "loss", "total", "by_loss", "by_bits", "by_positive")),
        ("opening", _Opening * MAX_OPENINGS),
    )


def takes(bits: Bits) -> bool:
    """Whether a call has room for as much."""
    fit = all(2 * len(opening.costs) <= MAX_COSTS for opening in bits.openings)
    return fit and len(bits.sample) <= MAX_SUMMANDS and len(bits.openings) <= MAX_OPENINGS


def weighed(bits: Bits, weight: Weight) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.weigh.weighed`: [] and []."""
    call = _Call(summands=len(bits.sample), openings=len(bits.openings), share=bits.share, values=bits.values)
    call.weight = weight.factor * weight.rate_weight
    if weight.relative is not None:
        call.weight /= weight.unit
    kept: list[Tensor] = []  # what the call points to
    if isinstance(weight.relative, Tensor):
        call.relative = weight.relative.data_ptr()
        kept.append(weight.relative)
    elif weight.relative is not None:
        call.weight *= weight.relative
    for to, opening in zip(call.opening, bits.openings, strict=False):
        kept += _fill(to, opening)
    opened = [opening.open_masks for opening in bits.openings]
    grid = [] if bits.grid is None else [bits.grid.share]
    call.signs = 0 if bits.grid is None else bits.grid.count
    loss, total = _Weighed.apply(call, kept, len(grid), *bits.sample, *opened, *grid)
    return loss, total


def _fill(to: Any, opening: Opening) -> list[Tensor]:
    """Numbers into the call, and where the others lie."""
    base = 0.0
    tensors: list[Tensor] = []
    for factor, costs in zip((1.0, 1.0 / opening.offsets), zip(*opening.costs, strict=True), strict=True):
        for cost in costs:
            if isinstance(cost, Tensor):
                to.factors[len(tensors)], to.costs[len(tensors)] = factor, cost.data_ptr()
                tensors.append(cost)
            else:
                base += factor * cost
    to.base = base
    return tensors


class _Weighed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, call: _Call, kept: list[Tensor], grid: int, *given: Tensor
    ) -> tuple[Tensor, Tensor]:
        loss, total = given[0].new_empty(()), given[0].new_empty(())
        for number, part in enumerate(given[: call.summands]):
            call.bits[number] = part.data_ptr()
        call.positive = given[-1].data_ptr() if grid else None
        call.loss, call.total = loss.data_ptr(), total.data_ptr()
        kernels.run("gspc_rate_loss", call, loss)
        ctx.call, ctx.kept, ctx.grid = call, (kept, given), grid
        ctx.mark_non_differentiable(total)
        ctx.set_materialize_grads(False)
        return loss, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor | None, ...]:
        call = ctx.call
        by_bits, *others = grad.new_empty(1 + call.openings + ctx.grid).unbind()
        call.by_loss, call.by_bits = grad.data_ptr(), by_bits.data_ptr()
        for opening, by in zip(call.opening, others, strict=False):
            opening.by_open = by.data_ptr()
        call.by_positive = others[-1].data_ptr() if ctx.grid else None
        kernels.run("gspc_rate_loss_backward", call, grad)
        return None, None, None, *[by_bits] * call.summands, *others
