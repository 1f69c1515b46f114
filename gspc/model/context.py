"""Entropy networks: from an anchor's context and level to steps, centers, scales and trit distributions
(method section 3).

Nothing here sees the level but through one gain per hidden unit, `relu(h (1 + Linear(exp(k_s lambda_s +
c_s))))`, so that export can bake a level into integer multipliers. Steps and centers are level-free, or the
levels' grids would not nest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gspc.model import fake_quant
from gspc.ops.mlp import two_layer

# Largest centered value that the trit networks see, in units of 8 Q0: 11 bits at 512 integers per unit.
SO_FAR_LIMIT = fake_quant.ACTIVATION_LIMIT / fake_quant.INPUT_UNITS


@dataclass(frozen=True)
class ContextSizes:
    """Widths of the entropy networks."""

    features: int
    offsets: int  # K
    context: int
    steps_hidden: int = 32
    trunk_hidden: int = 80
    trit_features_hidden: int = 64
    trit_scaling_hidden: int = 18


class TwoLayer(nn.Module):
    """Linear - gain per level - ReLU - Linear, with switchable simulated quantization.

    `gains` gives the [hidden] multipliers 1 + g of a level, or None for level-free networks.
    """

    units: Tensor

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, outputs)
        # Integers per 1.0 of the hidden activations; 0 until calibrated, which also means: not quantized.
        self.register_buffer("units", torch.zeros(()))

    def hidden(self, x: Tensor) -> Tensor:
        """Hidden layer before gain and ReLU."""
        weight, bias = self.first.weight, self.first.bias
        return F.linear(x, fake_quant.quantize_weight(weight, bias) if self.units > 0 else weight, bias)

    def activate(self, hidden: Tensor, gain: Tensor | None) -> Tensor:
        """Gain and ReLU, on the integer grid once calibrated."""
        if gain is not None:
            hidden = hidden * gain
        return fake_quant.quantize_activation(hidden, self.units) if self.units > 0 else torch.relu(hidden)

    def output(self, active: Tensor, layer: nn.Linear | None = None) -> Tensor:
        """Second layer, or another one that reads the same activations."""
        layer = layer or self.second
        weight, bias = layer.weight, layer.bias
        return F.linear(
            active, fake_quant.quantize_weight(weight, bias, self.units) if self.units > 0 else weight, bias
        )

    def forward(self, x: Tensor, gain: Tensor | None = None) -> Tensor:
        """[n, inputs] -> [n, outputs]."""
        if self.units == 0:
            first, second = self.first, self.second
            scale = first.bias.new_ones(()) if gain is None else gain
            weight, bias = first.weight * scale.reshape(-1, 1), first.bias * scale
            return two_layer(x, weight, bias, second.weight, second.bias)
        return self.output(self.activate(self.hidden(x), gain))


class LevelGain(nn.Module):
    """Multipliers of a hidden layer per level, driven by the rate weight (PCGS): 1 + Linear(exp(k_s
    lambda_s + c_s))."""

    rate_weights: Tensor

    def __init__(self, levels: int, hidden: int, rate_weights: tuple[float, ...]) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(levels))
        self.shift = nn.Parameter(torch.zeros(levels))
        self.linear = nn.Linear(1, hidden)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("rate_weights", torch.tensor(rate_weights) * 1000.0, persistent=False)

    def forward(self, level: int) -> Tensor:  # -> [hidden]
        """Gain of `level`, counted from 1."""
        drive = torch.exp(
            (self.slope[level - 1] * self.rate_weights[level - 1] + self.shift[level - 1]).clamp(-4, 4)
        )
        return 1.0 + self.linear(drive[None])


@dataclass(frozen=True)
class Prediction:
    """What the context alone tells: centers and octaves in units of Q0."""

    r: Tensor  # [n, 3] step parameters of features, scaling, offsets
    center_features: Tensor  # [n, F]
    center_scaling: Tensor  # [n, 6]
    center_offsets: Tensor  # [n, 3K]
    scale_offsets: Tensor  # [n, 3K] octaves, see quantization.log2_scale


class ContextNets(nn.Module):
    """All entropy networks of the plain model."""

    def __init__(self, sizes: ContextSizes, levels: int, rate_weights: tuple[float, ...]) -> None:
        super().__init__()
        self.sizes = sizes
        self.levels = levels
        f, k, c = sizes.features, sizes.offsets, sizes.context
        self.steps = TwoLayer(c, sizes.steps_hidden, 3)
        self.trunk = TwoLayer(c, sizes.trunk_hidden, f + 6 + 6 * k)  # second layer: center
        self.scale = nn.Linear(sizes.trunk_hidden, f + 6)
        self.trunk_gain = LevelGain(levels, sizes.trunk_hidden, rate_weights)
        if levels > 1:
            self.trit_features = TwoLayer(c + f, sizes.trit_features_hidden, 2 * f)
            self.trit_scaling = TwoLayer(c + 6, sizes.trit_scaling_hidden, 12)
            self.trit_features_gain = LevelGain(levels, sizes.trit_features_hidden, rate_weights)
            self.trit_scaling_gain = LevelGain(levels, sizes.trit_scaling_hidden, rate_weights)
        self._start()

    def _start(self) -> None:
        """Sensible first outputs: steps of Q0, centers at 0, scales of a few Q0, flat trits."""
        with torch.no_grad():
            for layer in (self.steps.second, self.trunk.second, self.scale):
                layer.weight.mul_(0.1)
                layer.bias.zero_()
            self.scale.bias.fill_(3.0)
            self.trunk.second.bias[-3 * self.sizes.offsets :].fill_(4.0)

    def trit_net(self, attribute: str) -> tuple[TwoLayer, LevelGain]:
        """The trit network of "features" or "scaling" and its gains; only models of two levels or more
        have them."""
        if attribute == "features":
            return self.trit_features, self.trit_features_gain
        return self.trit_scaling, self.trit_scaling_gain

    def step_parameters(self, context: Tensor) -> Tensor:  # [n, C] -> [n, 3]
        """r of features, scaling and offsets."""
        return self.steps(context)

    def predict(self, context: Tensor) -> tuple[Prediction, Tensor]:
        """Level-free outputs and the trunk's hidden layer (before its gain), which `scales` goes on from."""
        hidden = self.trunk.hidden(context)
        out = self.trunk.output(self.trunk.activate(hidden, None))
        f, k3 = self.sizes.features, 3 * self.sizes.offsets
        parts = out.split([f, 6, k3, k3], dim=1)
        return Prediction(self.step_parameters(context), *parts), hidden

    def scales(self, hidden: Tensor, level: int) -> Tensor:  # -> [n, F + 6] octaves
        """Scale outputs of features and scaling for anchors first coded at `level`."""
        return self.trunk.output(self.trunk.activate(hidden, self.trunk_gain(level)), self.scale)

    def trit_logits(
        self, context: Tensor, so_far: Tensor, level: int, attribute: str
    ) -> tuple[Tensor, Tensor]:
        """Logits (zero against nonzero, +1 against -1) of the trits of `attribute` at `level` >= 2.

        `so_far` is the centered value at the level before, in units of 8 Q0 (integers / 512 of the stream).
        """
        net, gain = self.trit_net(attribute)
        out = net(torch.cat([context, so_far], 1), gain(level))
        zero, sign = out.chunk(2, dim=1)
        return zero, sign
