"""SSIM and the loss of a picture on a CPU, value and gradient in one pass: torch autograd over
`gspc._kernels`.

Arguments are checked: float32 [H, W, 3] images, uint8 or float32 targets alike.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gspc.ops.kernels import native
from gspc.ops.ssim.definition import LEAST_SQUARED


def ssim(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] each -> []
    """See `gspc.ops.ssim.ssim`."""
    return _compared(image, target, 0.0, 1.0)


def picture_loss(
    image: Tensor, target: Tensor, ssim_weight: float, weight: Tensor | float, *, root: bool
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.ssim.picture_loss`: [H, W, 3] each -> two []."""
    factor = float(weight)
    squared = squared_error(image, target) * factor
    if not root:
        value = _compared(image, target, factor * (1.0 - ssim_weight), -factor * ssim_weight)
        return value + factor * ssim_weight, squared
    error = math.sqrt(max(float(squared), LEAST_SQUARED))  # NaN stays: it is the first argument
    slope = factor * (1.0 - ssim_weight) / (2 * error) if squared > LEAST_SQUARED else 0.0
    value = _compared(image, target, 0.0, -factor * ssim_weight, squares_weight=slope)
    return value + (factor * ssim_weight + (1.0 - ssim_weight) * error), squared


def squared_error(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] each -> float64 []
    """See `gspc.ops.ssim.squared_error`."""
    found = native.squared_error(image.detach().contiguous().numpy(), target.contiguous().numpy())
    return torch.tensor(found, dtype=torch.float64)


def _compared(
    image: Tensor, target: Tensor, l1_weight: float, ssim_weight: float, squares_weight: float = 0.0
) -> Tensor:
    wanted = image.requires_grad and torch.is_grad_enabled()
    found: Tensor = _Compare.apply(
        image.contiguous(), target.contiguous(), l1_weight, ssim_weight, squares_weight, wanted
    )
    return found


class _Compare(torch.autograd.Function):
    """l1_weight * L1 + ssim_weight * SSIM; its gradient has that of squares_weight * the mean squared error,
    too."""

    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        target: Tensor,
        l1_weight: float,
        ssim_weight: float,
        squares_weight: float,
        wanted: bool,
    ) -> Tensor:
        l1, similarity, gradient = native.photometric(
            image.detach().numpy(), target.detach().numpy(), l1_weight, squares_weight, ssim_weight, wanted
        )
        ctx.gradient = None if gradient is None else torch.from_numpy(gradient)
        return torch.tensor(l1_weight * l1 + ssim_weight * similarity)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        factor = float(grad)
        gradient = ctx.gradient if factor == 1.0 else ctx.gradient * factor
        return gradient, None, None, None, None, None
