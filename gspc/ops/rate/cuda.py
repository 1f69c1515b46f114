"""Rates on a CUDA device by `kernels/cuda/rate.cu` and `known.cu`: what `gspc.ops.rate.autograd.Kernels`
says, and all jobs of a level in one go."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.cuda import in_rows
from gspc.ops.rate import structures
from gspc.ops.rate.autograd import Found, scaled
from gspc.ops.rate.structures import MAX_CHUNKS, MAX_JOBS
from gspc.ops.rate.types import Appearing, AttributeRows, GaussianTrits, Job, ThreeWay

_KINDS: dict[type, int] = {Appearing: 0, ThreeWay: 1, GaussianTrits: 2}


def takes(chunks: Sequence[Any]) -> bool:
    """Whether the kernels take as many chunks."""
    return len(chunks) <= MAX_CHUNKS


def takes_all(jobs: Sequence[Job]) -> bool:
    """Whether one call has room for some jobs: of the same anchors, and at most one of them with chunks."""
    chunked = [job for job in jobs if isinstance(job, Appearing) and job.chunks]
    fit = len(jobs) <= MAX_JOBS and len(chunked) <= 1 and all(takes(job.chunks) for job in chunked)
    return fit and len({len(job.weights) for job in jobs}) == 1


def all_bits(jobs: Sequence[Job]) -> tuple[Tensor, list[Tensor]]:
    """The weighted sum [] of all jobs, and the sums of bits [n, G] of each."""
    total, *sums = _AllBits.apply(jobs, *(tensor for job in jobs for tensor in _tensors(job)))
    return total, sums


class _AllBits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, jobs: Sequence[Job], *_: Tensor) -> tuple[Tensor, ...]:
        total, sums, slopes = _computed(jobs, any(ctx.needs_input_grad))
        ctx.save_for_backward(*sums, *(slope for some in slopes for slope in (None, *some)))
        ctx.jobs = len(jobs)
        ctx.weights = list(itertools.accumulate((1 + len(some) for some in slopes[:-1]), initial=0))
        ctx.mark_non_differentiable(*sums)
        ctx.set_materialize_grads(False)
        return total, *sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad
        if grad is None:
            return (None,) * len(needed)
        sums, slopes = ctx.saved_tensors[: ctx.jobs], ctx.saved_tensors[ctx.jobs :]
        found = scaled(slopes, needed[1:], grad)
        for own, at in zip(sums, ctx.weights, strict=True):
            found[at] = grad * own if needed[1 + at] else None
        return None, *found


def _tensors(job: Job) -> list[Tensor]:
    """What a job's bits depend on, its weights first."""
    if isinstance(job, ThreeWay):
        return [job.weights, job.outputs]
    return [job.weights, *job.rows.tensors, *(job.chunks if isinstance(job, Appearing) else ())]


def _computed(jobs: Sequence[Job], wanted: bool) -> tuple[Tensor, list[Tensor], list[list[Tensor | None]]]:
    """The weighted sum of some jobs, their sums, and the derivatives by their tensors after the weights. Of
    trits under the Gaussians of another job's values these are part of that one's."""
    n, like = len(jobs[0].weights), jobs[0].weights
    call = structures.Call(n=n, jobs=len(jobs), chunked=-1)
    total, doubles = like.new_empty(()), kernels.blocks(n) * len(jobs)
    scratch = torch.empty(
        doubles + n * sum(_width(job) for job in jobs), dtype=torch.float64, device=like.device
    )
    at = scratch.data_ptr()
    call.partial, call.total = at, total.data_ptr()
    at += 8 * doubles
    _pair(call, jobs)
    sums: list[Tensor] = []
    slopes: list[list[Tensor | None]] = []
    kept: list[Tensor] = []  # what the call points to
    for to, job in zip(call.job, jobs, strict=False):
        weights, *tensors = _tensors(job)
        weights, tensors = weights.contiguous(), [in_rows(tensor) for tensor in tensors]
        sums.append(weights.new_empty(weights.shape))
        to.groups, to.weights, to.sums = weights.shape[1], weights.data_ptr(), sums[-1].data_ptr()
        to.bits, to.by_log_step = at, at + 4 * n * _width(job)
        at += 8 * n * _width(job)
        kept += [weights, *tensors, *_fill(to, job, tensors)]
        slopes.append(_room(to, job, tensors, wanted))
        if isinstance(job, Appearing) and job.chunks:
            kept += _add_chunks(call, len(sums) - 1, tensors[0].shape[1], tensors[4:], slopes[-1][4:])
    kernels.run("gspc_rate_bits", call, like)
    return total, sums, slopes


