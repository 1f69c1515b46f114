"""A two-layer network over many rows (torch autograd over `gspc._kernels`; the definition is in
`gspc.ops.reference` and runs on every device)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import reference
from gspc.ops.arrays import kernels


def two_layer(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """relu(x W1^T + b1) W2^T + b2, what lies between kept in cache.

    Args:
        x: [n, I].
        w1: [H, I].
        b1: [H].
        w2: [O, H].
        b2: [O].

    Returns:
        [n, O]; gradients flow to every argument, and x costs none where it needs none.

    Raises:
        ValueError: on shapes that do not fit, or tensors of different dtypes or devices.
    """
    if x.ndim != 2 or w1.ndim != 2 or w2.ndim != 2:
        raise ValueError("mlp: matrices expected for x, w1 and w2")
    shapes = {"x": (len(x), w1.shape[1]), "w1": tuple(w1.shape), "b1": (len(w1),)}
    shapes |= {"w2": (len(w2), len(w1)), "b2": (len(w2),)}
    for (name, shape), tensor in zip(shapes.items(), (x, w1, b1, w2, b2), strict=True):
        if tuple(tensor.shape) != shape:
            raise ValueError(f"mlp: {name} has shape {tuple(tensor.shape)}, expected {shape}")
        if tensor.dtype != x.dtype or tensor.device != x.device:
            raise ValueError(
                f"mlp: {name} is {tensor.dtype} on {tensor.device}, x is {x.dtype} on {x.device}"
            )
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return reference.two_layer(x, w1, b1, w2, b2)
    y: Tensor = _TwoLayer.apply(x, w1, b1, w2, b2)
    return y


class _TwoLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> Tensor:
        arguments = tuple(argument.detach().contiguous() for argument in arguments)
        x, w1, _, w2, _ = arguments
        hidden = torch.empty(len(x), kernels().mlp_stride(len(w1)))
        y = torch.empty(len(x), len(w2))
        kernels().mlp_forward(*(argument.numpy() for argument in arguments), hidden.numpy(), y.numpy())
        ctx.save_for_backward(*arguments, hidden)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *arguments, hidden = ctx.saved_tensors
        found = [
            torch.empty(argument.shape) if need or i > 0 else None
            for i, (argument, need) in enumerate(zip(arguments, ctx.needs_input_grad, strict=True))
        ]
        kernels().mlp_backward(
            *(argument.numpy() for argument in arguments),
            hidden.numpy(),
            grad.contiguous().numpy(),
            *(None if tensor is None else tensor.numpy() for tensor in found),
        )
        return tuple(found)
