"""The photometric loss over numpy arrays, without torch. H W image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gspc.ops.arrays.check import check_array
from gspc.ops.kernels import native
from gspc.scene import F32, U8


@dataclass(frozen=True)
class Photometric:
    """Photometric loss of an image and its gradient."""

    loss: float
    l1: float
    ssim: float
    gradient: F32 | None  # [H, W, 3] dloss / dimage


def photometric(
    image: F32,  # [H, W, 3]
    target: U8 | F32,  # [H, W, 3] uint8 (value / 255) or float32
    ssim_weight: float,
    *,
    gradient: bool = True,
) -> Photometric:
    """(1 - w) L1 + w (1 - SSIM), see `gspc.ops.ssim.picture_loss`."""
    check_array("image", image, (None, None, 3))
    check_array("target", target, image.shape, np.uint8 if target.dtype == np.uint8 else np.float32)
    l1, similarity, grad = native.photometric(
        image, target, 1.0 - ssim_weight, 0.0, -float(ssim_weight), gradient
    )
    return Photometric((1.0 - ssim_weight) * l1 + ssim_weight * (1.0 - similarity), l1, similarity, grad)


def ssim(image: F32, target: U8 | F32) -> float:  # [H, W, 3] each
    """Mean structural similarity, see `gspc.ops.ssim.ssim`."""
    return photometric(image, target, 1.0, gradient=False).ssim
