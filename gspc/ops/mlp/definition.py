"""The readable torch version of `gspc.ops.mlp`, in any float dtype and on any device; tests compare the
kernel with it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gspc.ops.mlp.rounding import quantize_activation, quantize_weight, straight_through
from gspc.ops.mlp.types import TwoLayerWeights


def two_layer(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """One network of `gspc.ops.mlp.two_layers`: x [n, I] -> [n, O]."""
    return torch.relu(x @ w1.T + b1) @ w2.T + b2


def rounded_two_layer(x: Tensor, network: TwoLayerWeights) -> Tensor:
    """A network with a rounding, x [n, I] -> [n, O]."""
    w1, b1, w2, b2, gain, rounding = network
    assert rounding is not None
    units = rounding.units
    if units is None:
        out = F.linear(torch.relu(F.linear(x, quantize_weight(w1), b1)), quantize_weight(w2), b2)
    else:
        hidden = F.linear(x, quantize_weight(w1, b1), b1)
        hidden = hidden if gain is None else hidden * gain.values()
        out = F.linear(quantize_activation(hidden, units), quantize_weight(w2, b2, units), b2)
    if rounding.output_units is None:
        return out
    rounded = torch.round(out.detach() * rounding.output_units) / rounding.output_units
    return straight_through(out, rounded)
