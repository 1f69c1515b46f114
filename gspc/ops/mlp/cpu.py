"""Two-layer networks on a CPU: torch autograd over `gspc._kernels`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops.kernels import native


def two_layers(x: Tensor, networks: Sequence[tuple[Tensor, ...]], index: Tensor | None) -> tuple[Tensor, ...]:
    """`gspc.ops.mlp.two_layers` of checked float32 arguments: x [N, I], networks' `folded` weights, index [n]
    -> [n, O] of each network."""
    outputs: tuple[Tensor, ...] = _TwoLayer.apply(x, index, *(w for network in networks for w in network))
    return outputs


def _numpy(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.numpy()


class _TwoLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor | None, *weights: Tensor) -> tuple[Tensor, ...]:
        x, index = x.detach().contiguous(), None if index is None else index.contiguous()
        weights = tuple(weight.detach().contiguous() for weight in weights)
        n = len(x) if index is None else len(index)
        hidden = [torch.empty(n, native.mlp_stride(len(w1))) for w1 in weights[::4]]
        outputs = tuple(torch.empty(n, len(w2)) for w2 in weights[2::4])
        native.mlp_forward(
            *(x.numpy(), _numpy(index), _networks(weights)),
            *([h.numpy() for h in hidden], [y.numpy() for y in outputs]),
        )
        ctx.save_for_backward(x, index, *weights, *hidden)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, index, *rest = ctx.saved_tensors
        weights, hidden = rest[: 4 * len(grads)], rest[4 * len(grads) :]
        found = [torch.empty(weight.shape) for weight in weights]
        grad_x = torch.empty(x.shape) if ctx.needs_input_grad[0] else None
        native.mlp_backward(
            *(x.numpy(), _numpy(index), _networks(weights), [h.numpy() for h in hidden]),
            *([grad.contiguous().numpy() for grad in grads], _networks(found), _numpy(grad_x)),
        )
        return grad_x, None, *found


def _networks(weights: Sequence[Tensor]) -> list[list[Any]]:
    return [[weight.numpy() for weight in weights[i : i + 4]] for i in range(0, len(weights), 4)]
