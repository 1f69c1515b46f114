"""Bits of symbols under a Gaussian, a mixture of two or a three-way distribution (torch autograd over
`gspc._kernels`, values and derivatives in one pass; the definition is in `gspc.ops.reference` and runs on
every device)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import reference
from gspc.ops.arrays import kernels


def gaussian_bits(distance: Tensor, scale: Tensor) -> Tensor:
    """-log2 of the mass of Gaussians in the bins of width 1 around values (PCGS Eq. 4), at most 24 bits.

    Args:
        distance: of the value from the mean, in steps; any shape.
        scale: standard deviation in steps, > 0; the same shape.

    Returns:
        Bits of that shape. Gradients flow to both arguments, also from where the mass is bounded, so that
        far-off values find their way back.

    Raises:
        ValueError: shapes, dtypes or devices differ.
    """
    return _bits("bits_gaussian", reference.gaussian_bits, {"distance": distance, "scale": scale})


def mixture_bits(
    distance: Tensor, scale1: Tensor, mean2: Tensor, scale2: Tensor, weight_logit: Tensor
) -> Tensor:
    """-log2 of the mass of two-component mixtures (1 - w) N(0, scale1) + w N(mean2, scale2), w =
    sigmoid(weight_logit), in the bins of width 1 around values (HAC++).

    Args:
        distance: of the value from the first component's mean, in steps; any shape.
        scale1: standard deviation of the first component in steps, > 0; the same shape, as all.
        mean2: of the second component from the first one's mean, in steps.
        scale2: standard deviation of the second component in steps, > 0.
        weight_logit: of the second component.

    Returns:
        Bits of that shape, at most 24; gradients to every argument as in `gaussian_bits`.

    Raises:
        ValueError: shapes, dtypes or devices differ.
    """
    return _bits(
        "bits_mixture",
        reference.mixture_bits,
        {
            "distance": distance,
            "scale1": scale1,
            "mean2": mean2,
            "scale2": scale2,
            "weight_logit": weight_logit,
        },
    )


def trit_bits(zero_logit: Tensor, sign_logit: Tensor, trits: Tensor) -> Tensor:
    """-log2 of trits in {-1, 0, 1} under p(0) = sigmoid(zero_logit), p(+1 | nonzero) = sigmoid(sign_logit).

    All of one shape and float dtype; gradients flow to both logits. Raises ValueError as `gaussian_bits`.
    """
    arguments = {"zero_logit": zero_logit, "sign_logit": sign_logit, "trits": trits.detach()}
    return _bits("bits_trits", reference.trit_bits, arguments)


def _bits(kernel: str, definition: Callable[..., Tensor], arguments: dict[str, Tensor]) -> Tensor:
    first_name, first = next(iter(arguments.items()))
    for name, tensor in arguments.items():
        if tensor.shape != first.shape or tensor.dtype != first.dtype or tensor.device != first.device:
            raise ValueError(
                f"bits: {name} is {tensor.dtype} {tuple(tensor.shape)} on {tensor.device}, {first_name} is "
                f"{first.dtype} {tuple(first.shape)} on {first.device}"
            )
    fused = first.device.type == "cpu" and first.dtype == torch.float32
    bits: Tensor = _Bits.apply(kernel, *arguments.values()) if fused else definition(*arguments.values())
    return bits


class _Bits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: str, *arguments: Tensor) -> Tensor:
        bits = torch.empty(arguments[0].shape)
        slopes = None
        if any(ctx.needs_input_grad):
            slopes = [torch.empty(bits.shape) for _ in arguments[: 2 if kernel == "bits_trits" else None]]
        getattr(kernels(), kernel)(
            [argument.detach().contiguous().numpy() for argument in arguments],
            bits.numpy(),
            None if slopes is None else [slope.numpy() for slope in slopes],
        )
        if slopes is not None:
            ctx.save_for_backward(*slopes)
        return bits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        slopes = [*ctx.saved_tensors, None]  # one less for trits, which have none
        wanted = zip(slopes, ctx.needs_input_grad[1:], strict=False)
        return None, *(grad * slope if need and slope is not None else None for slope, need in wanted)
