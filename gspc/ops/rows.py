"""Rows of per-anchor parameters for a training step, and one gradient for all their uses (torch autograd over
`gspc._kernels`; the definition is in `gspc.ops.reference` and runs on every device)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import reference
from gspc.ops.arrays import kernels
from gspc.scene import Camera


def noisy_rows(
    values: Tensor, index: Tensor, also: Tensor, step: Tensor | None, scale: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Rows of `values` with the uniform noise that stands for quantization, and other rows as they are.

    Args:
        values: float32 [N, ...].
        index: int64 [v], ascending without repeats.
        also: int64 [a], any rows.
        step: float32 [v] or None; width of the noise per row, times `scale`.
        scale: 0 for no noise.
        seed: of the noise, 0 <= seed < 2^64; element (n, c) has the same noise on every device and for every
            number of threads.

    Returns:
        [v, ...] and [a, ...]. Gradients flow to values and step.

    Raises:
        ValueError: on a wrong shape or dtype, or rows that are not there.
    """
    if values.dtype != torch.float32 or index.dtype != torch.int64 or also.dtype != torch.int64:
        raise ValueError(
            f"rows: float32 values and int64 indices expected, got {values.dtype}, {index.dtype}, "
            f"{also.dtype}"
        )
    if step is not None and (step.dtype != torch.float32 or step.shape != index.shape):
        raise ValueError(
            f"rows: step is {step.dtype} {tuple(step.shape)}, expected float32 {tuple(index.shape)}"
        )
    if values.device.type != "cpu":
        return reference.noisy_rows(values, index, also, step, scale, seed)
    noisy, plain = _Noisy.apply(values.flatten(1), index, also, step, scale, seed)
    return noisy.reshape(len(index), *values.shape[1:]), plain.reshape(len(also), *values.shape[1:])


def rounded_rows(
    values: Tensor, index: Tensor, also: Tensor, center: Tensor, step: Tensor, finest: int, coarser: int
) -> tuple[Tensor, Tensor]:
    """Rows of `values` as a level of the stream restores them, and other rows as they are (PCGS Eq. 3).

    Args:
        values: float32 [N, ...].
        index: int64 [v], ascending without repeats.
        also: int64 [a], any rows.
        center: float32 [N, w], w values a row; where the grid of each value lies.
        step: float32 [N], step of level 1.
        finest: steps of the finest grid within one of level 1.
        coarser: levels between the finest grid and the level's, each three times as wide.

    Returns:
        [v, ...] and [a, ...]. The gradient passes straight through to values; center and step get none.

    Raises:
        ValueError: as `noisy_rows`.
    """
    width = values[0].numel() if len(values) else center.shape[1]
    if values.dtype != torch.float32 or index.dtype != torch.int64 or also.dtype != torch.int64:
        raise ValueError(
            f"rows: float32 values and int64 indices expected, got {values.dtype}, {index.dtype}, "
            f"{also.dtype}"
        )
    for name, tensor, shape in (("center", center, (len(values), width)), ("step", step, (len(values),))):
        if tensor.dtype != torch.float32 or tensor.shape != shape:
            raise ValueError(
                f"rows: {name} is {tensor.dtype} {tuple(tensor.shape)}, expected float32 {shape}"
            )
    if finest % 3**coarser:
        raise ValueError(f"rows: finest = {finest} is no multiple of 3^{coarser}")
    if values.device.type != "cpu":
        return reference.rounded_rows(values, index, also, center, step, finest, coarser)
    rounded, plain = _Rounded.apply(values.flatten(1), index, also, center, step, finest, coarser)
    return rounded.reshape(len(index), *values.shape[1:]), plain.reshape(len(also), *values.shape[1:])


