"""The readable torch version of `gspc.ops.presence`, in any float dtype and on any device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gspc.ops.presence.types import Presence, Tally

_THRESHOLD = 0.01  # epsilon^m of PCGS Eq. 1


def _mask(masks: Tensor, level: int) -> Tensor:
    if level == 0:
        return masks.new_zeros(masks.shape[:2])
    logits = masks[..., 0] + F.softplus(masks[..., 1:level]).sum(-1)
    return (torch.sigmoid(logits) > _THRESHOLD).to(masks.dtype)


def presence(masks: Tensor, level: int) -> tuple[Presence, Presence, Tally]:
    """See `gspc.ops.presence.presence`: [n, K, S] -> [n, 1], [n, K] and numbers."""
    now, before = _mask(masks, level), _mask(masks, level - 1)
    anchor_now, anchor_before = ((m.sum(1, keepdim=True) > 0).to(masks.dtype) for m in (now, before))
    appears = now - before
    candidates = ((1 - before) * anchor_now).sum()
    share = (appears.sum() / candidates.clamp_min(1.0)).double()
    p, q = share.clamp(1e-6, 1 - 1e-6), share.clamp(1e-3, 1 - 1e-3)
    entropy = -(p * torch.log2(p) + (1 - p) * torch.log2(1 - p))
    tally = Tally(
        appearing=(anchor_now - anchor_before).sum(),
        mask_bits=candidates * entropy.to(masks.dtype),
        anchor_cost=-masks.shape[1] * torch.log2(1 - q),
        gaussian_cost=torch.log2((1 - q) / q),
    )
    anchors = Presence(anchor_now - anchor_before, anchor_before, anchor_now)
    return anchors, Presence(appears, before, now), tally


def means(values: list[Tensor], weights: list[Tensor]) -> Tensor:
    """See `gspc.ops.presence.means`: [...] each -> float64."""
    return torch.stack(
        [((v * w).sum() / w.sum().clamp_min(1.0)).double() for v, w in zip(values, weights, strict=True)]
    )
