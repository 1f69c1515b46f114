"""Rows on a CPU: torch autograd over `gspc._kernels`. Arguments are checked; shapes are those of
`gspc.ops.rows`."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops.footprint import MARGIN, SLACK, Footprint
from gspc.ops.kernels import native
from gspc.scene import Camera


def noisy_rows(
    values: Tensor, index: Tensor, also: Tensor, step: Tensor | None, scale: float, seed: int
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.noisy_rows`: [N, ...] -> [v, ...], [a, ...]."""
    noisy, plain = _Noisy.apply(values.flatten(1), index, also, step, scale, seed)
    return noisy.reshape(len(index), *values.shape[1:]), plain.reshape(len(also), *values.shape[1:])


def rounded_rows(
    values: Tensor, index: Tensor, also: Tensor, center: Tensor, step: Tensor, finest: int, coarser: int
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.rounded_rows`: [N, ...] -> [v, ...], [a, ...]."""
    rounded, plain = _Rounded.apply(values.flatten(1), index, also, center, step, finest, coarser)
    return rounded.reshape(len(index), *values.shape[1:]), plain.reshape(len(also), *values.shape[1:])


def mask_rows(masks: Tensor, index: Tensor, also: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `gspc.ops.rows.mask_rows`: [N, K, S] -> [v, K], [a, K, S], []."""
    found: tuple[Tensor, Tensor, Tensor] = _Masks.apply(masks, index, also, level)
    return found


def visible_rows(world: Tensor, log_scales: Tensor, offsets: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.visible_rows`: [N, 3], [N, Z], [N, K, 3] -> [v], [v, 3]."""
    index, where = torch.empty(len(world), dtype=torch.int64), torch.empty(len(world), 3)
    pose = np.ascontiguousarray(camera.world_to_camera, dtype=np.float32)
    view = (*Footprint.of(camera), MARGIN, SLACK)
    given = _array(world), _array(log_scales), _array(offsets.flatten(1))
    count = native.rows_visible(*given, pose, view, index.numpy(), where.numpy())
    return index[:count], where[:count]


def mean_product(values: Tensor) -> Tensor:
    """See `gspc.ops.rows.mean_product`: [n, 3] -> []."""
    mean: Tensor = _MeanProduct.apply(values)
    return mean


def positive_share(values: Tensor) -> Tensor:
    """See `gspc.ops.rows.positive_share`: [n, w] -> []."""
    share: Tensor = _PositiveShare.apply(values)
    return share


def add_statistics(
    sums: tuple[Tensor, Tensor, Tensor, Tensor],
    visible: Tensor,
    index: Tensor,
    radii: Tensor,
    means2d_grad: Tensor,
    opacities: Tensor,
    half: tuple[float, float],
) -> None:
    """See `gspc.ops.rows.add_statistics`: sums [N * K], [N * K], [N], [N]; rows [v], Gaussians [m]."""
    gradient, drawn, opacity, seen = (total.numpy() for total in sums)
    native.rows_statistics(
        *(_array(visible), _array(index), _array(radii), _array(means2d_grad), _array(opacities), *half),
        *(gradient, drawn, opacity, seen),
    )


class _MeanProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return torch.tensor(native.rows_product(_array(values)) / len(values))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        found = torch.empty(values.shape)
        native.rows_product_backward(_array(values), float(grad) / len(values), found.numpy())
        return found


class _PositiveShare(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return torch.tensor(native.rows_count_positive(_array(values)) / max(values.numel(), 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        found = torch.empty(values.shape)  # in rows, however the values lie
        amount = float(grad) / (2 * max(values.numel(), 1))
        native.rows_within_one(_array(values), amount, found.numpy())
        return found


@overload
def _array(tensor: Tensor) -> np.ndarray: ...
@overload
def _array(tensor: None) -> None: ...
def _array(tensor: Tensor | None) -> np.ndarray | None:
    return None if tensor is None else tensor.detach().contiguous().numpy()


class _Noisy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        index: Tensor,
        also: Tensor,
        step: Tensor | None,
        scale: float,
        seed: int,
    ) -> tuple[Tensor, Tensor]:
        width = values.shape[1]
        noisy, plain = torch.empty(len(index), width), torch.empty(len(also), width)
        native.rows_noisy(
            *(_array(values), _array(index), _array(also), _array(step), scale, seed),
            *(noisy.numpy(), plain.numpy()),
        )
        ctx.save_for_backward(index, also)
        ctx.arguments = (scale, seed, tuple(values.shape), step is not None)
        ctx.set_materialize_grads(False)
        return noisy, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        index, also = ctx.saved_tensors
        scale, seed, shape, stepped = ctx.arguments
        grad, grad_step = torch.empty(shape), torch.empty(len(index)) if stepped else None
        native.rows_noisy_backward(
            *(_array(index), _array(also), scale, seed, _array(grads[0]), _array(grads[1])),
            *(grad.numpy(), _array(grad_step)),
        )
        return grad, None, None, grad_step, None, None


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        index: Tensor,
        also: Tensor,
        center: Tensor,
        step: Tensor,
        finest: int,
        coarser: int,
    ) -> tuple[Tensor, Tensor]:
        width = values.shape[1]
        rounded, plain = torch.empty(len(index), width), torch.empty(len(also), width)
        native.rows_rounded(
            *(_array(values), _array(index), _array(also), _array(center), _array(step), finest, coarser),
            *(rounded.numpy(), plain.numpy()),
        )
        ctx.save_for_backward(index, also)
        ctx.shape = tuple(values.shape)
        ctx.set_materialize_grads(False)
        return rounded, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        index, also = ctx.saved_tensors
        grad = torch.empty(ctx.shape)
        # Straight through is what noise of no width does.
        native.rows_noisy_backward(
            *(_array(index), _array(also), 0.0, 0, _array(grads[0]), _array(grads[1])), grad.numpy(), None
        )
        return grad, None, None, None, None, None, None


class _Masks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, masks: Tensor, index: Tensor, also: Tensor, level: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        mask, plain = torch.empty(len(index), masks.shape[1]), torch.empty(len(also), *masks.shape[1:])
        alive = native.rows_mask(
            *(_array(masks), _array(index), _array(also), level),
            *(mask.numpy(), plain.numpy()),
        )
        ctx.save_for_backward(masks, index, also)
        ctx.level = level
        ctx.set_materialize_grads(False)
        return mask, plain, torch.tensor(float(alive))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        masks, index, also = ctx.saved_tensors
        grad, of_alive = torch.empty(masks.shape), 0.0 if grads[2] is None else float(grads[2])
        native.rows_mask_backward(
            *(_array(masks), _array(index), _array(also), ctx.level),
            *(_array(grads[0]), _array(grads[1]), of_alive, grad.numpy()),
        )
        return grad, None, None, None
