"""Weights of a two-layer network, and the gain that a level puts on its hidden units."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# What a network reads: [n, I], or parts of such rows in order, [n, I1], [n, I2] and so on.
Inputs = Tensor | tuple[Tensor, ...]


class LevelFactors(NamedTuple):
    """Multipliers of a hidden layer per level, driven by the rate weight (PCGS): 1 + Linear(exp(k_s lambda_s
    + c_s))."""

    slope: Tensor  # [L] k_s
    shift: Tensor  # [L] c_s
    rate_weights: Tensor  # [L] lambda_s; no gradient
    weight: Tensor  # [H, 1]
    bias: Tensor  # [H]
    level: int  # counted from 1

    def values(self) -> Tensor:  # -> [H]
        """The multipliers of the level."""
        at = self.level - 1
        drive = torch.exp((self.slope[at] * self.rate_weights[at] + self.shift[at]).clamp(-4, 4))
        return 1.0 + F.linear(drive[None], self.weight, self.bias)


class Rounding(NamedTuple):
    """Simulated integers (`gspc.ops.mlp.rounding`): weights lie on the grids of the stream, and gradients
    pass straight through."""

    units: Tensor | None = None  # [] integers per 1.0 of hidden activations; None: a head, whose have none
    output_units: int | None = None  # integers per 1.0 of the outputs; None: they stay as they are


class TwoLayerWeights(NamedTuple):
    """relu(g (x W1^T + b1)) W2^T + b2; g = 1 without a gain."""

    w1: Tensor  # [H, I]
    b1: Tensor  # [H]
    w2: Tensor  # [O, H]
    b2: Tensor  # [O]
    gain: LevelFactors | None = None
    rounding: Rounding | None = None

    def folded(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[H, I], [H], [O, H] and [O], with the gain in the first layer."""
        if self.gain is None:
            return self.w1, self.b1, self.w2, self.b2
        gain = self.gain.values()
        return self.w1 * gain[:, None], self.b1 * gain, self.w2, self.b2


def parts_of(x: Inputs) -> tuple[Tensor, ...]:
    """What a network reads as parts of rows, [n, I1] and so on."""
    return (x,) if isinstance(x, Tensor) else x


def in_one(x: Inputs) -> Tensor:
    """What a network reads in one tensor, [n, I]."""
    parts = parts_of(x)
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
