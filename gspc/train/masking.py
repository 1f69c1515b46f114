"""Keeping masked pixels out of a picture's loss."""

from __future__ import annotations

import torch
from torch import Tensor


def only_counting(image: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, float]:
    """A drawn picture and its photograph that agree where `mask` is False, and the factor for means over
    pixels.

    image: float32 [H, W, 3]. target: uint8 [H, W, 3]. mask: bool [H, W], or None where all pixels count.

    Masked pixels of the photograph become the picture's own, without a gradient: their error is 0, and they
    pass no gradient on through the windows of SSIM. A mean over all pixels times the factor is one over those
    that count; the factor is 0 when none does.
    """
    if mask is None:
        return image, target, 1.0
    counting = mask[:, :, None]
    fixed = image.detach()
    share = float(mask.float().mean())
    shown = torch.where(counting, image, fixed)
    return shown, torch.where(counting, target.float() / 255, fixed), 1.0 / share if share else 0.0
