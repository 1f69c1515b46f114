"""Bits of symbols under the model's distributions, differentiable (PCGS Eq. 4, 6 and 7)."""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops.bits import gaussian_bits as unit_gaussian_bits
from gspc.ops.bits import trit_bits

__all__ = ["gaussian_bits", "sign_bits", "trit_bits", "unit_gaussian_bits"]


def gaussian_bits(distance: Tensor, step: Tensor, scale: Tensor) -> Tensor:
    """-log2 of the Gaussian's mass in the bin of width `step` around `distance` (value minus mean);
    elementwise, at most 24."""
    return unit_gaussian_bits(*torch.broadcast_tensors(distance / step, scale / step))


def sign_bits(share_positive: Tensor, count: int) -> Tensor:
    """Bits of `count` signs coded with one adaptive binary model, from the share of +1."""
    p = share_positive.clamp(1e-6, 1 - 1e-6)
    return -count * (p * torch.log2(p) + (1 - p) * torch.log2(1 - p))
