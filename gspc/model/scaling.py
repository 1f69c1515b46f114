"""The basis in which a stream holds an anchor's six log scales (pcgs(5), VALUES).

An anchor that is twice as large as its neighbor is so in all six: what is left around a prediction correlates
by 0.8 to 0.95 (fox, lego). An orthonormal basis of the mean and five differences takes that out, with the
same error for the same step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gspc.presets import ScalingBasis

# Rows: the mean of all six; offsets' extents (the first three) against Gaussians' (the last three); within
# either, the first two against each other, then both against the third.
_MEAN = F.normalize(
    torch.tensor(
        (
            (1, 1, 1, 1, 1, 1),
            (1, 1, 1, -1, -1, -1),
            (1, -1, 0, 0, 0, 0),
            (1, 1, -2, 0, 0, 0),
            (0, 0, 0, 1, -1, 0),
            (0, 0, 0, 1, 1, -2),
        ),
        dtype=torch.float64,
    ),
    dim=1,
)


def to_basis(log_scales: Tensor, basis: ScalingBasis) -> Tensor:  # [..., 6] -> [..., 6]
    """What the stream holds of log scales."""
    return log_scales if basis == "axes" else log_scales @ _MEAN.to(log_scales).T


def from_basis(held: Tensor, basis: ScalingBasis) -> Tensor:  # [..., 6] -> [..., 6]
    """Log scales from what the stream holds: the reverse of `to_basis`."""
    return held if basis == "axes" else held @ _MEAN.to(held)
