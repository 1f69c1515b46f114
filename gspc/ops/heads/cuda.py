"""The Gaussian heads on a CUDA device: the networks by `gspc.ops.mlp`, and torch autograd over
`kernels/cuda/heads.cu`, which makes Gaussians of their logits."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.cuda import COUNT, FLOAT, POINTER
from gspc.ops.heads.types import HeadNetworks, NeuralGaussians
from gspc.ops.mlp import Inputs, two_layers_each

OUTPUTS = (("means", 3), ("quats", 4), ("sizes", 3), ("opacities", 0), ("colors", 3))  # name, width


class _Logits(ctypes.Structure):
    """`HeadsLogits` of kernels/cuda/heads.cuh."""

    _fields_ = (
        *((name, POINTER) for name in ("of", "also")),
        *((name, COUNT) for name in ("stride", "also_stride")),
    )


class _Call(ctypes.Structure):
    """`HeadsCall`."""

    _fields_ = (
        *((name, COUNT) for name in ("n", "offsets", "scales")),
        *((name, POINTER) for name in ("anchors", "log_scales", "places", "mask", "visible")),
        ("center", FLOAT * 3),
        ("distance_scale", FLOAT),
        ("view", POINTER),
        *((name, _Logits) for name in ("opacity", "color", "cov")),
        *((name, POINTER) for name in ("alpha", "starts", "counts", "total", "index")),
        *((name, POINTER) for name, _ in OUTPUTS),
        *((f"by_{name}", POINTER) for name, _ in OUTPUTS),
        *((f"by_{name}", POINTER) for name in ("log_scales", "places", "mask", "opacity_color", "cov")),
    )


def neural_gaussians(
    features: Tensor,
    log_scales: Tensor,
    offsets: Tensor,
    mask: Tensor,
    anchors: Tensor,
    camera_center: Sequence[float],
    heads: HeadNetworks,
    visible: Tensor | None,
    predicted: Tensor | None,
) -> NeuralGaussians:
    """`gspc.ops.heads.neural_gaussians` of checked float32 arguments: features [N, F], log_scales [N, 6] or
    [N, 1], offsets [N, K, 3], mask [N, K], anchors [N, 3], visible [N], predicted [N, P]."""
    n, k = mask.shape
    call = _Call(n=n, offsets=k, scales=log_scales.shape[1], distance_scale=heads.distance_scale)
    call.center = (FLOAT * 3)(*camera_center)
    anchors, view = anchors.contiguous(), anchors.new_empty(n, 4)
    call.anchors, call.view = anchors.data_ptr(), view.data_ptr()
    kernels.run("gspc_heads_view", call, view)
    own: tuple[Tensor, ...] = (features,) if predicted is None else (predicted, features)
    inputs: list[Inputs] = [(*own, view)] * 3
    networks = [heads.opacity, heads.color, heads.cov]
    if heads.appearance is not None and heads.shape is not None:
        assert predicted is not None
        inputs = [*[(predicted, view)] * 3, *[(features, view)] * 2]
        networks += [heads.appearance, heads.shape]
    logits = two_layers_each(inputs, networks)
    index, count, means, quats, scales, opacities, colors = _Gaussians.apply(
        call, anchors, visible, log_scales, offsets, mask, *logits
    )
    return NeuralGaussians(index, means, quats, scales, opacities, colors, count)


class _Gaussians(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, call: _Call, anchors: Tensor, visible: Tensor | None, *given: Tensor
    ) -> tuple[Tensor, ...]:
        log_scales, offsets, mask, *logits = (tensor.contiguous() for tensor in given)
        n, k = mask.shape
        room, scratch = n * k, mask.new_empty(n * k + n + kernels.blocks(n))
        index, total = (torch.empty(size, dtype=torch.int64, device=mask.device) for size in (room, 1))
        outputs = [mask.new_empty((room, width) if width else (room,)) for _, width in OUTPUTS]
        call.log_scales, call.places, call.mask = log_scales.data_ptr(), offsets.data_ptr(), mask.data_ptr()
        at = scratch.data_ptr()
        call.visible, call.alpha = kernels.pointer(visible), at
        call.starts, call.counts = at + 4 * room, at + 4 * (room + n)
        call.index, call.total = index.data_ptr(), total.data_ptr()
        for (name, _), output in zip(OUTPUTS, outputs, strict=True):
            setattr(call, name, output.data_ptr())
        _set_logits(call, logits, k)
        kernels.run("gspc_heads_forward", call, mask)
        ctx.save_for_backward(anchors, visible, log_scales, offsets, mask, *logits, scratch, total)
        ctx.call = call
        ctx.mark_non_differentiable(index, total)
        ctx.set_materialize_grads(False)
        return index, total, *outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _index: None, _total: None, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        _, _, log_scales, offsets, mask, *logits, _, _ = ctx.saved_tensors
        call, (n, k) = ctx.call, mask.shape
        given = [None if grad is None else grad.contiguous() for grad in grads]
        for (name, _), grad in zip(OUTPUTS, given, strict=True):
            setattr(call, f"by_{name}", kernels.pointer(grad))
        found = [torch.empty_like(tensor) for tensor in (log_scales, offsets, mask)]
        opacity_color, cov = mask.new_empty(n, 4 * k), mask.new_empty(n, 7 * k)
        names = ("log_scales", "places", "mask", "opacity_color", "cov")
        for name, tensor in zip(names, (*found, opacity_color, cov), strict=True):
            setattr(call, f"by_{name}", tensor.data_ptr())
        kernels.run("gspc_heads_backward", call, mask)
        of_opacity, of_color = opacity_color.split([k, 3 * k], dim=1)
        residual = (opacity_color, cov) if len(logits) == 5 else ()
        return None, None, None, *found, of_opacity, of_color, cov, *residual


def _set_logits(call: _Call, logits: Sequence[Tensor], k: int) -> None:
    """Those of opacity, color and cov; those of the residual decoder's appearance, opacities first, and shape
    are added to them."""
    for to, of in zip((call.opacity, call.color, call.cov), logits, strict=False):
        to.of, to.stride = of.data_ptr(), of.shape[1]
    if len(logits) == 5:
        appearance, shape = logits[3:]
        call.opacity.also, call.opacity.also_stride = appearance.data_ptr(), 4 * k
        call.color.also, call.color.also_stride = appearance.data_ptr() + 4 * k, 4 * k
        call.cov.also, call.cov.also_stride = shape.data_ptr(), 7 * k
