"""What an iteration compares with: masked pixels kept out of the loss, colors behind transparent ones."""

from __future__ import annotations

import torch
from torch import Tensor


def only_counting(
    image: Tensor, target: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | float]:
    """A drawn picture and its photograph that agree where `mask` is False, and the factor for means over
    pixels.

    image: float32 [H, W, 3]. target: uint8 [H, W, 3]. mask: bool [H, W], or None where all pixels count.

    Masked pixels of the photograph become the picture's own, without a gradient: their error is 0, and they
    pass no gradient on through the windows of SSIM. A mean over all pixels times the factor is one over those
    that count; the factor, float64 [] beside a mask, is 0 when none does.
    """
    if mask is None:
        return image, target, 1.0
    counting = mask[:, :, None]
    fixed = image.detach()
    share = mask.float().mean().double()
    shown = torch.where(counting, image, fixed)
    weight = torch.where(share > 0, 1.0 / share, 0.0)
    return shown, torch.where(counting, target.float() / 255, fixed), weight


Color = tuple[float, float, float]


def recolored(target: Tensor, alpha: Tensor, background: Color) -> tuple[Tensor, Color]:
    """A photograph composed on `background`, uint8 [H, W, 3] with its alpha, uint8 [H, W], on a random color
    instead, and the color.

    A plain color behind the photographs can be drawn by Gaussians as well as by leaving it out; one that
    changes only by leaving it out.
    """
    colors = torch.rand(3)
    behind = (255 - alpha.float()) / 255
    change = (255 * (colors - torch.tensor(background))).to(target.device)
    moved = target.float() + change * behind[:, :, None]
    red, green, blue = colors.tolist()
    return moved.round().clamp(0, 255).byte(), (red, green, blue)
