"""Structural similarity and the photometric loss, fused forward and backward, as torch autograd functions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gspc.ops import cuda, reference
from gspc.ops.arrays import kernels


class _Compare(torch.autograd.Function):
    """l1_weight * L1 + ssim_weight * SSIM, L1 and SSIM (the last two for information only)."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, target: Tensor, l1_weight: float, ssim_weight: float, wanted: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        l1, similarity, gradient = kernels().photometric(
            image.detach(), target.detach(), l1_weight, ssim_weight, wanted
        )
        ctx.gradient = None if gradient is None else torch.from_numpy(gradient)
        loss = torch.tensor(l1_weight * l1 + ssim_weight * similarity)
        parts = torch.tensor(l1), torch.tensor(similarity)
        ctx.mark_non_differentiable(*parts)
        return loss, *parts

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        factor = float(grads[0])
        gradient = ctx.gradient if factor == 1.0 else ctx.gradient * factor
        return gradient, None, None, None, None


def _check(image: Tensor, target: Tensor) -> None:
    if image.dtype != torch.float32 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image: float32 [H, W, 3] expected, got {image.dtype} {list(image.shape)}")
    if target.shape != image.shape or target.dtype not in (torch.uint8, torch.float32):
        raise ValueError(
            f"target: uint8 or float32 {list(image.shape)} expected, got {target.dtype} {list(target.shape)}"
        )
    if target.device != image.device:
        raise ValueError(f"target: is on {target.device}, the image on {image.device}")


def ssim(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] each
    """Mean SSIM (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, zero padding. Differentiable in image.

    Raises:
        ValueError: a shape, dtype or device that does not fit.
    """
    _check(image, target)
    if image.device.type != "cpu":
        if image.is_cuda and cuda.enabled():
            return cuda.photometric(image, target)[1]
        return reference.ssim(image, target.to(image.dtype) / 255 if target.dtype == torch.uint8 else target)
    wanted = image.requires_grad and torch.is_grad_enabled()
    value: Tensor = _Compare.apply(image.contiguous(), target.contiguous(), 0.0, 1.0, wanted)[0]
    return value


def photometric_loss(
    image: Tensor,  # [H, W, 3] float32
    target: Tensor,  # [H, W, 3] uint8 (value / 255) or float32
    ssim_weight: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss (1 - w) L1 + w (1 - SSIM), then L1 and SSIM themselves; the last two carry no gradient.

    Raises:
        ValueError: a shape, dtype or device that does not fit.
    """
    _check(image, target)
    if image.device.type != "cpu":
        if image.is_cuda and cuda.enabled():
            l1, similarity = cuda.photometric(image, target)
            loss = (1 - ssim_weight) * l1 + ssim_weight * (1 - similarity)
        else:
            loss, l1, similarity = reference.photometric_loss(image, target, ssim_weight)
        return loss, l1.detach(), similarity.detach()
    wanted = image.requires_grad and torch.is_grad_enabled()
    value, l1, similarity = _Compare.apply(
        image.contiguous(), target.contiguous(), 1.0 - ssim_weight, -float(ssim_weight), wanted
    )
    return value + ssim_weight, l1, similarity


@torch.no_grad()
def squared_error(image: Tensor, target: Tensor) -> float:  # [H, W, 3] float32; [H, W, 3] uint8 or float32
    """Mean squared difference between target and image, which is clamped to [0, 1].

    Raises:
        ValueError: a shape, dtype or device that does not fit.
    """
    _check(image, target)
    if image.device.type != "cpu":
        return float(reference.squared_error(image, target))
    return float(kernels().squared_error(image.detach().contiguous().numpy(), target.contiguous().numpy()))
