"""The fused Gaussian heads on a CPU: torch autograd over `gspc._kernels`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops.arrays.heads import HEAD_WEIGHTS
from gspc.ops.heads.types import HeadWeights, NeuralGaussians
from gspc.ops.kernels import native


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
    """`gspc.ops.heads.neural_gaussians` of checked float32 arguments: features [N, F], log_scales [N, 6] or
    [N, 1], offsets [N, K, 3], mask [N, K], anchors [N, 3], camera_center [3], visible [N], predicted [N,
    P]."""
    return NeuralGaussians(
        *_NeuralGaussians.apply(
            anchors.detach(),
            tuple(float(value) for value in camera_center.detach()),
            float(heads.distance_scale),
            visible,
            features,
            log_scales,
            offsets,
            mask,
            *(getattr(heads, name) for name in HEAD_WEIGHTS),
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
        total, n_active = native.heads_select(
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
        native.heads_forward(weights, distance_scale, inputs, *state, index.numpy(), arrays)
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
        center, alpha, starts, active, n_active = ctx.state
        native.heads_backward(
            _arrays(leaves[4:12]),
            ctx.distance_scale,
            _inputs(anchors, leaves),
            *(center, alpha, starts, active, n_active),
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
