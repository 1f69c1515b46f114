"""The readable torch version of `gspc.ops.weigh`, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops.weigh.types import Bits, Opening, Weight


def times(factor: Tensor | float, value: Tensor) -> Tensor:  # [], [] -> []
    """A number, or one on the device in float64, times a value, in the value's precision."""
    return (factor.to(value) if isinstance(factor, Tensor) else factor) * value


def binary_entropy(share: Tensor) -> Tensor:
    """Bits [...] per binary symbol whose share of ones is `share` [...]."""
    p = share.clamp(1e-6, 1 - 1e-6)
    return -(p * torch.log2(p) + (1 - p) * torch.log2(1 - p))


def sign_bits(share_positive: Tensor, count: int) -> Tensor:
    """Bits [] of `count` signs coded with one adaptive binary model, from the share [] of +1."""
    return count * binary_entropy(share_positive)


def _paid(opening: Opening) -> Tensor:
    cost = sum(gaussian + anchor / opening.offsets for gaussian, anchor in opening.costs)
    return times(cost, opening.open_masks - opening.open_masks.detach())


def weighed(bits: Bits, weight: Weight) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.weigh.weighed`: [] and []."""
    total, opening = torch.zeros_like(bits.sample[0]), torch.zeros_like(bits.sample[0])
    for part in bits.sample:
        total = total + part
    for paying in bits.openings:
        opening = opening + _paid(paying)
    found = total * bits.share + opening
    grid = 0.0 if bits.grid is None else sign_bits(bits.grid.share, bits.grid.count)
    return times(weight.value(), (found + grid) / bits.values), found.detach()
