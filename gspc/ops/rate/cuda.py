"""Rates on a CUDA device, values and derivatives in one pass: torch autograd over `kernels/cuda/rate.cu`.
Arguments are checked; shapes are those of `gspc.ops.rate`."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.cuda import COUNT, FLOAT, INT, POINTER, in_rows
from gspc.ops.rate.types import AttributeRows

MAX_CHUNKS, BLOCK = 32, 256


class _Call(ctypes.Structure):
    """`RateCall` of kernels/cuda/rate.cuh."""

    _fields_ = (
        *((name, COUNT) for name in ("n", "width", "groups")),
        *((name, POINTER) for name in ("values", "center", "octaves", "r")),
        *((name, COUNT) for name in ("value_stride", "center_stride", "octave_stride", "r_stride", "key")),
        *((name, FLOAT) for name in ("base", "refinement")),
        *((name, INT) for name in ("noisy", "finest", "coarser", "chunks")),
        *((name, POINTER) for name in ("weights", "trits", "bits", "by_log_step", "partial")),
        *((name, POINTER) for name in ("sums", "total", "by_values", "by_center", "by_octaves", "by_r")),
        *((name, POINTER) for name in ("so_far", "trits_out")),
        *((name, COUNT * MAX_CHUNKS) for name in ("first", "end")),
        *((name, POINTER * MAX_CHUNKS) for name in ("outputs", "by_outputs")),
    )


def takes(chunks: Sequence[Any]) -> bool:
    """Whether the kernels take as many chunks."""
    return len(chunks) <= MAX_CHUNKS


def appearance_bits(
    rows: AttributeRows, refinement: int, weights: Tensor, chunks: Sequence[Tensor], seed: int | None
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.appearance_bits`: weights [n, G], chunks [n, 3 own] -> [], [n, G]."""
    found: tuple[Tensor, Tensor] = _Appearance.apply(
        rows.base, refinement, seed, weights, *rows.tensors, *chunks
    )
    return found


def chunk_inputs(rows: AttributeRows, refinement: int, ends: Sequence[int]) -> tuple[Tensor, ...]:
    """See `gspc.ops.rate.chunk_inputs`: [n, 2 own + before] of every chunk but the first."""
    found: tuple[Tensor, ...] = _ChunkInputs.apply(rows.base, refinement, list(ends), *rows.tensors)
    return found


