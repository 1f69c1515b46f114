"""Structural similarity and the loss of a picture, differentiable in the image."""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.ssim import cpu, cuda, definition

__all__ = ["picture_loss", "squared_error", "ssim"]


def ssim(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] each
    """Mean SSIM (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, zero padding. Differentiable in image.

    Raises:
        ValueError: a shape, dtype or device that does not fit.
    """
    _check(image, target)
    by = place.of(image)
    if by == "cuda":
        return cuda.photometric(image, target)[0][1]
    if by == "torch":
        return definition.ssim(image, target.to(image.dtype) / 255 if target.dtype == torch.uint8 else target)
    return cpu.ssim(image, target)


def picture_loss(
    image: Tensor,  # [H, W, 3] float32, in [0, 1] as all that is drawn
    target: Tensor,  # [H, W, 3] uint8 (value / 255) or float32
    ssim_weight: float,
    weight: Tensor | float = 1.0,  # []
    *,
    root: bool = False,
) -> tuple[Tensor, Tensor]:
    """Loss (1 - w) E + w (1 - SSIM) [], and the `squared_error` [], which carries no gradient; a GPU finds
    both in one pass.

    E is the mean absolute difference (3DGS), or with `root` the root of the mean squared one. The slopes of
    both by a value are alike in their mean square; those of the root follow the value's error. `weight` is a
    factor on every mean over pixels, where not all of them count.

    Raises:
        ValueError: a shape, dtype or device that does not fit.
    """
    _check(image, target)
    by = place.of(image)
    if by == "cpu":
        return cpu.picture_loss(image, target, ssim_weight, weight, root=root)
    if by == "torch":
        return definition.picture_loss(image, target, ssim_weight, weight, root=root)
    means, loss = cuda.photometric(image, target, ssim_weight, weight, root=root)
    return loss, definition.weighted(means.detach()[2], weight)


@torch.no_grad()
def squared_error(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] float32; uint8 or float32 -> []
    """Mean squared difference between target and image, which is clamped to [0, 1]; on a GPU nothing waits
    for it.

    Raises:
        ValueError: a shape, dtype or device that does not fit.
    """
    _check(image, target)
    return (cpu if place.of(image) == "cpu" else definition).squared_error(image, target)


def _check(image: Tensor, target: Tensor) -> None:
    if image.dtype != torch.float32 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"image: float32 [H, W, 3] expected, got {image.dtype} {list(image.shape)}")
    if target.shape != image.shape or target.dtype not in (torch.uint8, torch.float32):
        raise ValueError(
            f"target: uint8 or float32 {list(image.shape)} expected, got {target.dtype} {list(target.shape)}"
        )
    if target.device != image.device:
        raise ValueError(f"target: is on {target.device}, the image on {image.device}")
