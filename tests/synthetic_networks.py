"""Random networks with sensible outputs for generated scenes: mostly small scales at the first level, trits
mostly zero. Layers go by the names that `StreamShape.layers` gives them."""

from __future__ import annotations

import numpy as np

from gspc.format.scene import IntegerLayer, IntegerNetwork, Networks
from gspc.format.shape import Attribute, StreamShape

Layers = dict[str, IntegerLayer]


def layer(
    rng: np.random.Generator,
    inputs: int,
    outputs: int,
    variants: int,
    spread: float,
    center: float,
    scale: float,
) -> IntegerLayer:
    """A layer whose rescaled outputs are about N(center, spread) for inputs of standard deviation `scale`."""
    weight = np.clip(np.rint(rng.normal(0, 20, (outputs, inputs))), -127, 127).astype(np.int8)
    deviation = 20 * scale * np.sqrt(inputs)
    shift = min(20, int(np.log2(32000 * deviation / spread)))
    multiplier = np.full((variants, outputs), max(1, round(spread / deviation * 2**shift)))
    multiplier = multiplier + np.arange(variants)[:, None] * 3
    bias = np.full(outputs, round(center / spread * deviation))
    return IntegerLayer(
        weight, bias.astype(np.int32), multiplier.astype(np.int16), np.full(variants, shift, dtype=np.uint8)
    )


def stacked(*layers: IntegerLayer) -> IntegerLayer:
    """Layers over the same inputs as one, their outputs in order; one gain variant, one shift."""
    return IntegerLayer(
        np.concatenate([a.weight for a in layers]),
        np.concatenate([a.bias for a in layers]),
        np.concatenate([a.multiplier for a in layers], axis=1),
        layers[0].shift,
    )


class _Drawing:
    """Draws the layers of a shape, whose sizes it knows."""

    def __init__(self, rng: np.random.Generator, shape: StreamShape, levels: int) -> None:
        self.rng = rng
        self.shape = shape
        self.sizes = {one.name: one for one in shape.layers(levels)}
        self.found: Layers = {}

    def draw(self, name: str, spread: float, center: float, scale: float) -> None:
        size = self.sizes[name]
        self.found[name] = layer(self.rng, size.inputs, size.outputs, size.variants, spread, center, scale)

    def center(self) -> None:
        """Means, and scales of offsets like those that the scale network has at level 1."""
        size, means = self.sizes["center"], self.shape.values
        self.draw("center", 60, 0, 300)
        drawn = self.found["center"]
        tail = layer(self.rng, size.inputs, size.outputs - means, 1, 8, 40, 300)
        weight, bias, multiplier = drawn.weight.copy(), drawn.bias.copy(), drawn.multiplier.copy()
        bias[means:], weight[means:], multiplier[:, means:] = tail.bias, tail.weight, tail.multiplier
        self.found["center"] = IntegerLayer(weight, bias, multiplier, drawn.shift)

    def trits(self, attribute: Attribute) -> None:
        """Without bounds: means in 1/16 steps, some far out; scales around half a step."""
        units, values = attribute.hidden, attribute.values
        self.draw(f"trit_{attribute.name}_out", 4, 34, 300)
        if attribute.trit_model == "unbounded":
            means = layer(self.rng, units, values, 1, 30, 0, 300)
            scales = layer(self.rng, units, values, 1, 6, -37, 300)
            self.found[f"trit_{attribute.name}_out"] = stacked(means, scales)
        self.draw(f"trit_{attribute.name}_hidden", 400, 100, 250)

    def group(self, name: str) -> None:
        """Second components near the first ones."""
        out = self.sizes[f"{name}_out"]
        self.draw(f"{name}_hidden", 400, 100, 400)
        outputs = (
            layer(self.rng, out.inputs, out.outputs // 3, 1, spread, center, 300)
            for spread, center in ((20, 0), (8, 22), (4, -2))
        )
        self.found[f"{name}_out"] = stacked(*outputs)


def draw_layers(rng: np.random.Generator, shape: StreamShape, levels: int) -> Layers:
    """All layers of a stream. The order of draws decides what a seed gives, and so does not change."""
    drawing = _Drawing(rng, shape, levels)
    drawing.center()
    drawing.draw("steps_hidden", 400, 100, 200)
    drawing.draw("steps_out", 6, 0, 300)
    drawing.draw("trunk", 400, 100, 200)
    drawing.draw("scale", 8, 22, 300)
    for attribute in shape.attributes:
        if f"trit_{attribute.name}_out" in drawing.sizes:
            drawing.trits(attribute)
    for number in range(1, len(shape.group_bounds)):
        drawing.group(f"group_{number}")
    if shape.pool:
        drawing.draw("pool_hidden", 400, 100, 200)
        drawing.draw("pool_out", 1024, 0, 300)
    return drawing.found


def networks_of(layers: Layers, shape: StreamShape) -> Networks:
    """Layers by name as the networks of a scene."""

    def two(name: str) -> IntegerNetwork | None:
        there = f"{name}_hidden" in layers
        return IntegerNetwork((layers[f"{name}_hidden"], layers[f"{name}_out"])) if there else None

    groups = (two(f"group_{number}") for number in range(1, len(shape.group_bounds)))
    return Networks(
        steps=two("steps"),
        trunk=IntegerNetwork((layers["trunk"],)),
        center=IntegerNetwork((layers["center"],)),
        scale=IntegerNetwork((layers["scale"],)),
        trits=tuple(two(f"trit_{attribute.name}") for attribute in shape.attributes),
        groups=tuple(groups),
        pool=two("pool"),
    )


def layers_of(networks: Networks, shape: StreamShape) -> Layers:
    """The other way round: what the readable decoder works with."""
    levels = len(networks.trunk.layers[0].shift) - 1
    return {one.name: layer for one, layer in zip(shape.layers(levels), networks.layers(), strict=True)}
