"""Rates on a CUDA device by `kernels/cuda/rate.cu`: what `gspc.ops.rate.autograd.Kernels` says."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gspc.ops import cuda as kernels
from gspc.ops.cuda import COUNT, FLOAT, INT, POINTER, in_rows
from gspc.ops.rate.autograd import Found
from gspc.ops.rate.types import AttributeRows

MAX_CHUNKS = 32


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


def appearance(
    base: float, refinement: int, seed: int | None, weights: Tensor, tensors: Sequence[Tensor], wanted: bool
) -> Found:
    """Weights [n, G], values, center, octaves, r, chunks' outputs [n, 3 own] -> [], [n, G], derivatives."""
    rows, chunks = [in_rows(t) for t in tensors[:4]], [t.contiguous() for t in tensors[4:]]
    call = _attribute(base, refinement, rows)
    call.noisy, call.key = seed is not None, seed or 0
    own = [t.shape[1] // 3 for t in chunks]
    ends = list(itertools.accumulate(own, initial=rows[0].shape[1] - sum(own)))
    _set_chunks(call, list(itertools.pairwise(ends)))
    names = ("by_values", "by_center", "by_octaves", "by_r")
    slopes = _slopes(call, names, [*rows, *chunks]) if wanted else []
    for k, chunk in enumerate(chunks):
        call.outputs[k] = chunk.data_ptr()
        call.by_outputs[k] = slopes[4 + k].data_ptr() if wanted else None
    return *_summed("gspc_rate_appearance", call, weights), slopes or [None] * len(tensors)


def trits(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """Two of [n, V]."""
    tensors = [in_rows(t) for t in rows.tensors]
    call = _attribute(rows.base, 1, tensors)
    so_far, found = (rows.values.new_empty(rows.values.shape) for _ in range(2))
    call.finest, call.coarser = finest, coarser
    call.so_far, call.trits_out = so_far.data_ptr(), found.data_ptr()
    kernels.run("gspc_rate_trits", call, rows.values)
    return so_far, found


def three_way(trits: Tensor, weights: Tensor, tensors: Sequence[Tensor], wanted: bool) -> Found:
    """Trits [n, V], weights [n, G], outputs [n, 2 V] -> [], [n, G], derivatives."""
    outputs, trits = in_rows(tensors[0]), trits.contiguous()
    call = _Call(octaves=outputs.data_ptr(), octave_stride=outputs.stride(0), trits=trits.data_ptr())
    call.n, call.width = trits.shape
    slopes = _slopes(call, ("by_octaves",), [outputs]) if wanted else [None]
    return *_summed("gspc_rate_three_way", call, weights), slopes


def gaussian_trits(
    base: float, steps: tuple[int, int, int], weights: Tensor, tensors: Sequence[Tensor], wanted: bool
) -> Found:
    """Weights [n, G], values, center, octaves and r -> [], [n, G], derivatives by the last two."""
    refinement, finest, coarser = steps
    rows = [in_rows(t) for t in tensors]
    call = _attribute(base, refinement, rows)
    call.finest, call.coarser = finest, coarser
    slopes = _slopes(call, ("by_octaves", "by_r"), rows[2:]) if wanted else [None, None]
    return *_summed("gspc_rate_gaussian_trits", call, weights), [None, None, *slopes]


def chunk_inputs(
    base: float, refinement: int, ends: Sequence[int], tensors: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """[n, 2 own + before] of every chunk but the first."""
    rows, bounds = [in_rows(t) for t in tensors], list(itertools.pairwise(ends))
    call = _attribute(base, refinement, rows)
    _set_chunks(call, bounds)
    inputs = tuple(rows[0].new_empty(len(rows[0]), 2 * end - first) for first, end in bounds)
    for k, made in enumerate(inputs):
        call.by_outputs[k] = made.data_ptr()
    kernels.run("gspc_rate_chunk_inputs", call, rows[0])
    return inputs


def chunk_input_slopes(
    base: float, refinement: int, ends: Sequence[int], tensors: Sequence[Tensor], grads: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Of gradients by the inputs: those by center, octaves [n, V] and r [n, 1]."""
    rows = [in_rows(t) for t in tensors]
    call = _attribute(base, refinement, rows)
    _set_chunks(call, list(itertools.pairwise(ends)))
    given = [grad.contiguous() for grad in grads]
    for k, grad in enumerate(given):
        call.outputs[k] = grad.data_ptr()
    by = _slopes(call, ("by_center", "by_octaves", "by_r"), rows[1:])
    _scratch = _make_scratch(call, rows[0])
    kernels.run("gspc_rate_chunk_inputs_backward", call, rows[0])
    return by


def _attribute(base: float, refinement: int, tensors: Sequence[Tensor]) -> _Call:
    """A call about an attribute's values, center, octaves and r, which must outlive it."""
    call = _Call(base=base, refinement=refinement, groups=1)
    call.n, call.width = tensors[0].shape
    names = (("values", "value"), ("center", "center"), ("octaves", "octave"), ("r", "r"))
    for (name, of_stride), tensor in zip(names, tensors, strict=True):
        setattr(call, name, tensor.data_ptr())
        setattr(call, f"{of_stride}_stride", tensor.stride(0))
    return call


def _slopes(call: _Call, names: Sequence[str], tensors: Sequence[Tensor]) -> list[Tensor]:
    """Room for the derivatives by `tensors`."""
    found = [tensor.new_empty(tensor.shape) for tensor in tensors]
    for name, slope in zip(names, found, strict=False):
        setattr(call, name, slope.data_ptr())
    return found


def _make_scratch(call: _Call, like: Tensor) -> Tensor:
    """Partial sums of blocks, and derivatives by the logarithm of the step; they must outlive the call."""
    doubles, each = kernels.blocks(call.n), call.n * call.width
    scratch = torch.empty(doubles + each, dtype=torch.float64, device=like.device)
    call.partial = scratch.data_ptr()
    call.by_log_step = scratch.data_ptr() + 8 * doubles
    return scratch


def _summed(name: str, call: _Call, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Runs a call that adds bits up: its total [] and sums [n, G]."""
    weights = weights.contiguous()
    total, sums, scratch = (
        weights.new_empty(()),
        weights.new_empty(weights.shape),
        _make_scratch(call, weights),
    )
    call.bits = scratch.data_ptr() + 8 * kernels.blocks(call.n) + 4 * call.n * call.width
    call.groups, call.weights = weights.shape[1], weights.data_ptr()
    call.total, call.sums = total.data_ptr(), sums.data_ptr()
    kernels.run(name, call, weights)
    return total, sums


def _set_chunks(call: _Call, bounds: Sequence[tuple[int, int]]) -> None:
    call.chunks = len(bounds)
    for k, (first, end) in enumerate(bounds):
        call.first[k], call.end[k] = first, end
