"""Weights of a two-layer network."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class TwoLayerWeights(NamedTuple):
    """relu(x W1^T + b1) W2^T + b2."""

    w1: Tensor  # [H, I]
    b1: Tensor  # [H]
    w2: Tensor  # [O, H]
    b2: Tensor  # [O]
