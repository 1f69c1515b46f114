"""Progressive masks (PCGS Eq. 1 and 2): which Gaussians live at which level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gspc.ops import place
from gspc.ops.rows import mask_rows

THRESHOLD = 0.01  # epsilon^m of PCGS Eq. 1
START = 1.0  # every mask parameter of a new anchor


def mask_logits(parameters: Tensor, level: int) -> Tensor:  # [N, K, S] -> [N, K]
    """Base plane plus the softplus of the planes 2..level. The paper's sum has one more plane at level 1,
    which says the same as the base plane and is left out."""
    logits = parameters[..., 0]
    if level > 1:
        logits = logits + F.softplus(parameters[..., 1:level]).sum(-1)
    return logits


def gaussian_mask(parameters: Tensor, level: int) -> Tensor:  # [N, K, S] -> [N, K] of 0.0 / 1.0
    """Mask of every Gaussian at `level`, counted from 1, with a straight-through gradient; level 0 has no
    Gaussians."""
    if level == 0:
        return parameters.new_zeros(parameters.shape[:2])
    if place.of(parameters) == "cpu":
        every = torch.arange(len(parameters))
        return mask_rows(parameters, every, every[:0], min(level, parameters.shape[2]))[0]
    soft = torch.sigmoid(mask_logits(parameters, level))
    hard = (soft > THRESHOLD).to(soft.dtype)
    return hard + (soft - soft.detach())


def anchor_mask(mask: Tensor) -> Tensor:  # [N, K] -> [N]
    """1 where any Gaussian of an anchor is alive, else 0; the gradient is that of the share of its Gaussians
    that are (HAC++)."""
    share = mask.mean(-1)
    return (share.detach() > 0).to(share.dtype) + (share - share.detach())


@torch.no_grad()
def first_level(parameters: Tensor) -> Tensor:  # [N, K, S] -> uint8 [N, K]
    """Level at which each Gaussian appears, 0 where it never does."""
    levels = parameters.shape[2]
    found = torch.zeros(parameters.shape[:2], dtype=torch.uint8, device=parameters.device)
    for level in range(levels, 0, -1):
        found[torch.sigmoid(mask_logits(parameters, level)) > THRESHOLD] = level
    return found
