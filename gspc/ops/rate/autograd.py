"""Gradients of the rates, once for the kernels of a CPU and of a GPU, which find values and derivatives in
one pass. Arguments are checked; shapes are those of `gspc.ops.rate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops.rate.types import AttributeRows

# A total [], sums [n, G], and the derivatives by each argument, None where there is none.
Found = tuple[Tensor, Tensor, Sequence[Tensor | None]]


class Kernels(Protocol):
    """What a device computes. `tensors` are an attribute's values, center, octaves and r; `wanted` says
    whether derivatives are."""

    @staticmethod
    def appearance(
        base: float,
        refinement: int,
        seed: int | None,
        weights: Tensor,
        tensors: Sequence[Tensor],
        wanted: bool,
    ) -> Found:
        """Weights [n, G], rows [n, V] and chunks' outputs [n, 3 own]."""

    @staticmethod
    def trits(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
        """Two of [n, V]."""

    @staticmethod
    def three_way(trits: Tensor, weights: Tensor, tensors: Sequence[Tensor], wanted: bool) -> Found:
        """Trits [n, V], weights [n, G], outputs [n, 2 V]."""

    @staticmethod
    def gaussian_trits(
        base: float, steps: tuple[int, int, int], weights: Tensor, tensors: Sequence[Tensor], wanted: bool
    ) -> Found:
        """Weights [n, G], rows [n, V]; steps: refinement, finest, coarser."""

    @staticmethod
    def chunk_inputs(
        base: float, refinement: int, ends: Sequence[int], tensors: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """[n, 2 own + before] of every chunk but the first."""

    @staticmethod
    def chunk_input_slopes(
        base: float, refinement: int, ends: Sequence[int], tensors: Sequence[Tensor], grads: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """By center, octaves [n, V] and r [n, 1]."""


class Rates:
    """The functions of `gspc.ops.rate` by the kernels of a device, for checked arguments."""

    def __init__(self, kernels: Any) -> None:
        self.kernels: Kernels = kernels

    def appearance_bits(
        self,
        rows: AttributeRows,
        refinement: int,
        weights: Tensor,
        chunks: Sequence[Tensor],
        seed: int | None,
    ) -> tuple[Tensor, Tensor]:
        """Weights [n, G], chunks [n, 3 own] -> [], [n, G]."""
        compute = partial(self.kernels.appearance, rows.base, refinement, seed)
        return _summed(compute, weights, *rows.tensors, *chunks)

    def chunk_inputs(self, rows: AttributeRows, refinement: int, ends: Sequence[int]) -> tuple[Tensor, ...]:
        """[n, 2 own + before] of every chunk but the first."""
        found: tuple[Tensor, ...] = _ChunkInputs.apply(
            self.kernels, (rows.base, refinement, list(ends)), *rows.tensors
        )
        return found

    def trits(self, rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
        """Two of [n, V]."""
        return self.kernels.trits(rows, finest, coarser)

    def three_way_bits(self, outputs: Tensor, trits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 2 V], [n, V], [n, G] -> [], [n, G]."""
        return _summed(partial(self.kernels.three_way, trits), weights, outputs)

    def gaussian_trit_bits(
        self, rows: AttributeRows, refinement: int, finest: int, coarser: int, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weights [n, G] -> [], [n, G]."""
        compute = partial(self.kernels.gaussian_trits, rows.base, (refinement, finest, coarser))
        return _summed(compute, weights, *rows.tensors)


def _summed(compute: Callable[..., Found], weights: Tensor, *tensors: Tensor) -> tuple[Tensor, Tensor]:
    total, sums = _Summed.apply(compute, weights, *tensors)
    return total, sums


class _Summed(torch.autograd.Function):
    """A weighted sum, whose derivatives only wait for the factor that the loss has for it."""

    @staticmethod
    def forward(
        ctx: Any, compute: Callable[..., Found], weights: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        total, sums, slopes = compute(weights, tensors, any(ctx.needs_input_grad[2:]))
        ctx.save_for_backward(sums, *slopes)
        ctx.mark_non_differentiable(sums)
        ctx.set_materialize_grads(False)
        return total, sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        if grad is None:
            return (None,) * (2 + len(slopes))
        needed = ctx.needs_input_grad
        found = scaled(slopes, needed[2:], grad)
        return None, grad * sums if needed[1] else None, *found


def scaled(slopes: Sequence[Tensor | None], needed: Sequence[bool], factor: Tensor) -> list[Tensor | None]:
    """Derivatives [...] times a factor [], in place; None where they are not needed or there are none."""
    found = [slope if need else None for slope, need in zip(slopes, needed, strict=True)]
    given = [slope for slope in found if slope is not None]
    if given:
        torch._foreach_mul_(given, factor)
    return found


class _ChunkInputs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernels: Kernels, about: tuple[Any, ...], *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*tensors)
        ctx.constants = kernels, about
        base, refinement, ends = about
        return kernels.chunk_inputs(base, refinement, ends, tensors)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        kernels, about = ctx.constants
        return None, None, None, *kernels.chunk_input_slopes(*about, ctx.saved_tensors, grads)
