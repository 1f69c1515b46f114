"""Simulated integer arithmetic for the last phase of training: what is trained is what the codec evaluates.

Weights become small integers times a scale per output row, activations 11-bit integers; gradients pass
straight through.
"""

from __future__ import annotations

import torch
from torch import Tensor

# The stream holds 8-bit weights; fewer values cost fewer bytes, and these bounds keep both losses small: of
# the entropy networks in rate, of the heads in the picture.
NETWORK_WEIGHT_LIMIT = 16
HEAD_WEIGHT_LIMIT = 70
ACTIVATION_LIMIT = 2047
INPUT_UNITS = 512  # integers per 1.0 of a network's inputs (context and value so far)
# The stream demands sum |W| * 2047 + |b| < 2^24 of every row, so that float32 products are exact in any
# order.
WEIGHT_SUM_LIMIT = 7000
BIAS_LIMIT = 2**24 - (WEIGHT_SUM_LIMIT + 200) * ACTIVATION_LIMIT


def straight_through(value: Tensor, rounded: Tensor) -> Tensor:
    """`rounded` [...] in the forward pass, the gradient of `value` [...] in the backward pass."""
    return value + (rounded - value).detach()


def row_scales(weight: Tensor, bias: Tensor | None = None, units: Tensor | float = INPUT_UNITS) -> Tensor:
    """Scale of each output row, [out, 1]: as fine as the weights' limits allow, coarser where the row's
    accumulator would overflow.

    weight [out, in]; bias [out] of a layer whose inputs have `units` integers per 1.0, None for the heads'
    rows.
    """
    magnitude = weight.detach().abs()
    limit = HEAD_WEIGHT_LIMIT if bias is None else NETWORK_WEIGHT_LIMIT
    scale = magnitude.amax(1, keepdim=True) / limit
    if bias is not None:
        scale = torch.maximum(scale, magnitude.sum(1, keepdim=True) / WEIGHT_SUM_LIMIT)
        scale = torch.maximum(scale, bias.detach().abs()[:, None] * units / BIAS_LIMIT)
    return scale.clamp_min(1e-8)


def quantize_weight(
    weight: Tensor, bias: Tensor | None = None, units: Tensor | float = INPUT_UNITS
) -> Tensor:
    """Weights [out, in] on their integer grid; arguments as `row_scales`."""
    scale = row_scales(weight, bias, units)
    return straight_through(weight, torch.round(weight.detach() / scale) * scale)


def quantize_activation(value: Tensor, units: Tensor) -> Tensor:
    """ReLU activations [n, H] on the grid of `units` [] integers per 1.0, saturating at 11 bits."""
    rounded = torch.clamp(torch.round(value.detach() * units), 0, ACTIVATION_LIMIT) / units
    return straight_through(torch.relu(value).minimum(ACTIVATION_LIMIT / units), rounded)