def mask_rows(masks: Tensor, index: Tensor, also: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
    """Masks of the Gaussians at `level` (`gspc.model.masks.gaussian_mask`) for the anchors `index`, the mask
    parameters of the anchors `also`, and how many Gaussians of all anchors live at `level`.

    masks float32 [N, K, S]; index int64 [v] ascending without repeats; also int64 [a]; level from 1. Returns
    [v, K] of 0.0 or 1.0, [a, K, S] and []; the last one's gradient is that of the sum of all masks. Raises
    ValueError as `noisy_rows`.
    """
    if masks.dtype != torch.float32 or masks.ndim != 3:
        raise ValueError(f"rows: masks are {masks.dtype} {tuple(masks.shape)}, expected float32 [N, K, S]")
    if masks.device.type != "cpu":
        return reference.mask_rows(masks, index, also, level)
    return _Masks.apply(masks, index, also, level)


@torch.no_grad()
def visible_rows(world: Tensor, log_scales: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """The anchors whose Gaussians may touch a picture: in front of the camera, and near its frustum.

    Args:
        world: float32 [N, 3], world space.
        log_scales: float32 [N, Z], Z = 6, or 1 that stands for all of them.
        camera: whose picture.

    Returns:
        Their indices, int64 [v] ascending, and their positions, float32 [v, 3].

    Raises:
        ValueError: on a wrong dtype or shape.
    """
    for name, tensor, widths in (("world", world, (3,)), ("log scales", log_scales, (1, 6))):
        shape = tuple(tensor.shape)
        if tensor.dtype != torch.float32 or len(shape) != 2 or shape[1] not in widths:
            raise ValueError(f"rows: {name} are {tensor.dtype} {shape}, expected float32 [N, {widths[-1]}]")
    if len(world) != len(log_scales):
        raise ValueError(f"rows: {len(world)} positions, {len(log_scales)} rows of log scales")
    if world.device.type != "cpu":
        return reference.visible_rows(world, log_scales, camera)
    index, where = torch.empty(len(world), dtype=torch.int64), torch.empty(len(world), 3)
    pose = np.ascontiguousarray(camera.world_to_camera, dtype=np.float32)
    frustum = (*reference.frustum_slopes(camera), reference.NEAR)
    count = kernels().rows_visible(
        *(_array(world), _array(log_scales), pose, frustum), *(index.numpy(), where.numpy())
    )
    return index[:count], where[:count]


def mean_product(values: Tensor) -> Tensor:
    """Mean of the products of rows, float32 [n, 3] -> []; NaN of no rows. Raises ValueError on another dtype
    or shape."""
    if values.dtype != torch.float32 or values.ndim != 2 or values.shape[1] != 3:
        raise ValueError(f"rows: values are {values.dtype} {tuple(values.shape)}, expected float32 [n, 3]")
    if values.device.type != "cpu" or len(values) == 0:
        return reference.mean_product(values)
    mean: Tensor = _MeanProduct.apply(values)
    return mean


def positive_share(values: Tensor) -> Tensor:
    """Share of `values` (float32 [n, w]) that are >= 0; its gradient is that of the mean of values / 2 where
    |value| <= 1 (straight-through), else 0. Raises ValueError on another dtype or shape."""
    if values.dtype != torch.float32 or values.ndim != 2:
        raise ValueError(f"rows: values are {values.dtype} {tuple(values.shape)}, expected float32 [n, w]")
    if values.device.type != "cpu":
        return reference.positive_share(values)
    share: Tensor = _PositiveShare.apply(values)
    return share


class _MeanProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return torch.tensor(kernels().rows_product(_array(values)) / len(values))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        found = torch.empty(values.shape)
        kernels().rows_product_backward(_array(values), float(grad) / len(values), found.numpy())
        return found


class _PositiveShare(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return torch.tensor(kernels().rows_count_positive(_array(values)) / max(values.numel(), 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (values,) = ctx.saved_tensors
        found = torch.empty(values.shape)  # in rows, however the values lie
        amount = float(grad) / (2 * max(values.numel(), 1))
        kernels().rows_within_one(_array(values), amount, found.numpy())
        return found


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
        kernels().rows_noisy(
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
        kernels().rows_noisy_backward(
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
        kernels().rows_rounded(
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
        kernels().rows_noisy_backward(
            *(_array(index), _array(also), 0.0, 0, _array(grads[0]), _array(grads[1])), grad.numpy(), None
        )
        return grad, None, None, None, None, None, None


class _Masks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, masks: Tensor, index: Tensor, also: Tensor, level: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        mask, plain = torch.empty(len(index), masks.shape[1]), torch.empty(len(also), *masks.shape[1:])
        alive = kernels().rows_mask(
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
        kernels().rows_mask_backward(
            *(_array(masks), _array(index), _array(also), ctx.level),
            *(_array(grads[0]), _array(grads[1]), of_alive, grad.numpy()),
        )
        return grad, None, None, None
