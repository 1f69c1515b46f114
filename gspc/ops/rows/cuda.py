"""Rows on a CUDA device: torch autograd over `kernels/cuda/rows.cu` and `view.cu`. Arguments are checked;
shapes are those of `gspc.ops.rows`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.cuda import FLOAT
from gspc.ops.footprint import MARGIN, SLACK, Footprint
from gspc.ops.rows import structures
from gspc.scene import Camera

MOST_PARTS = 1024  # of sums, one a block


def noisy_rows(
    values: Tensor, index: Tensor, also: Tensor, step: Tensor | None, scale: float, seed: int
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.noisy_rows`: [N, ...] -> [v, ...], [a, ...]."""
    column = None if step is None else step[:, None]
    out, plain = _Noisy.apply(index, also, column, False, (scale,), (seed,), values)
    return out, plain


def noisy_attributes(
    values: Sequence[Tensor],
    index: Tensor,
    also: Tensor,
    r: Tensor | None,
    scales: Sequence[float],
    seeds: Sequence[int],
) -> list[tuple[Tensor, Tensor]]:
    """See `gspc.ops.rows.noisy_attributes`: [N, ...], r [v, parameters] -> [v, ...], [a, ...] of each."""
    found = _Noisy.apply(index, also, r, True, tuple(scales), tuple(seeds), *values)
    return list(zip(found[::2], found[1::2], strict=True))


