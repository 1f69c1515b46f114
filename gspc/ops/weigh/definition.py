"""The readable torch version of `gspc.ops.weigh`, on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops.weigh.types import Bits, Opening, Weight


def times(factor: Tensor | float, value: Tensor) -> Tensor:  # [], [] -> []
    """A number, or one on the device in float64, times a value, in the value's precision."""
    return (factor.to(value) if isinstance(factor, Tensor) else factor) * value


def _paid(opening: Opening) -> Tensor:
    cost = sum(gaussian + anchor / opening.offsets for gaussian, anchor in opening.costs)
    return times(cost, opening.open_masks - opening.open_masks.detach())


def weighed(bits: Bits, weight: Weight) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.weigh.weighed`: [] and []."""
    total, opening = torch.zeros_like(bits.sample[0]), torch.zeros_like(bits.sample[0])
    for part in bits.sample:
        total = total + part
    for part in bits.openings:
        opening = opening + _paid(part)
    found = total * bits.share + opening
    return times(weight.value(), (found + bits.grid) / bits.values), found.detach()
