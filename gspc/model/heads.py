"""Gaussian heads (method section 1): anchor feature and view to the neural Gaussians' opacity, color and
covariance."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gspc.model import fake_quant
from gspc.ops.heads import HeadTensors

BLOCKS = ("opacity", "color", "cov")
OUTPUTS_PER_OFFSET = {"opacity": 1, "color": 3, "cov": 7}


class GaussianHeads(nn.Module):
    """Three two-layer ReLU networks of `hidden` units over [feature, view direction, distance]."""

    def __init__(self, features: int, offsets: int, hidden: int, distance_scale: float) -> None:
        super().__init__()
        self.features, self.offsets, self.hidden = features, offsets, hidden
        self.distance_scale = distance_scale
        self.bf16 = False  # products in bfloat16: while training, never where a stream is made or shown
        self.first = nn.ModuleDict({name: nn.Linear(features + 4, hidden) for name in BLOCKS})
        self.second = nn.ModuleDict(
            {name: nn.Linear(hidden, offsets * OUTPUTS_PER_OFFSET[name]) for name in BLOCKS}
        )

    def weights(self, quantized: bool) -> HeadTensors:
        """Weights as the fused op takes them, on the grid of the stream if asked."""

        def maybe(weight: Tensor) -> Tensor:
            return fake_quant.quantize_weight(weight) if quantized else weight

        first, second = self.first, self.second
        return HeadTensors(
            w1=torch.cat([maybe(_linear(first, name).weight) for name in BLOCKS]),
            b1=torch.cat([_linear(first, name).bias for name in BLOCKS]),
            w_opacity=maybe(_linear(second, "opacity").weight),
            b_opacity=_linear(second, "opacity").bias,
            w_color=maybe(_linear(second, "color").weight),
            b_color=_linear(second, "color").bias,
            w_cov=maybe(_linear(second, "cov").weight),
            b_cov=_linear(second, "cov").bias,
            distance_scale=self.distance_scale,
            bf16=self.bf16 and not quantized,
        )


def _linear(layers: nn.ModuleDict, name: str) -> nn.Linear:
    layer = layers[name]
    assert isinstance(layer, nn.Linear)
    return layer
