"""The readable torch version of `gspc.ops.ssim`, in any float dtype and on any device; tests compare the
kernels with it. H W image."""

from __future__ import annotations

import torch
from torch import Tensor

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
# Of a mean squared error, below which its root has no slope: that of a picture without error would be
# infinite.
LEAST_SQUARED = 1e-12


def ssim(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] each
    """Mean SSIM (Wang et al. 2004) under an 11-tap Gaussian window (sigma 1.5), zero padding."""
    axis = torch.arange(SSIM_WINDOW, dtype=image.dtype, device=image.device) - SSIM_WINDOW // 2
    taps = torch.exp(-(axis**2) / (2 * SSIM_SIGMA**2))
    taps = taps / taps.sum()
    window = torch.outer(taps, taps).expand(3, 1, SSIM_WINDOW, SSIM_WINDOW)
    x, y = image.permute(2, 0, 1)[None], target.permute(2, 0, 1)[None]

    def mean(values: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(values, window, padding=SSIM_WINDOW // 2, groups=3)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    score = (
        (2 * mx * my + SSIM_C1) * (2 * cov + SSIM_C2) / ((mx * mx + my * my + SSIM_C1) * (vx + vy + SSIM_C2))
    )
    return score.mean()


def squared_error(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] each -> []
    """See `gspc.ops.ssim.squared_error`."""
    scaled = target.to(image.dtype) / 255 if target.dtype == torch.uint8 else target
    return (image.clamp(0, 1) - scaled).square().mean()


def picture_loss(
    image: Tensor, target: Tensor, ssim_weight: float, weight: Tensor | float = 1.0, *, root: bool = False
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.ssim.picture_loss`: [H, W, 3] each -> two []."""
    scaled = target.to(image.dtype) / 255 if target.dtype == torch.uint8 else target
    squared = weighted(squared_error(image.detach(), scaled), weight)
    dissimilarity = weighted(1 - ssim(image, scaled), weight)
    if root:
        error = _root(weighted((image - scaled).square().mean(), weight), squared)
    else:
        error = weighted((image - scaled).abs().mean(), weight)
    return (1 - ssim_weight) * error + ssim_weight * dissimilarity, squared


def _root(squares: Tensor, shown: Tensor) -> Tensor:  # [] -> []
    """The root of a squared error: its value by what is `shown`, between 0 and 1, its slope by the values as
    they are, so that those beyond are pulled back."""
    return (squares + (shown - squares).detach()).clamp_min(LEAST_SQUARED).sqrt()


def weighted(mean: Tensor, weight: Tensor | float) -> Tensor:  # [] -> []
    """A mean over pixels times the factor for those that count; nothing is done where all do."""
    if isinstance(weight, float):
        return mean if weight == 1.0 else mean * weight
    return mean * weight.to(mean.dtype)
