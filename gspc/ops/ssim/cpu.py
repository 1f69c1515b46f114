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
    return _compared(image, target, (0.0, 1.0, 0.0))


def picture_loss(
    image: Tensor, target: Tensor, ssim_weight: float, weight: Tensor | float, *, root: bool
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.ssim.picture_loss`: [H, W, 3] each -> two []."""
    factor = float(weight)
    squared = squared_error(image, target) * factor
    if not root:
        weights = factor * (1.0 - ssim_weight), -factor * ssim_weight, 0.0
        return _compared(image, target, weights, factor * ssim_weight), squared
    error = math.sqrt(max(float(squared), LEAST_SQUARED))  # NaN stays: it is the first argument
    slope = factor * (1.0 - ssim_weight) / (2 * error) if squared > LEAST_SQUARED else 0.0
    more = factor * ssim_weight + (1.0 - ssim_weight) * error
    return _compared(image, target, (0.0, -factor * ssim_weight, slope), more), squared


def squared_error(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] each -> float64 []
    """See `gspc.ops.ssim.squared_error`."""
    found = native.squared_error(image.detach().contiguous().numpy(), target.contiguous().numpy())
    return torch.tensor(found, dtype=torch.float64)


def _compared(
    image: Tensor, target: Tensor, weights: tuple[float, float, float], more: float = 0.0
) -> Tensor:
    wanted = image.requires_grad and torch.is_grad_enabled()
    found: Tensor = _Compare.apply(image.contiguous(), target.contiguous(), weights, more, wanted)
    return found


class _Compare(torch.autograd.Function):
    """weights[0] * L1 + weights[1] * SSIM + more; its gradient also has that of weights[2] * the mean squared
    error. `more` is added in double precision: weights are large where few pixels count."""

    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        target: Tensor,
        weights: tuple[float, float, float],
        more: float,
        wanted: bool,
    ) -> Tensor:
        by_l1, by_ssim, by_squares = weights
        l1, similarity, gradient = native.photometric(
            image.detach().numpy(), target.detach().numpy(), by_l1, by_squares, by_ssim, wanted
        )
        ctx.gradient = None if gradient is None else torch.from_numpy(gradient)
        return torch.tensor(by_l1 * l1 + by_ssim * similarity + more)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        factor = float(grad)
        gradient = ctx.gradient if factor == 1.0 else ctx.gradient * factor
        return gradient, None, None, None, None
