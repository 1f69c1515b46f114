"""Rows of per-anchor parameters for a training step, one gradient for all their uses, and what is counted
over them. N anchors, K offsets per anchor, S parameters of a mask; v and a rows of anchors, m Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.rows import cpu, cuda, definition
from gspc.ops.steps import relative_step
from gspc.scene import Camera

__all__ = [
    "add_statistics",
    "mask_rows",
    "mean_product",
    "noisy_attributes",
    "noisy_rows",
    "positive_share",
    "rounded_attributes",
    "rounded_rows",
    "visible_rows",
]


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
    _check_rows(values, index, also)
    if step is not None and (step.dtype != torch.float32 or step.shape != index.shape):
        raise ValueError(
            f"rows: step is {step.dtype} {tuple(step.shape)}, expected float32 {tuple(index.shape)}"
        )
    return _kernels(values).noisy_rows(values, index, also, step, scale, seed)


def noisy_attributes(
    values: Sequence[Tensor],
    index: Tensor,
    also: Tensor,
    r: Tensor | None,
    scales: Sequence[float],
    seeds: Sequence[int],
) -> list[tuple[Tensor, Tensor]]:
    """`noisy_rows` of several parameters, which a GPU takes at once: values [N, ...] each, with scales and
    seeds of their own, and steps 1 + tanh of the columns of r (see `gspc.ops.rate.relative_step`), float32
    [v, parameters], or None. Gradients flow to values and r."""
    for tensor in values:
        _check_rows(tensor, index, also)
    if r is not None and (r.dtype != torch.float32 or r.shape != (len(index), len(values))):
        raise ValueError(
            f"rows: r is {r.dtype} {tuple(r.shape)}, expected float32 {(len(index), len(values))}"
        )
    if place.of(values[0]) == "cuda":
        return cuda.noisy_attributes(values, index, also, r, scales, seeds)
    steps = [None] * len(values) if r is None else [relative_step(column) for column in r.unbind(1)]
    return [
        noisy_rows(tensor, index, also, step, scale, seed)
        for tensor, step, scale, seed in zip(values, steps, scales, seeds, strict=True)
    ]


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
    _check_rounded(values, index, also, center, step, finest, coarser)
    return _kernels(values).rounded_rows(values, index, also, center, step, finest, coarser)


def rounded_attributes(
    values: Sequence[Tensor],
    index: Tensor,
    also: Tensor,
    centers: Sequence[Tensor],
    steps: Sequence[Tensor],
    grids: Sequence[tuple[int, int]],
) -> list[tuple[Tensor, Tensor]]:
    """`rounded_rows` of several parameters, which a GPU takes at once: values [N, ...] each, with centers
    [N, w], steps [N], and finest and coarser of each in `grids`."""
    given = list(zip(values, centers, steps, grids, strict=True))
    if place.of(values[0]) != "cuda":
        return [rounded_rows(tensor, index, also, c, s, *grid) for tensor, c, s, grid in given]
    for tensor, center, step, grid in given:
        _check_rounded(tensor, index, also, center, step, *grid)
    return cuda.rounded_attributes(values, index, also, centers, steps, grids)


def _check_rounded(
    values: Tensor, index: Tensor, also: Tensor, center: Tensor, step: Tensor, finest: int, coarser: int
) -> None:
    width = values[0].numel() if len(values) else center.shape[1]
    _check_rows(values, index, also)
    for name, tensor, shape in (("center", center, (len(values), width)), ("step", step, (len(values),))):
        if tensor.dtype != torch.float32 or tensor.shape != shape:
            raise ValueError(
                f"rows: {name} is {tensor.dtype} {tuple(tensor.shape)}, expected float32 {shape}"
            )
    if finest % 3**coarser:
        raise ValueError(f"rows: finest = {finest} is no multiple of 3^{coarser}")


def mask_rows(masks: Tensor, index: Tensor, also: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
    """Masks of the Gaussians at `level` (`gspc.model.masks.gaussian_mask`) for the anchors `index`, the mask
    parameters of the anchors `also`, and how many Gaussians of all anchors live at `level`.

    masks float32 [N, K, S]; index int64 [v] ascending without repeats; also int64 [a]; level from 1. Returns
    [v, K] of 0.0 or 1.0, [a, K, S] and []; the last one's gradient is that of the sum of all masks. Raises
    ValueError as `noisy_rows`.
    """
    if masks.dtype != torch.float32 or masks.ndim != 3:
        raise ValueError(f"rows: masks are {masks.dtype} {tuple(masks.shape)}, expected float32 [N, K, S]")
    return _kernels(masks).mask_rows(masks, index, also, level)


@torch.no_grad()
def visible_rows(world: Tensor, log_scales: Tensor, offsets: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """The anchors whose Gaussians, alive or not, may touch a picture: all that drawing would show of it
    (`gspc.ops.footprint`).

    Args:
        world: float32 [N, 3], world space.
        log_scales: float32 [N, Z], Z = 6, or 1 that stands for all of them.
        offsets: float32 [N, K, 3], in units of the first three scales.
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
    if offsets.dtype != torch.float32 or offsets.ndim != 3 or offsets.shape[1] < 1 or offsets.shape[2] != 3:
        raise ValueError(
            f"rows: offsets are {offsets.dtype} {tuple(offsets.shape)}, expected float32 [N, K, 3]"
        )
    if not len(world) == len(log_scales) == len(offsets):
        raise ValueError(
            f"rows: {len(world)} positions, {len(log_scales)} rows of log scales, {len(offsets)} of offsets"
        )
    return _kernels(world).visible_rows(world, log_scales, offsets, camera)


