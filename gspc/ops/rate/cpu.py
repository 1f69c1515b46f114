"""Rates on a CPU by `gspc._kernels`: what `gspc.ops.rate.autograd.Kernels` says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gspc.ops.kernels import native
from gspc.ops.rate.autograd import Found
from gspc.ops.rate.types import AttributeRows


def appearance(
    base: float, refinement: int, seed: int | None, weights: Tensor, tensors: Sequence[Tensor], wanted: bool
) -> Found:
    """Weights [n, G], values, center, octaves, r, chunks' outputs [n, 3 own] -> [], [n, G], derivatives."""
    sums = torch.empty(weights.shape)
    slopes = [torch.empty(t.shape) if wanted else None for t in tensors]
    total = native.rate_appearance(
        *(_attribute(base, refinement, tensors[:4]), seed, weights.detach().contiguous().numpy()),
        *([_rows(t) for t in tensors[4:]], sums.numpy()),
        [t.numpy() for t in slopes if t is not None] if wanted else None,
    )
    return torch.tensor(total, dtype=torch.float32), sums, slopes


def trits(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """Two of [n, V]."""
    so_far, found = torch.empty(rows.values.shape), torch.empty(rows.values.shape)
    arrays = _attribute(rows.base, 1, rows.tensors)
    native.rate_trits(arrays, finest, coarser, so_far.numpy(), found.numpy())
    return so_far, found


def three_way(trits: Tensor, weights: Tensor, tensors: Sequence[Tensor], wanted: bool) -> Found:
    """Trits [n, V], weights [n, G], outputs [n, 2 V] -> [], [n, G], derivatives."""
    (outputs,) = tensors
    sums, slopes = torch.empty(weights.shape), torch.empty(outputs.shape) if wanted else None
    total = native.rate_three_way(
        *(_rows(outputs), trits.contiguous().numpy(), weights.detach().contiguous().numpy()),
        *(sums.numpy(), None if slopes is None else slopes.numpy()),
    )
    return torch.tensor(total, dtype=torch.float32), sums, [slopes]


def gaussian_trits(
    base: float, steps: tuple[int, int, int], weights: Tensor, tensors: Sequence[Tensor], wanted: bool
) -> Found:
    """Weights [n, G], values, center, octaves and r -> [], [n, G], derivatives by the last two."""
    refinement, finest, coarser = steps
    sums = torch.empty(weights.shape)
    slopes = [torch.empty(t.shape) if wanted else None for t in tensors[2:]]
    octaves, r = (None if t is None else t.numpy() for t in slopes)
    arrays, given = _attribute(base, refinement, tensors), weights.detach().contiguous().numpy()
    total = native.rate_gaussian_trits(arrays, finest, coarser, given, sums.numpy(), octaves, r)
    return torch.tensor(total, dtype=torch.float32), sums, [None, None, *slopes]


def chunk_inputs(
    base: float, refinement: int, ends: Sequence[int], tensors: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """[n, 2 own + before] of every chunk but the first."""
    n = len(tensors[0])
    inputs = tuple(torch.empty(n, 2 * end - first) for first, end in itertools.pairwise(ends))
    native.rate_chunk_inputs(_attribute(base, refinement, tensors), list(ends), [t.numpy() for t in inputs])
    return inputs


def chunk_input_slopes(
    base: float, refinement: int, ends: Sequence[int], tensors: Sequence[Tensor], grads: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Of gradients by the inputs: those by center, octaves [n, V] and r [n, 1]."""
    by = [torch.empty(t.shape) for t in tensors[1:]]
    center, octaves, r = (t.numpy() for t in by)
    given = [grad.contiguous().numpy() for grad in grads]
    native.rate_chunk_inputs_backward(
        _attribute(base, refinement, tensors), list(ends), given, center, octaves, r
    )
    return by


def _rows(tensor: Tensor) -> Any:
    """As numpy, of any row stride."""
    tensor = tensor.detach()
    return (tensor if tensor.stride(1) == 1 else tensor.contiguous()).numpy()


def _attribute(base: float, refinement: int, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    return *(_rows(tensor) for tensor in tensors), base, float(refinement)
