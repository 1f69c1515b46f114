"""Entropy networks: from an anchor's context and level to steps, centers, scales and trit distributions
(method section 3).

Nothing here sees the level but through one gain per hidden unit, `relu(h (1 + Linear(exp(k_s lambda_s +
c_s))))`, so that export can bake a level into integer multipliers. Steps and centers are level-free, or the
levels' grids would not nest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gspc.format.shape import StreamShape
from gspc.ops import place
from gspc.ops.mlp import (
    Inputs,
    LevelFactors,
    Rounding,
    TwoLayerWeights,
    two_layers,
    two_layers_each,
)


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
        self.quantized = False  # whether units are above 0: asking a tensor on a GPU would wait for it

    @torch.no_grad()
    def calibrate(self, units: Tensor) -> None:  # []
        """From now on the network runs in simulated integers, `units` per 1.0 of its activations."""
        self.units.copy_(units)
        self.quantized = True

    @torch.no_grad()
    def learn_again(self) -> None:
        """From now on the network runs in floating point, as before it was calibrated."""
        self.units.zero_()
        self.quantized = False

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self.quantized = bool(self.units > 0)

    def hidden(self, x: Tensor) -> Tensor:  # [n, inputs] -> [n, H]
        """Hidden layer before gain and ReLU."""
        weight, bias = self.first.weight, self.first.bias
        return F.linear(x, quantize_weight(weight, bias) if self.quantized else weight, bias)

    def activate(self, hidden: Tensor, gain: Tensor | None) -> Tensor:  # [n, H], [H] -> [n, H]
        """Gain and ReLU, on the integer grid once calibrated."""
        if gain is not None:
            hidden = hidden * gain
        return quantize_activation(hidden, self.units) if self.quantized else torch.relu(hidden)

    def output(self, active: Tensor, layer: nn.Linear | None = None) -> Tensor:  # [n, H] -> [n, O]
        """Second layer, or another one that reads the same activations."""
        layer = layer or self.second
        weight, bias = layer.weight, layer.bias
        return F.linear(active, quantize_weight(weight, bias, self.units) if self.quantized else weight, bias)

    def weights(self, gain: LevelFactors | None = None, output_units: int | None = None) -> TwoLayerWeights:
        """As plain tensors, with the gain of a level; once calibrated with the rounding, also of outputs to
        `output_units` integers per 1.0 if asked."""
        first, second = self.first, self.second
        rounding = Rounding(self.units, output_units) if self.quantized else None
        return TwoLayerWeights(first.weight, first.bias, second.weight, second.bias, gain, rounding)

    def forward(self, x: Inputs, gain: LevelFactors | None = None) -> Tensor:
        """[n, inputs], maybe in parts, -> [n, outputs]."""
        return outputs_of([self], [x], [gain])[0]


def outputs_of(
    networks: Sequence[TwoLayer], inputs: Sequence[Inputs], gains: Sequence[LevelFactors | None]
) -> list[Tensor]:
    """Outputs [n, O] of networks that each read rows of their own, [n, I] or in parts."""
    return list(two_layers_each(inputs, [net.weights(g) for net, g in zip(networks, gains, strict=True)]))


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

    def at(self, level: int) -> LevelFactors:
        """What makes the gain of `level`, counted from 1."""
        linear = self.linear
        return LevelFactors(self.slope, self.shift, self.rate_weights, linear.weight, linear.bias, level)

    def forward(self, level: int) -> Tensor:  # -> [hidden]
        """Gain of `level`, counted from 1."""
        return self.at(level).values()


@dataclass(frozen=True)
class Prediction:
    """What the context alone tells: centers and octaves in units of Q0."""

    r: Tensor  # [n, 3] step parameters of features, scaling, offsets
    center_features: Tensor  # [n, F]
    center_scaling: Tensor  # [n, Z] of Z log scales
    center_offsets: Tensor  # [n, 3K]
    scale_offsets: Tensor  # [n, 3K] octaves, see quantization.log2_scale


class ContextNets(nn.Module):
    """All entropy networks."""

    def __init__(self, shape: StreamShape, levels: int, rate_weights: tuple[float, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.levels = levels
        f, z, k, c = shape.features, shape.scales, shape.offsets, shape.context_size
        self.steps = TwoLayer(c, shape.steps_hidden, len(shape.attributes))
        self.trunk = TwoLayer(c, shape.trunk_hidden, f + z + 6 * k)  # second layer: center
        self.scale = nn.Linear(shape.trunk_hidden, f + z)
        self.trunk_gain = LevelGain(levels, shape.trunk_hidden, rate_weights)
        self.trit_nets, self.trit_gains = nn.ModuleDict(), nn.ModuleDict()
        for a in shape.attributes:
            if a.hidden:
                self.trit_nets[a.name] = TwoLayer(c + a.values, a.hidden, 2 * a.values)
                self.trit_gains[a.name] = LevelGain(levels, a.hidden, rate_weights)
        self.chunk_nets, self.chunk_gains = nn.ModuleList(), nn.ModuleList()
        if shape.groups:
            for first, end in shape.group_bounds[1:]:
                own = end - first
                self.chunk_nets.append(TwoLayer(2 * own + first, shape.groups.hidden, 3 * own))
                self.chunk_gains.append(LevelGain(levels, shape.groups.hidden, rate_weights))
        self._start()

    def _start(self) -> None:
        """Sensible first outputs: steps of Q0, centers at 0, scales of a few Q0, flat trits."""
        with torch.no_grad():
            for layer in (self.steps.second, self.trunk.second, self.scale):
                layer.weight.mul_(0.1)
                layer.bias.zero_()
            self.scale.bias.fill_(3.0)
            self.trunk.second.bias[-3 * self.shape.offsets :].fill_(4.0)
            for net in self.chunk_nets:
                assert isinstance(net, TwoLayer)
                own = net.second.out_features // 3
                net.second.weight.mul_(0.1)
                net.second.bias.zero_()
                net.second.bias[own : 2 * own].fill_(3.0)

    @torch.no_grad()
    def start_scaling(self, centers: Tensor) -> None:  # [Z], in units of Q0
        """Moves the scaling's centers, which are 0 at first."""
        f = self.shape.features
        self.trunk.second.bias[f : f + self.shape.scales] = centers

    def trit_net(self, attribute: str) -> tuple[TwoLayer, LevelGain]:
        """The trit network of an attribute that has hidden units, and its gains."""
        net, gain = self.trit_nets[attribute], self.trit_gains[attribute]
        assert isinstance(net, TwoLayer)
        assert isinstance(gain, LevelGain)
        return net, gain

    def chunk_net(self, number: int) -> tuple[TwoLayer, LevelGain]:
        """The network of intra-anchor chunk `number` >= 1 and its gains."""
        net, gain = self.chunk_nets[number - 1], self.chunk_gains[number - 1]
        assert isinstance(net, TwoLayer)
        assert isinstance(gain, LevelGain)
        return net, gain

    def step_parameters(self, context: Tensor) -> Tensor:  # [n, C] -> [n, 3]
        """r of features, scaling and offsets."""
        return self.steps(context)

    def predict(self, context: Tensor) -> tuple[Prediction, Tensor]:  # [n, C]
        """Level-free outputs and the trunk's hidden layer [n, H] (before its gain), which `scales` goes on
        from."""
        hidden = self.trunk.hidden(context)
        out = self.trunk.output(self.trunk.activate(hidden, None))
        return self._prediction(self.step_parameters(context), out), hidden

    def scales(self, hidden: Tensor, level: int) -> Tensor:  # -> [n, F + Z] octaves
        """Scale outputs of features and scaling for anchors first coded at `level`."""
        return self.trunk.output(self.trunk.activate(hidden, self.trunk_gain(level)), self.scale)

    def predict_level(self, context: Tensor, level: int) -> tuple[Prediction, Tensor]:
        """`predict`, and the scales [n, F + Z] at `level`, in octaves."""
        if self.trunk.quantized and place.of(context) != "cuda":  # hidden units once for both
            prediction, hidden = self.predict(context)
            return prediction, self.scales(hidden, level)
        trunk, gained = self.trunk.weights(), self.trunk.weights(self.trunk_gain.at(level))
        scale = gained._replace(w2=self.scale.weight, b2=self.scale.bias)
        r, out, octaves = two_layers(context, [self.steps.weights(), trunk, scale])
        return self._prediction(r, out), octaves

    def _prediction(self, r: Tensor, out: Tensor) -> Prediction:
        f, z, k3 = (a.values for a in self.shape.attributes)
        return Prediction(r, *out.split([f, z, k3, k3], dim=1))

    def trit_outputs(
        self, context: Tensor, so_far: Tensor, level: int, attribute: str
    ) -> Tensor:  # -> [n, 2 values]
        """First one, then another output per value of `attribute` for its trits at `level` >= 2: logits of
        zero against nonzero and of +1 against -1; of an unbounded model mean in steps and octaves
        (`quantization.trit_scale`).

        `so_far` is the centered value at the level before, in units of 8 Q0 (integers / 512 of the stream).
        """
        net, gain = self.trit_net(attribute)
        outputs: Tensor = net((context, so_far), gain.at(level))
        return outputs

    def chunk_outputs(self, inputs: Sequence[Tensor], level: int) -> list[Tensor]:  # -> [n, 3 own] each
        """Second components of the mixtures of the chunks from the second on at `level` (HAC++, intra-anchor
        context): means in units of Q0, octaves (see `quantization.log2_scale`), logits of their weights.
        `inputs` are `gspc.ops.rate.chunk_inputs`."""
        nets = [self.chunk_net(number) for number in range(1, len(inputs) + 1)]
        return outputs_of([net for net, _ in nets], inputs, [gain.at(level) for _, gain in nets])
