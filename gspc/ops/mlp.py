"""Two-layer networks over many rows (torch autograd over `gspc._kernels`; the definition is in
`gspc.ops.reference` and runs on every device)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import reference
from gspc.ops.arrays import kernels


class TwoLayerWeights(NamedTuple):
    """relu(x W1^T + b1) W2^T + b2."""

    w1: Tensor  # [H, I]
    b1: Tensor  # [H]
    w2: Tensor  # [O, H]
    b2: Tensor  # [O]


def two_layers(
    x: Tensor, networks: Sequence[TwoLayerWeights], index: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Outputs of networks that read the same rows, which are fetched once; what lies between the layers stays
    in cache.

    Args:
        x: [N, I].
        networks: at least one; widths of their own but for I.
        index: int64 [n], the rows of x to read, in any order; None means all. x gets no gradient with it.

    Returns:
        [n, O] of each network; gradients flow to every argument, and x costs none where it needs none.

    Raises:
        ValueError: on no network, shapes that do not fit, tensors of different dtypes or devices, an index
            outside x, or one beside an x that needs a gradient.
    """
    _check(x, networks, index)
    if x.device.type != "cpu" or x.dtype != torch.float32:
        rows = x if index is None else x[index]
        return tuple(reference.two_layer(rows, *network) for network in networks)
    outputs: tuple[Tensor, ...] = _TwoLayer.apply(x, index, *(w for network in networks for w in network))
    return outputs


def _check(x: Tensor, networks: Sequence[TwoLayerWeights], index: Tensor | None) -> None:
    if not networks:
        raise ValueError("mlp: no network")
    if index is not None:
        if index.dtype != torch.int64 or index.ndim != 1 or index.device != x.device:
            raise ValueError(f"mlp: index is {index.dtype} {tuple(index.shape)}, expected int64 [n]")
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError("mlp: no gradient for rows of an index")
    for w1, b1, w2, b2 in networks:
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


def _numpy(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.numpy()


class _TwoLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor | None, *weights: Tensor) -> tuple[Tensor, ...]:
        x, index = x.detach().contiguous(), None if index is None else index.contiguous()
        weights = tuple(weight.detach().contiguous() for weight in weights)
        n = len(x) if index is None else len(index)
        hidden = [torch.empty(n, kernels().mlp_stride(len(w1))) for w1 in weights[::4]]
        outputs = tuple(torch.empty(n, len(w2)) for w2 in weights[2::4])
        kernels().mlp_forward(
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
        kernels().mlp_backward(
            *(x.numpy(), _numpy(index), _networks(weights), [h.numpy() for h in hidden]),
            *([grad.contiguous().numpy() for grad in grads], _networks(found), _numpy(grad_x)),
        )
        return grad_x, None, *found


def _networks(weights: Sequence[Tensor]) -> list[list[Any]]:
    return [[weight.numpy() for weight in weights[i : i + 4]] for i in range(0, len(weights), 4)]
