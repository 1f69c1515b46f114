"""Neural Gaussians of a view from anchors (torch autograd over the fused heads of `gspc._kernels`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import reference
from gspc.ops.arrays import HEAD_WEIGHTS, kernels
from gspc.ops.reference import NeuralGaussians

__all__ = ["HeadTensors", "HeadWeights", "NeuralGaussians", "neural_gaussians"]


class HeadWeights(Protocol):
    """What `neural_gaussians` reads of the heads; fields as in `gspc.scene.Heads`, as tensors."""

    @property
    def w1(self) -> Tensor: ...  # [3H, F + 4]
    @property
    def b1(self) -> Tensor: ...  # [3H]
    @property
    def w_opacity(self) -> Tensor: ...  # [K, H]
    @property
    def b_opacity(self) -> Tensor: ...  # [K]
    @property
    def w_color(self) -> Tensor: ...  # [3K, H]
    @property
    def b_color(self) -> Tensor: ...  # [3K]
    @property
    def w_cov(self) -> Tensor: ...  # [7K, H]
    @property
    def b_cov(self) -> Tensor: ...  # [7K]
    @property
    def distance_scale(self) -> float: ...
    @property
    def bf16(self) -> bool: ...  # matrix products in bfloat16


class HeadTensors(NamedTuple):
    """The heads as plain tensors."""

    w1: Tensor
    b1: Tensor
    w_opacity: Tensor
    b_opacity: Tensor
    w_color: Tensor
    b_color: Tensor
    w_cov: Tensor
    b_cov: Tensor
    distance_scale: float
    bf16: bool = False


def neural_gaussians(
    features: Tensor,
    log_scales: Tensor,
    offsets: Tensor,
    mask: Tensor,
    anchors: Tensor,
    camera_center: Tensor,
    heads: HeadWeights,
    visible: Tensor | None = None,
    predicted: Tensor | None = None,
) -> NeuralGaussians:
    """The Gaussians that anchors show to a camera (method section 1).

    Args:
        features: [N, F] anchor features, or those after the predicted ones.
        log_scales: [N, 6]; exp of the first three scales the offsets, of the last three the Gaussians. Or
            [N, 1], which stands for all six.
        offsets: [N, K, 3].
        mask: [N, K], 0 or 1 (straight-through); multiplies opacity and scale, and receives a gradient.
        anchors: [N, 3] world space; no gradient.
        camera_center: [3] world space; no gradient.
        heads: weights of the heads; with `bf16` their products run in bfloat16 through the definition in
            `gspc.ops.reference`, everything else stays in the features' dtype.
        visible: bool [N], the anchors to look at; None means all.
        predicted: [N, P], the first channels of the features, where a pool predicts them.

    Returns:
        The Gaussians with opacity > 0 and mask > 0.5, ordered by index = n * K + k. Gradients flow to
        features, log_scales, offsets, mask, predicted and every weight; a Gaussian that is not returned
        receives none.

    Raises:
        ValueError: on a wrong shape or dtype, or tensors on different devices.
    """
    n, k = len(features), mask.shape[-1]
    hidden = heads.w_opacity.shape[-1]
    inputs = features.shape[-1] + (0 if predicted is None else predicted.shape[-1]) + 4
    weights = tuple(getattr(heads, name) for name in HEAD_WEIGHTS)
    shapes = {
        "features": (features, (n, features.shape[-1])),
        "log_scales": (log_scales, (n, 1 if log_scales.shape[-1] == 1 else 6)),
        "offsets": (offsets, (n, k, 3)),
        "mask": (mask, (n, k)),
        "anchors": (anchors, (n, 3)),
        "camera_center": (camera_center, (3,)),
        "w1": (heads.w1, (3 * hidden, inputs)),
        "b1": (heads.b1, (3 * hidden,)),
        "w_opacity": (heads.w_opacity, (k, hidden)),
        "b_opacity": (heads.b_opacity, (k,)),
        "w_color": (heads.w_color, (3 * k, hidden)),
        "b_color": (heads.b_color, (3 * k,)),
        "w_cov": (heads.w_cov, (7 * k, hidden)),
        "b_cov": (heads.b_cov, (7 * k,)),
    }
    if predicted is not None:
        shapes["predicted"] = predicted, (n, predicted.shape[-1])
    fused = features.device.type == "cpu" and features.dtype == torch.float32
    for name, (tensor, shape) in shapes.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
        if tensor.dtype != features.dtype or not tensor.is_floating_point():
            raise ValueError(f"{name} is {tensor.dtype}, features are {features.dtype}")
        if tensor.device != features.device:
            raise ValueError(f"{name} is on {tensor.device}, features on {features.device}")
    if visible is not None and (visible.dtype != torch.bool or visible.shape != (n,)):
        raise ValueError(f"visible is {visible.dtype} {tuple(visible.shape)}, expected bool {(n,)}")
    if heads.bf16:
        with torch.autocast(features.device.type, torch.bfloat16):
            return reference.neural_gaussians(
                features, log_scales, offsets, mask, anchors, camera_center, heads, visible, predicted
            )
    if not fused:
        return reference.neural_gaussians(
            features, log_scales, offsets, mask, anchors, camera_center, heads, visible, predicted
        )
    center = tuple(float(value) for value in camera_center.detach())
    return NeuralGaussians(
        *_NeuralGaussians.apply(
            anchors.detach(),
            center,
            float(heads.distance_scale),
            visible,
            features,
            log_scales,
            offsets,
            mask,
            *weights,
            *(() if predicted is None else (predicted,)),
        )
    )


def _arrays(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def _inputs(anchors: Tensor, leaves: Sequence[Tensor]) -> list[np.ndarray]:
    """The kernel's list; leaves are features, log_scales, offsets, mask, eight weights, and maybe
    predicted."""
    return _arrays((*leaves[:4], anchors, *leaves[12:]))


class _NeuralGaussians(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        anchors: Tensor,
        center: tuple[float, ...],
        distance_scale: float,
        visible: Tensor | None,
        *leaves: Tensor,
    ) -> tuple[Tensor, ...]:
        inputs, weights = _inputs(anchors, leaves), _arrays(leaves[4:12])
        n, k = inputs[3].shape
        alpha, starts, active = np.empty((n, k), np.float32), np.empty(n + 1, np.int32), np.empty(n, np.int32)
        seen = None if visible is None else visible.contiguous().numpy().view(np.uint8)
        total, n_active = kernels().heads_select(
            weights, distance_scale, inputs, center, seen, alpha, starts, active
        )
        index = torch.empty(total, dtype=torch.int64)
        outputs = [torch.empty(total, width) for width in (3, 4, 3)] + [
            torch.empty(total),
            torch.empty(total, 3),
        ]
        saved = [np.empty((total, 3), np.float32), np.empty(total, np.float32)]
        arrays = [*(output.numpy() for output in outputs), *saved]
        state = (center, alpha, starts, active, n_active)
        kernels().heads_forward(weights, distance_scale, inputs, *state, index.numpy(), arrays)
        ctx.save_for_backward(anchors, index, *outputs, *leaves)
        ctx.distance_scale, ctx.state, ctx.saved = distance_scale, state, saved
        ctx.mark_non_differentiable(index)
        ctx.set_materialize_grads(False)
        return index, *outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _index: None, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        anchors, index, *rest = ctx.saved_tensors
        outputs, leaves = rest[:5], rest[5:]
        gradients = [torch.empty(leaf.shape) for leaf in leaves]
        kernels().heads_backward(
            _arrays(leaves[4:12]),
            ctx.distance_scale,
            _inputs(anchors, leaves),
            *ctx.state,
            index.numpy(),
            [*(output.detach().numpy() for output in outputs), *ctx.saved],
            [None if grad is None else grad.contiguous().numpy() for grad in grad_outputs],
            [gradient.numpy() for gradient in gradients],
        )
        wanted = (
            gradient if need else None
            for gradient, need in zip(gradients, ctx.needs_input_grad[4:], strict=True)
        )
        return None, None, None, None, *wanted
