"""Bits of binary symbols that are coded with one adaptive model, differentiable."""

from __future__ import annotations

import torch
from torch import Tensor


def binary_entropy(share: Tensor) -> Tensor:
    """Bits [...] per binary symbol whose share of ones is `share` [...]."""
    p = share.clamp(1e-6, 1 - 1e-6)
    return -(p * torch.log2(p) + (1 - p) * torch.log2(1 - p))


def sign_bits(share_positive: Tensor, count: int) -> Tensor:
    """Bits [] of `count` signs coded with one adaptive binary model, from the share [] of +1."""
    return count * binary_entropy(share_positive)
