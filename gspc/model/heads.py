"""Gaussian heads (method section 1): anchor feature and view to the neural Gaussians' opacity, color and
covariance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gspc.ops import place
from gspc.ops.heads import HeadNetworks, HeadTensors, Logits
from gspc.ops.mlp import Rounding, TwoLayerWeights
from gspc.ops.mlp.rounding import quantize_weight

BLOCKS = ("opacity", "color", "cov")
OUTPUTS_PER_OFFSET = {"opacity": 1, "color": 3, "cov": 7}
RESIDUAL_OUTPUTS = {"shape": 7, "appearance": 4}  # appearance: opacities of all offsets, then colors


class GaussianHeads(nn.Module):
    """Three two-layer ReLU networks of `hidden` units over [feature, view direction, distance].

    With `residual_hidden` a multi-head residual decoder (Predict-GS section 3.2) beside them: its shape head
    (scale, rotation) and appearance head (opacity, color) read [residual, view direction, distance] and add
    to the logits of the heads, which then read the pool's `predicted` channels alone. Without it the heads
    read pool and residual as one vector.
    """

    def __init__(
        self,
        predicted: int,
        residuals: int,
        offsets: int,
        hidden: int,
        distance_scale: float,
        residual_hidden: int = 0,
    ) -> None:
        super().__init__()
        self.predicted, self.residuals, self.residual_hidden = predicted, residuals, residual_hidden
        self.offsets, self.hidden = offsets, hidden
        self.distance_scale = distance_scale
        self.bf16 = False  # products in bfloat16: while training, never where a stream is made or shown
        self.logits: Logits | None = None  # who computes the products while training; None: this project
        read = predicted if residual_hidden else predicted + residuals
        self.first = nn.ModuleDict({name: nn.Linear(read + 4, hidden) for name in BLOCKS})
        self.second = nn.ModuleDict(
            {name: nn.Linear(hidden, offsets * OUTPUTS_PER_OFFSET[name]) for name in BLOCKS}
        )
        # A Gaussian of negative opacity is not drawn and has no gradient, and features are near 0 at first.
        # So half of the slots start open, whatever the seed: with too few, anchors are never seen; with all,
        # ten Gaussians lie on each other.
        linear(self.second, "opacity").bias.data.abs_()[1::2].neg_()
        self.residual_first, self.residual_second = nn.ModuleDict(), nn.ModuleDict()
        for name, outputs in RESIDUAL_OUTPUTS.items() if residual_hidden else ():
            self.residual_first[name] = nn.Linear(residuals + 4, residual_hidden)
            self.residual_second[name] = nn.Linear(residual_hidden, offsets * outputs)
            nn.init.zeros_(linear(self.residual_second, name).weight)  # no correction at first
            nn.init.zeros_(linear(self.residual_second, name).bias)

    def weights(self, quantized: bool) -> HeadTensors:
        """Weights as the fused op takes them, on the grid of the stream if asked."""

        def maybe(layer: nn.Linear) -> Tensor:
            return quantize_weight(layer.weight) if quantized else layer.weight

        def pair(layer: nn.Linear) -> tuple[Tensor, Tensor]:
            return maybe(layer), layer.bias

        first = {name: pair(linear(self.first, name)) for name in BLOCKS}
        second = {name: pair(linear(self.second, name)) for name in BLOCKS}
        if self.residual_hidden:
            self._beside(first, second, maybe)
        return HeadTensors(
            w1=torch.cat([first[name][0] for name in BLOCKS]),
            b1=torch.cat([first[name][1] for name in BLOCKS]),
            w_opacity=second["opacity"][0],
            b_opacity=second["opacity"][1],
            w_color=second["color"][0],
            b_color=second["color"][1],
            w_cov=second["cov"][0],
            b_cov=second["cov"][1],
            distance_scale=self.distance_scale,
            bf16=self.bf16 and not quantized,
            logits=None if quantized else self.logits,
        )

    def to_draw(self, quantized: bool) -> HeadTensors | HeadNetworks:
        """What draws fastest where the weights are: on a GPU with our kernels networks of their own, which
        nothing has to put side by side first."""
        theirs = self.logits is not None and not quantized
        at = linear(self.first, "cov").weight
        if place.of(at) != "cuda" or theirs or (self.bf16 and not quantized):
            return self.weights(quantized)

        def network(first: nn.ModuleDict, second: nn.ModuleDict, name: str) -> TwoLayerWeights:
            one, two = linear(first, name), linear(second, name)
            rounding = Rounding() if quantized else None
            return TwoLayerWeights(one.weight, one.bias, two.weight, two.bias, rounding=rounding)

        opacity, color, cov = (network(self.first, self.second, name) for name in BLOCKS)
        if not self.residual_hidden:
            return HeadNetworks(self.distance_scale, opacity, color, cov)
        shape, appearance = (network(self.residual_first, self.residual_second, n) for n in RESIDUAL_OUTPUTS)
        return HeadNetworks(self.distance_scale, opacity, color, cov, appearance, shape)

    def _beside(
        self,
        first: dict[str, tuple[Tensor, Tensor]],
        second: dict[str, tuple[Tensor, Tensor]],
        maybe: Callable[[nn.Linear], Tensor],
    ) -> None:
        """Puts the residual decoder's units beside the heads': one network then gives the sums of logits."""
        p, r, k = self.predicted, self.residuals, self.offsets
        shape, appearance = (linear(self.residual_second, name) for name in RESIDUAL_OUTPUTS)
        wide, rows = maybe(appearance), slice(0, k)
        added = {
            "opacity": ("appearance", wide[rows], appearance.bias[rows]),
            "color": ("appearance", wide[k:], appearance.bias[k:]),
            "cov": ("shape", maybe(shape), shape.bias),
        }
        for name, (source, weight, bias) in added.items():
            layer = linear(self.residual_first, source)
            own, other = first[name][0], maybe(layer)
            own = torch.cat([own[:, :p], own.new_zeros(len(own), r), own[:, p:]], 1)
            other = torch.cat([other.new_zeros(len(other), p), other], 1)
            first[name] = torch.cat([own, other]), torch.cat([first[name][1], layer.bias])
            second[name] = torch.cat([second[name][0], weight], 1), second[name][1] + bias


def linear(layers: nn.ModuleDict, name: str) -> nn.Linear:
    """A layer by name."""
    layer = layers[name]
    assert isinstance(layer, nn.Linear)
    return layer
