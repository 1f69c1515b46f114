"""What a level does with the Gaussians of some anchors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Presence:
    """What a level does with values of anchors (G = 1) or of Gaussians (G = K): weights of 0 or 1, [n, G],
    with straight-through gradients."""

    appears: Tensor  # there at this level and not before
    refined: Tensor  # there at the level before; no gradient
    alive: Tensor  # there at this level


@dataclass(frozen=True)
class Tally:
    """What is counted over a level's presence. No gradients."""

    appearing: Tensor  # [] anchors that appear
    mask_bits: Tensor  # [] of the symbols that say which Gaussians appear
    anchor_cost: Tensor  # float64 [] bits of one more anchor's symbols
    gaussian_cost: Tensor  # float64 [] bits more where one more Gaussian appears