def mean_product(values: Tensor, count: Tensor | None = None, factor: float = 1.0) -> Tensor:
    """`factor` times the mean of the products of rows, float32 [n, 3] -> []; of no rows NaN, or 0 beside a
    count, which is int64 [1]: how many of the rows there are, on a GPU only. Raises ValueError on another
    dtype or shape."""
    if values.dtype != torch.float32 or values.ndim != 2 or values.shape[1] != 3:
        raise ValueError(f"rows: values are {values.dtype} {tuple(values.shape)}, expected float32 [n, 3]")
    by = place.of(values)
    if by == "cuda" and (len(values) or count is not None):
        return cuda.mean_product(values, count, factor)
    mean = (cpu if by == "cpu" and len(values) else definition).mean_product(values)
    return mean if factor == 1 else factor * mean


def positive_share(values: Tensor) -> Tensor:
    """Share of `values` (float32 [n, w]) that are >= 0; its gradient is that of the mean of values / 2 where
    |value| <= 1 (straight-through), else 0. Raises ValueError on another dtype or shape."""
    if values.dtype != torch.float32 or values.ndim != 2:
        raise ValueError(f"rows: values are {values.dtype} {tuple(values.shape)}, expected float32 [n, w]")
    if place.of(values) != "cpu":
        return definition.positive_share(values)
    return cpu.positive_share(values)


@torch.no_grad()
def add_statistics(
    sums: tuple[Tensor, Tensor, Tensor, Tensor],
    visible: Tensor,
    index: Tensor,
    radii: Tensor,
    means2d_grad: Tensor,
    opacities: Tensor,
    half: tuple[float, float],
    count: Tensor | None = None,
) -> None:
    """Adds what densification gathers of one iteration (Scaffold-GS, section 3.3) to sums over iterations.

    Args:
        sums: float32, changed in place: of gradients [N * K], of how often Gaussians were drawn [N * K], of
        the
            opacities of an anchor's Gaussians [N], and of how often an anchor was visible [N].
        visible: int64 [v], ascending, the anchors that the view shows.
        index: int64 [m], ascending, the Gaussians they showed, row of `visible` * K + k.
        radii: int32 [m] pixels, 0 = not drawn.
        means2d_grad: float32 [m, 2], dloss / d(projected mean) in pixels.
        opacities: float32 [m].
        half: half the picture's width and height, the unit of summed gradients.
        count: int64 [1], how many of the Gaussians there are, on a GPU only; None: all.

    Raises:
        ValueError: on shapes that do not fit, or rows that are not there.
    """
    anchors, room = len(sums[2]), len(index)
    if anchors == 0:
        return
    shapes = (len(sums[0]) // anchors * anchors,), (len(sums[0]),), (anchors,), (anchors,)
    if tuple(tuple(total.shape) for total in sums) != shapes:
        raise ValueError(f"rows: sums have shapes {[tuple(total.shape) for total in sums]}")
    if tuple(means2d_grad.shape) != (room, 2) or not len(radii) == len(opacities) == room:
        raise ValueError(
            f"rows: {room} Gaussians, but {len(radii)} radii, {len(opacities)} opacities and gradients "
            f"{tuple(means2d_grad.shape)}"
        )
    given = sums, visible, index, radii, means2d_grad, opacities, half
    by = place.of(opacities)
    if by == "cuda":
        cuda.add_statistics(*given, count)
    else:
        (cpu if by == "cpu" else definition).add_statistics(*given)


def _kernels(tensor: Tensor) -> Any:
    """The module that computes."""
    return {"cpu": cpu, "cuda": cuda, "torch": definition}[place.of(tensor)]


def _check_rows(values: Tensor, index: Tensor, also: Tensor) -> None:
    if values.dtype != torch.float32 or index.dtype != torch.int64 or also.dtype != torch.int64:
        raise ValueError(
            f"rows: float32 values and int64 indices expected, got {values.dtype}, {index.dtype}, "
            f"{also.dtype}"
        )