def rounded_rows(
    values: Tensor, index: Tensor, also: Tensor, center: Tensor, step: Tensor, finest: int, coarser: int
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.rounded_rows`: [N, ...] -> [v, ...], [a, ...]."""
    return rounded_attributes([values], index, also, [center], [step], [(finest, coarser)])[0]


def rounded_attributes(
    values: Sequence[Tensor],
    index: Tensor,
    also: Tensor,
    centers: Sequence[Tensor],
    steps: Sequence[Tensor],
    grids: Sequence[tuple[int, int]],
) -> list[tuple[Tensor, Tensor]]:
    """See `gspc.ops.rows.rounded_attributes`: [N, ...], [N, w], [N] -> [v, ...], [a, ...] of each."""
    found = _Rounded.apply(index, also, list(zip(centers, steps, grids, strict=True)), *values)
    return list(zip(found[::2], found[1::2], strict=True))


def mask_rows(masks: Tensor, index: Tensor, also: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `gspc.ops.rows.mask_rows`: [N, K, S] -> [v, K], [a, K, S], []."""
    out, plain, open_masks = _MaskRows.apply(masks, index, also, level)
    return out, plain, open_masks


def visible_rows(world: Tensor, log_scales: Tensor, offsets: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.visible_rows`: [N, 3], [N, Z], [N, K, 3] -> [v], [v, 3]."""
    world, log_scales, offsets = world.contiguous(), log_scales.contiguous(), offsets.contiguous()
    n = len(world)
    call = structures.Visible(n=n, scales=log_scales.shape[1], offsets=offsets.shape[1])
    call.pose = (FLOAT * 12)(*camera.world_to_camera[:3].flatten().tolist())
    call.view = (FLOAT * 11)(*Footprint.of(camera), MARGIN, SLACK)
    index, where = torch.empty(n + 1, dtype=torch.int64, device=world.device), world.new_empty(n, 3)
    scratch = world.new_empty(kernels.blocks(n) + -(-n // 4))
    call.world, call.log_scales, call.moved = world.data_ptr(), log_scales.data_ptr(), offsets.data_ptr()
    call.counts, call.seen = scratch.data_ptr(), scratch.data_ptr() + 4 * kernels.blocks(n)
    call.index, call.total, call.where = index.data_ptr(), index.data_ptr() + 8 * n, where.data_ptr()
    kernels.run("gspc_rows_visible", call, world)
    count = int(index[n])  # the one number of a step that is waited for
    return index[:count], where[:count]


def add_statistics(
    sums: tuple[Tensor, Tensor, Tensor, Tensor],
    visible: Tensor,
    index: Tensor,
    radii: Tensor,
    means2d_grad: Tensor,
    opacities: Tensor,
    half: tuple[float, float],
    count: Tensor | None,
) -> None:
    """See `gspc.ops.rows.add_statistics`: sums [N * K], [N * K], [N], [N]; rows [v], Gaussians [m]."""
    gradient, _, _, seen = sums
    call = structures.Statistics(
        visible_count=len(visible),
        offsets=len(gradient) // len(seen),
        room=len(index),
        count=kernels.pointer(count),
    )
    call.half_width, call.half_height = half
    given = [t.contiguous() for t in (visible, index, radii, means2d_grad, opacities)]
    names = ("visible", "index", "radii", "means2d_grad", "opacities")
    for name, tensor in zip((*names, "gradient", "drawn", "opacity", "seen"), (*given, *sums), strict=True):
        setattr(call, name, tensor.data_ptr())
    kernels.run("gspc_rows_statistics", call, gradient)


def mean_product(values: Tensor, count: Tensor | None, factor: float) -> Tensor:
    """See `gspc.ops.rows.mean_product`: [n, 3], [1] -> []."""
    mean: Tensor = _MeanProduct.apply(values, count, factor)
    return mean


def _parts(like: Tensor) -> Tensor:
    """Scratch of sums, which must outlive the call."""
    return torch.empty(MOST_PARTS, dtype=torch.float64, device=like.device)


def _call(index: Tensor, also: Tensor, n: int) -> structures.Rows:
    return structures.Rows(
        n=n, count=len(index), also_count=len(also), index=index.data_ptr(), also=also.data_ptr()
    )


class _Places:
    """Where rows are read, which the backward passes of a step need alike: made by the first of them, kept
    until one is about other rows."""

    def __init__(self) -> None:
        self._of: tuple[int, Tensor, Tensor] | None = None
        self._scratch: Tensor | None = None

    def note(self, call: structures.Rows, index: Tensor, also: Tensor) -> None:
        """Points a call about rows `index` [v] and `also` [a] to them."""
        kept = self._of
        known = (
            kept is not None
            and kept[0] == call.n
            and all(
                ours.data_ptr() == theirs.data_ptr() and len(ours) == len(theirs)
                for ours, theirs in zip(kept[1:], (index, also), strict=True)
            )
        )
        if not known:
            size = 2 * call.n + call.also_count
            self._scratch = torch.full((size,), -1, dtype=torch.int32, device=index.device)
            self._of = call.n, index, also
        assert self._scratch is not None
        at = self._scratch.data_ptr()
        call.place, call.last, call.before = at, at + 4 * call.n, at + 8 * call.n
        if not known:
            kernels.run("gspc_rows_places", call, index)


_PLACES = _Places()


def _take(call: structures.Rows, values: Sequence[Tensor]) -> list[Tensor]:
    """Rows and plain rows of each parameter, by a call whose attributes say the rest."""
    found = []
    call.attributes = len(values)
    for of, tensor in zip(call.attribute, values, strict=False):
        shape = tensor.shape[1:]
        out, plain = (tensor.new_empty(count, *shape) for count in (call.count, call.also_count))
        of.values, of.width, of.out, of.plain = (
            tensor.data_ptr(),
            shape.numel(),
            out.data_ptr(),
            plain.data_ptr(),
        )
        found += [out, plain]
    kernels.run("gspc_rows_taken", call, values[0])
    return found


def _gather(
    call: structures.Rows,
    values: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    index: Tensor,
    also: Tensor,
) -> list[Tensor | None]:
    """Gradients of the parameters from those of their rows and plain rows, for autograd."""
    found, passes = zip(*(kernels.room_for_gradient(tensor, tensor) for tensor in values), strict=True)
    given = [None if grad is None else grad.contiguous() for grad in grads]
    for of, by, out, plain in zip(call.attribute, found, given[::2], given[1::2], strict=False):
        of.by_values, of.by_out, of.by_plain = by.data_ptr(), kernels.pointer(out), kernels.pointer(plain)
    _PLACES.note(call, index, also)
    kernels.run("gspc_rows_gathered", call, index)
    return [room if passed else None for room, passed in zip(found, passes, strict=True)]


class _Noisy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        index: Tensor,
        also: Tensor,
        steps: Tensor | None,
        of_r: bool,
        scales: tuple[float, ...],
        seeds: tuple[int, ...],
        *values: Tensor,
    ) -> tuple[Tensor, ...]:
        index, also = index.contiguous(), also.contiguous()
        call = _call(index, also, len(values[0]))
        steps = None if steps is None else steps.contiguous()
        for number, (of, scale, seed) in enumerate(zip(call.attribute, scales, seeds, strict=False)):
            of.scale, of.seed, of.of_r = scale, seed, of_r
            if steps is not None:
                of.step, of.step_stride = steps.data_ptr() + 4 * number, steps.shape[1]
        found = _take(call, [tensor.contiguous() for tensor in values])
        ctx.save_for_backward(index, also, steps)
        ctx.call, ctx.values = call, values
        ctx.set_materialize_grads(False)
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        index, also, steps = ctx.saved_tensors
        call, by_steps = ctx.call, None
        if steps is not None and ctx.needs_input_grad[2]:
            by_steps = torch.empty_like(steps)
            for number in range(call.attributes):
                call.attribute[number].by_step = by_steps.data_ptr() + 4 * number
        found = _gather(call, ctx.values, grads, index, also)
        return None, None, by_steps, None, None, None, *found


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        index: Tensor,
        also: Tensor,
        lattice: Sequence[tuple[Tensor, Tensor, tuple[int, int]]],
        *values: Tensor,
    ) -> tuple[Tensor, ...]:
        index, also = index.contiguous(), also.contiguous()
        call = _call(index, also, len(values[0]))
        kept = []  # what the call points to
        for of, (center, step, grid) in zip(call.attribute, lattice, strict=False):
            kept += [center.contiguous(), step.contiguous()]
            of.center, of.step = (tensor.data_ptr() for tensor in kept[-2:])
            of.finest, of.coarser = grid
        found = _take(call, [tensor.contiguous() for tensor in values])
        ctx.save_for_backward(index, also)
        ctx.values = values
        ctx.set_materialize_grads(False)
        return tuple(found)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        index, also = ctx.saved_tensors
        call = _call(index, also, len(ctx.values[0]))
        call.attributes = len(ctx.values)
        for of, values in zip(call.attribute, ctx.values, strict=False):
            of.width = values.shape[1:].numel()
        return None, None, None, *_gather(call, ctx.values, grads, index, also)


class _MaskRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, masks: Tensor, index: Tensor, also: Tensor, level: int) -> tuple[Tensor, ...]:
        ctx.given = masks
        masks, index, also = masks.contiguous(), index.contiguous(), also.contiguous()
        n, offsets, planes = masks.shape
        call = structures.Masks(offsets=offsets, planes=planes, level=level, rows=_call(index, also, n))
        out, plain = masks.new_empty(len(index), offsets), masks.new_empty(len(also), offsets, planes)
        open_masks, parts = masks.new_empty(()), _parts(masks)
        call.masks, call.parts, call.open = masks.data_ptr(), parts.data_ptr(), open_masks.data_ptr()
        call.out, call.plain = out.data_ptr(), plain.data_ptr()
        kernels.run("gspc_rows_masks", call, masks)
        ctx.save_for_backward(masks, index, also)
        ctx.call = call
        ctx.set_materialize_grads(False)
        return out, plain, open_masks

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        (masks, index, also), call = ctx.saved_tensors, ctx.call
        found, passed = kernels.room_for_gradient(ctx.given, masks)
        given = [None if grad is None else grad.contiguous() for grad in grads]
        call.by_out, call.by_plain, call.by_open = (kernels.pointer(grad) for grad in given)
        call.by_masks = found.data_ptr()
        _PLACES.note(call.rows, index, also)
        kernels.run("gspc_rows_masks_gathered", call, masks)
        return found if passed else None, None, None, None


class _MeanProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, count: Tensor | None, factor: float) -> Tensor:
        values, mean, parts = values.contiguous(), values.new_empty(()), _parts(values)
        call = structures.Product(room=len(values), count=kernels.pointer(count), factor=factor)
        call.values = values.data_ptr()
        call.parts, call.mean = parts.data_ptr(), mean.data_ptr()
        kernels.run("gspc_rows_product", call, values)
        ctx.save_for_backward(values, count)
        ctx.call = call
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        values, call = ctx.saved_tensors[0], ctx.call
        found = torch.empty_like(values)
        call.by_mean, call.by_values = grad.data_ptr(), found.data_ptr()
        kernels.run("gspc_rows_product_backward", call, values)
        return found, None, None