def _width(job: Job) -> int:
    return (job.trits if isinstance(job, ThreeWay) else job.rows.values).shape[1]


def _pair(call: structures.Call, jobs: Sequence[Job]) -> None:
    """Has trits under Gaussians computed with the values of these Gaussians, whose derivatives they share."""
    for number, job in enumerate(jobs):
        call.job[number].beside = -1
        if not isinstance(job, GaussianTrits):
            continue
        for other in range(number):
            at = jobs[other]
            if isinstance(at, Appearing) and at.rows is job.rows and call.job[other].beside < 0:
                call.job[other].beside, call.job[number].within = number, 1
                break


def _fill(to: Any, job: Job, tensors: Sequence[Tensor]) -> list[Tensor]:
    """What a job is about; its tensors lie in rows. Returns what else must outlive the call."""
    to.kind = _KINDS[type(job)]
    if isinstance(job, ThreeWay):
        trits = job.trits.contiguous()
        to.rows.octaves, to.rows.octave_stride = tensors[0].data_ptr(), tensors[0].stride(0)
        to.rows.width, to.trits = trits.shape[1], trits.data_ptr()
        return [trits]
    _fill_rows(to.rows, job.rows.base, job.refinement, tensors[:4])
    if isinstance(job, Appearing):
        to.noisy, to.key = job.seed is not None, job.seed or 0
    else:
        to.rows.finest, to.rows.coarser = job.finest, job.coarser
    return []


def _room(to: Any, job: Job, tensors: Sequence[Tensor], wanted: bool) -> list[Tensor | None]:
    """Where derivatives by a job's tensors go, None where there are none."""
    if not wanted or to.within:
        return [None] * len(tensors)
    names: Sequence[str] = ("by_values", "by_center", "by_octaves", "by_r")
    found: list[Tensor | None] = [tensor.new_empty(tensor.shape) for tensor in tensors]
    if isinstance(job, ThreeWay):
        names = ("by_octaves",)
    if isinstance(job, GaussianTrits):
        found[:2] = None, None
    for name, slope in zip(names, found, strict=False):
        setattr(to, name, kernels.pointer(slope))
    return found


