"""The readable torch version of `gspc.ops.mlp`, in any float dtype and on any device; tests compare the
kernel with it."""

from __future__ import annotations

import torch
from torch import Tensor


def two_layer(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """One network of `gspc.ops.mlp.two_layers`: x [n, I] -> [n, O]."""
    return torch.relu(x @ w1.T + b1) @ w2.T + b2
