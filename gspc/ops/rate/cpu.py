"""Rates on a CPU, values and derivatives in one pass: torch autograd over `gspc._kernels`. Arguments are
checked; shapes are those of `gspc.ops.rate`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops.kernels import native
from gspc.ops.rate.types import AttributeRows


def appearance_bits(
    rows: AttributeRows,
    refinement: int,
    weights: Tensor,
    chunks: Sequence[Tensor],
    seed: int | None,
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
    so_far, found = torch.empty(rows.values.shape), torch.empty(rows.values.shape)
    arrays = _attribute(rows.base, 1, rows.tensors)
    native.rate_trits(arrays, finest, coarser, so_far.numpy(), found.numpy())
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


def _rows(tensor: Tensor) -> Any:
    """As numpy, of any row stride."""
    tensor = tensor.detach()
    return (tensor if tensor.stride(1) == 1 else tensor.contiguous()).numpy()


def _attribute(base: float, refinement: int, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    return *(_rows(tensor) for tensor in tensors), base, float(refinement)


def _numpy(tensors: Sequence[Tensor] | None) -> list[Any] | None:
    return None if tensors is None else [tensor.numpy() for tensor in tensors]


def _scaled(grad: Tensor, needed: Sequence[bool], tensors: Sequence[Tensor]) -> list[Tensor | None]:
    return [grad * tensor if need else None for need, tensor in zip(needed, tensors, strict=True)]


class _Appearance(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, seed: int | None, weights: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        sums = torch.empty(weights.shape)
        slopes = [torch.empty(t.shape) for t in tensors] if any(ctx.needs_input_grad[4:]) else None
        total = native.rate_appearance(
            *(_attribute(base, refinement, tensors[:4]), seed, weights.detach().contiguous().numpy()),
            *([_rows(t) for t in tensors[4:]], sums.numpy(), _numpy(slopes)),
        )
        ctx.save_for_backward(sums, *(slopes or ()))
        ctx.mark_non_differentiable(sums)
        return torch.tensor(total, dtype=torch.float32), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        needed = ctx.needs_input_grad
        by_weights = grad * sums if needed[3] else None
        return None, None, None, by_weights, *_scaled(grad, needed[4:], slopes or [None] * len(needed[4:]))


class _ChunkInputs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, ends: list[int], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        n = len(tensors[0])
        inputs = tuple(torch.empty(n, 2 * end - first) for first, end in itertools.pairwise(ends))
        native.rate_chunk_inputs(_attribute(base, refinement, tensors), ends, [t.numpy() for t in inputs])
        ctx.save_for_backward(*tensors)
        ctx.constants = base, refinement, ends
        return inputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        base, refinement, ends = ctx.constants
        by = [torch.empty(t.shape) for t in ctx.saved_tensors[1:]]
        center, octaves, r = (t.numpy() for t in by)
        given = [grad.contiguous().numpy() for grad in grads]
        native.rate_chunk_inputs_backward(
            _attribute(base, refinement, ctx.saved_tensors), ends, given, center, octaves, r
        )
        return None, None, None, None, *by


class _ThreeWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, outputs: Tensor, trits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        sums = torch.empty(weights.shape)
        slopes = torch.empty(outputs.shape) if ctx.needs_input_grad[0] else None
        total = native.rate_three_way(
            *(_rows(outputs), trits.contiguous().numpy(), weights.detach().contiguous().numpy()),
            *(sums.numpy(), None if slopes is None else slopes.numpy()),
        )
        ctx.save_for_backward(sums, *(() if slopes is None else (slopes,)))
        ctx.mark_non_differentiable(sums)
        return torch.tensor(total, dtype=torch.float32), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        by_outputs = grad * slopes[0] if slopes else None
        return by_outputs, None, grad * sums if ctx.needs_input_grad[2] else None


class _GaussianTrits(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, finest: int, coarser: int, weights: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        sums = torch.empty(weights.shape)
        wanted = any(ctx.needs_input_grad[7:])
        slopes = [torch.empty(t.shape) if wanted else None for t in tensors[2:]]
        octaves, r = (None if t is None else t.numpy() for t in slopes)
        total = native.rate_gaussian_trits(
            *(_attribute(base, refinement, tensors), finest, coarser, weights.detach().contiguous().numpy()),
            *(sums.numpy(), octaves, r),
        )
        ctx.save_for_backward(sums, *(t for t in slopes if t is not None))
        ctx.mark_non_differentiable(sums)
        return torch.tensor(total, dtype=torch.float32), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        needed = ctx.needs_input_grad
        by_weights = grad * sums if needed[4] else None
        by = _scaled(grad, needed[7:], slopes) if slopes else [None, None]
        return None, None, None, None, by_weights, None, None, *by
