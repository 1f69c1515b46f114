"""What the rasterizer returns. M Gaussians, H W image."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class RasterOutput:
    """One rendered view."""

    image: Tensor  # [H, W, 3] over the background, not clamped
    alpha: Tensor  # [H, W] 1 - transmittance
    radii: Tensor  # [M] int32 pixels, 0 = culled
    means2d_grad: Tensor  # [M, 2] dloss / d(projected mean) in pixels; zeros until the backward pass has run
