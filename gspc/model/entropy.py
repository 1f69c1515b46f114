"""Bits of symbols under the model's distributions, differentiable (PCGS Eq. 4, 6 and 7)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gspc.ops.bits import gaussian_bits as unit_gaussian_bits
from gspc.ops.bits import mixture_bits, trit_bits

__all__ = [
    "binary_entropy",
    "gaussian_bits",
    "mixture_bits",
    "sign_bits",
    "three_way_bits",
    "trit_bits",
    "unit_gaussian_bits",
]


def gaussian_bits(distance: Tensor, step: Tensor, scale: Tensor) -> Tensor:
    """-log2 of the Gaussian's mass in the bin of width `step` around `distance` (value minus mean);
    elementwise, at most 24."""
    return unit_gaussian_bits(*torch.broadcast_tensors(distance / step, scale / step))


def three_way_bits(previous: Tensor, trits: Tensor, scale: Tensor) -> Tensor:
    """-log2 of trits by a Gaussian's share of the three bins 3 `previous` + {-1, 0, 1} of width 1 (PCGS's
    ablation "trits with a Gaussian")."""
    bits = torch.stack([unit_gaussian_bits(3 * previous + t, scale) for t in (-1.0, 0.0, 1.0)])
    masses = bits * -math.log(2.0)
    chosen = torch.where(trits < 0, masses[0], torch.where(trits == 0, masses[1], masses[2]))
    return (torch.logsumexp(masses, 0) - chosen) / math.log(2.0)


def binary_entropy(share: Tensor) -> Tensor:
    """Bits per binary symbol whose share of ones is `share`."""
    p = share.clamp(1e-6, 1 - 1e-6)
    return -(p * torch.log2(p) + (1 - p) * torch.log2(1 - p))


def sign_bits(share_positive: Tensor, count: int) -> Tensor:
    """Bits of `count` signs coded with one adaptive binary model, from the share of +1."""
    return count * binary_entropy(share_positive)