def trits(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.trits`: two of [n, V]."""
    tensors = [in_rows(t) for t in rows.tensors]
    call = _attribute(rows.base, 1, tensors)
    so_far, found = (rows.values.new_empty(rows.values.shape) for _ in range(2))
    call.finest, call.coarser = finest, coarser
    call.so_far, call.trits_out = so_far.data_ptr(), found.data_ptr()
    kernels.run("gspc_rate_trits", call, rows.values)
    return so_far, found


def three_way_bits(outputs: Tensor, trits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.three_way_bits`: [n, 2 V], [n, V], [n, G] -> [], [n, G]."""
    found: tuple[Tensor, Tensor] = _ThreeWay.apply(outputs, trits, weights)
    return found


def gaussian_trit_bits(
    rows: AttributeRows, refinement: int, finest: int, coarser: int, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.gaussian_trit_bits`: weights [n, G] -> [], [n, G]."""
    found: tuple[Tensor, Tensor] = _GaussianTrits.apply(
        rows.base, refinement, finest, coarser, weights, *rows.tensors
    )
    return found


def _attribute(base: float, refinement: int, tensors: Sequence[Tensor]) -> _Call:
    """A call about an attribute's values, center, octaves and r, which must outlive it."""
    call = _Call(base=base, refinement=refinement, groups=1)
    call.n, call.width = tensors[0].shape
    names = (("values", "value"), ("center", "center"), ("octaves", "octave"), ("r", "r"))
    for (name, of_stride), tensor in zip(names, tensors, strict=True):
        assert tensor.stride(1) == 1 or tensor.shape[1] == 1
        setattr(call, name, tensor.data_ptr())
        setattr(call, f"{of_stride}_stride", tensor.stride(0))
    return call


def _summed(call: _Call, weights: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Room for a call's total [] and sums [n, G], and scratch that must outlive it."""
    n, groups = weights.shape
    total, sums = weights.new_empty(()), weights.new_empty(weights.shape)
    bits = weights.new_empty(n, call.width)
    partial = torch.empty(-(-n // BLOCK), dtype=torch.float64, device=weights.device)
    call.groups, call.weights = groups, weights.data_ptr()
    call.total, call.sums = total.data_ptr(), sums.data_ptr()
    call.bits, call.partial = bits.data_ptr(), partial.data_ptr()
    return total, sums, [bits, partial]


def _slopes(call: _Call, names: Sequence[str], tensors: Sequence[Tensor]) -> list[Tensor]:
    """Room for the derivatives by `tensors`, and scratch for those by the step."""
    found = [tensor.new_empty(tensor.shape) for tensor in tensors]
    for name, slope in zip(names, found, strict=False):
        setattr(call, name, slope.data_ptr())
    log_step = tensors[0].new_empty(int(call.n), int(call.width))
    call.by_log_step = log_step.data_ptr()
    return [*found, log_step]


def _set_chunks(call: _Call, bounds: Sequence[tuple[int, int]]) -> None:
    call.chunks = len(bounds)
    for k, (first, end) in enumerate(bounds):
        call.first[k], call.end[k] = first, end


def _scaled(grad: Tensor, needed: Sequence[bool], tensors: Sequence[Tensor]) -> list[Tensor | None]:
    return [grad * tensor if need else None for need, tensor in zip(needed, tensors, strict=True)]


class _Appearance(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, seed: int | None, weights: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        rows, chunks = [in_rows(t) for t in tensors[:4]], [t.contiguous() for t in tensors[4:]]
        call = _attribute(base, refinement, rows)
        call.noisy, call.key = seed is not None, seed or 0
        own = [t.shape[1] // 3 for t in chunks]
        ends = list(itertools.accumulate(own, initial=rows[0].shape[1] - sum(own)))
        _set_chunks(call, list(itertools.pairwise(ends)))
        weights = weights.contiguous()
        total, sums, _scratch = _summed(call, weights)
        slopes: list[Tensor] = []
        if any(ctx.needs_input_grad[4:]):
            slopes = _slopes(call, ("by_values", "by_center", "by_octaves", "by_r"), [*rows, *chunks])
        for k, chunk in enumerate(chunks):
            call.outputs[k] = chunk.data_ptr()
            call.by_outputs[k] = slopes[4 + k].data_ptr() if slopes else None
        kernels.run("gspc_rate_appearance", call, weights)
        ctx.save_for_backward(sums, *slopes[:-1])
        ctx.mark_non_differentiable(sums)
        return total, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        needed = ctx.needs_input_grad
        by_weights = grad * sums if needed[3] else None
        by = _scaled(grad, needed[4:], slopes) if slopes else [None] * len(needed[4:])
        return None, None, None, by_weights, *by


class _ChunkInputs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, ends: list[int], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        rows = [in_rows(t) for t in tensors]
        call = _attribute(base, refinement, rows)
        bounds = list(itertools.pairwise(ends))
        _set_chunks(call, bounds)
        inputs = tuple(rows[0].new_empty(len(rows[0]), 2 * end - first) for first, end in bounds)
        for k, made in enumerate(inputs):
            call.by_outputs[k] = made.data_ptr()
        kernels.run("gspc_rate_chunk_inputs", call, rows[0])
        ctx.save_for_backward(*rows)
        ctx.constants = base, refinement, bounds
        return inputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        base, refinement, bounds = ctx.constants
        rows = ctx.saved_tensors
        call = _attribute(base, refinement, rows)
        _set_chunks(call, bounds)
        given = [grad.contiguous() for grad in grads]
        for k, grad in enumerate(given):
            call.outputs[k] = grad.data_ptr()
        *by, _scratch = _slopes(call, ("by_center", "by_octaves", "by_r"), rows[1:])
        kernels.run("gspc_rate_chunk_inputs_backward", call, rows[0])
        return None, None, None, None, *by


class _ThreeWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, outputs: Tensor, trits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        outputs, trits, weights = in_rows(outputs), trits.contiguous(), weights.contiguous()
        call = _Call(octaves=outputs.data_ptr(), octave_stride=outputs.stride(0), trits=trits.data_ptr())
        call.n, call.width = trits.shape
        total, sums, _scratch = _summed(call, weights)
        by = [outputs.new_empty(outputs.shape)] if ctx.needs_input_grad[0] else []
        call.by_octaves = by[0].data_ptr() if by else None
        kernels.run("gspc_rate_three_way", call, weights)
        ctx.save_for_backward(sums, *by)
        ctx.mark_non_differentiable(sums)
        return total, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *by = ctx.saved_tensors
        return grad * by[0] if by else None, None, grad * sums if ctx.needs_input_grad[2] else None


class _GaussianTrits(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, finest: int, coarser: int, weights: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        rows, weights = [in_rows(t) for t in tensors], weights.contiguous()
        call = _attribute(base, refinement, rows)
        call.finest, call.coarser = finest, coarser
        total, sums, _scratch = _summed(call, weights)
        slopes = _slopes(call, ("by_octaves", "by_r"), rows[2:]) if any(ctx.needs_input_grad[7:]) else []
        kernels.run("gspc_rate_gaussian_trits", call, weights)
        ctx.save_for_backward(sums, *slopes[:-1])
        ctx.mark_non_differentiable(sums)
        return total, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        needed = ctx.needs_input_grad
        by_weights = grad * sums if needed[4] else None
        by = _scaled(grad, needed[7:], slopes) if slopes else [None, None]
        return None, None, None, None, by_weights, None, None, *by