def _add_chunks(
    call: structures.Call,
    number: int,
    width: int,
    outputs: Sequence[Tensor],
    slopes: Sequence[Tensor | None],
) -> list[Tensor]:
    """The second components of job `number`, whose channels are its last ones. Returns what must outlive the
    call."""
    call.chunked = number
    own = [tensor.shape[1] // 3 for tensor in outputs]
    ends = list(itertools.accumulate(own, initial=width - sum(own)))
    _set_bounds(call, list(itertools.pairwise(ends)))
    given = [tensor.contiguous() for tensor in outputs]
    for k, (tensor, slope) in enumerate(zip(given, slopes, strict=True)):
        call.outputs[k], call.by_outputs[k] = tensor.data_ptr(), kernels.pointer(slope)
    return given


def appearance(
    base: float, refinement: int, seed: int | None, weights: Tensor, tensors: Sequence[Tensor], wanted: bool
) -> Found:
    """Weights [n, G], values, center, octaves, r, chunks' outputs [n, 3 own] -> [], [n, G], derivatives."""
    rows, chunks = _rows_of(base, tensors), tuple(tensors[4:])
    return _alone(Appearing(rows, refinement, weights, chunks, seed), wanted)


def three_way(trits: Tensor, weights: Tensor, tensors: Sequence[Tensor], wanted: bool) -> Found:
    """Trits [n, V], weights [n, G], outputs [n, 2 V] -> [], [n, G], derivatives."""
    return _alone(ThreeWay(tensors[0], trits, weights), wanted)


def gaussian_trits(
    base: float, steps: tuple[int, int, int], weights: Tensor, tensors: Sequence[Tensor], wanted: bool
) -> Found:
    """Weights [n, G], values, center, octaves and r -> [], [n, G], derivatives by the last two."""
    return _alone(GaussianTrits(_rows_of(base, tensors), *steps, weights), wanted)


def _rows_of(base: float, tensors: Sequence[Tensor]) -> AttributeRows:
    values, center, octaves, r = tensors[:4]
    return AttributeRows(values, center, octaves, r, base)


def _alone(job: Job, wanted: bool) -> Found:
    total, (sums,), (slopes,) = _computed([job], wanted)
    return total, sums, slopes


def trits(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """Two of [n, V]."""
    tensors = [in_rows(t) for t in rows.tensors]
    call = structures.Trits(n=len(rows.values))
    _fill_rows(call.rows, rows.base, 1, tensors)
    so_far, found = (rows.values.new_empty(rows.values.shape) for _ in range(2))
    call.rows.finest, call.rows.coarser = finest, coarser
    call.so_far, call.trits = so_far.data_ptr(), found.data_ptr()
    kernels.run("gspc_rate_trits", call, rows.values)
    return so_far, found


def chunk_inputs(
    base: float, refinement: int, ends: Sequence[int], tensors: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """[n, 2 own + before] of every chunk but the first."""
    rows, bounds = [in_rows(t) for t in tensors], list(itertools.pairwise(ends))
    call = _chunks(base, refinement, bounds, rows)
    inputs = tuple(rows[0].new_empty(len(rows[0]), 2 * end - first) for first, end in bounds)
    for k, made in enumerate(inputs):
        call.inputs[k] = made.data_ptr()
    kernels.run("gspc_rate_chunk_inputs", call, rows[0])
    return inputs


def chunk_input_slopes(
    base: float, refinement: int, ends: Sequence[int], tensors: Sequence[Tensor], grads: Sequence[Tensor]
) -> Sequence[Tensor]:
    """Of gradients by the inputs: those by center, octaves [n, V] and r [n, 1]."""
    rows = [in_rows(t) for t in tensors]
    call = _chunks(base, refinement, list(itertools.pairwise(ends)), rows)
    given = [grad.contiguous() for grad in grads]
    for k, grad in enumerate(given):
        call.by_inputs[k] = grad.data_ptr()
    found = [tensor.new_empty(tensor.shape) for tensor in rows[1:]]
    scratch = rows[0].new_empty(rows[0].shape)
    call.by_center, call.by_octaves, call.by_r = (tensor.data_ptr() for tensor in found)
    call.by_log_step = scratch.data_ptr()
    kernels.run("gspc_rate_chunk_inputs_backward", call, rows[0])
    return found


def _chunks(
    base: float, refinement: int, bounds: Sequence[tuple[int, int]], rows: Sequence[Tensor]
) -> structures.Chunks:
    """A call about rows, which must outlive it."""
    call = structures.Chunks(n=len(rows[0]))
    _fill_rows(call.rows, base, refinement, rows)
    _set_bounds(call, bounds)
    return call


def _fill_rows(to: Any, base: float, refinement: int, tensors: Sequence[Tensor]) -> None:
    """An attribute's values, center, octaves and r, which must outlive the call."""
    to.base, to.refinement, to.width = base, refinement, tensors[0].shape[1]
    names = (("values", "value"), ("center", "center"), ("octaves", "octave"), ("r", "r"))
    for (name, of_stride), tensor in zip(names, tensors, strict=True):
        setattr(to, name, tensor.data_ptr())
        setattr(to, f"{of_stride}_stride", tensor.stride(0))


def _set_bounds(call: Any, bounds: Sequence[tuple[int, int]]) -> None:
    call.chunks = len(bounds)
    for k, (first, end) in enumerate(bounds):
        call.first[k], call.end[k] = first, end
