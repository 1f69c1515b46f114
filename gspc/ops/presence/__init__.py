"""Which anchors and Gaussians of a sample a level shows, and what is counted over them. n anchors, K offsets
per anchor, S parameters of a mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.presence import cuda, definition
from gspc.ops.presence.types import Presence, Tally

__all__ = ["Presence", "Tally", "means", "presence"]


@torch.no_grad()
def presence(masks: Tensor, level: int) -> tuple[Presence, Presence, Tally]:
    """What `level` does with anchors and with Gaussians (PCGS Eq. 1 and 2), and what is counted over that, in
    one go; without gradients.

    masks float32 [n, K, S]; level from 1. Returns presences [n, 1] and [n, K], and numbers. Raises ValueError
    on another shape or dtype.
    """
    if masks.dtype != torch.float32 or masks.ndim != 3 or level < 1:
        raise ValueError(
            f"presence: masks are {masks.dtype} {tuple(masks.shape)} at level {level}, "
            "expected float32 [n, K, S] at one from 1"
        )
    return (cuda if place.of(masks) == "cuda" else definition).presence(masks, level)


@torch.no_grad()
def means(values: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Of each tensor [...] the mean where its weights, of its shape and 0 or 1, are 1; 0 where none is.
    float64 [tensors], at most 8. Raises ValueError on shapes that do not fit."""
    if not 0 < len(values) <= cuda.MAX_MEANS or [v.shape for v in values] != [w.shape for w in weights]:
        raise ValueError(f"presence: weights {[tuple(w.shape) for w in weights]} do not fit the values")
    return (cuda if place.of(values[0]) == "cuda" else definition).means(list(values), list(weights))
