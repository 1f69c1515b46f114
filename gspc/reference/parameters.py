"""Signs of the grid and weights of the heads (pcgs(5), GRID and GHED)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from gspc.errors import BitstreamError
from gspc.format.grid import GridPlane, GridSpec
from gspc.format.shape import StreamShape
from gspc.reference.arrays import F32, I8, Bool
from gspc.reference.binary import BinaryDecoder, BinaryModel, models

# ---- GRID ----


@dataclass
class Counts:
    """Probability from plain counts, halved when there are many."""

    ones: int = 1
    total: int = 2

    def read(self, coder: BinaryDecoder) -> int:
        """One decision."""
        bit = coder.code((self.ones << 16) // self.total)
        self.ones += bit
        self.total += 1
        if self.total == 1 << 15:
            self.ones, self.total = max(self.ones >> 1, 1), self.total >> 1
        return bit


def read_grid(data: bytes, grid: GridSpec) -> tuple[Bool, ...]:
    """Signs [entries, 4] of each plane, True for +1."""
    coder = BinaryDecoder(data)
    planes = tuple(_read_plane(coder, plane) for plane in grid.planes)
    coder.check_end("chunk GRID")
    return planes


def _read_plane(coder: BinaryDecoder, plane: GridPlane) -> Bool:
    counts = [[Counts() for _ in range(4)] for _ in range(4)]  # [feature][signs of the two entries before]
    rows = [[0] * 4, [0] * 4]
    for _ in range(plane.entries):
        one, two = rows[-1], rows[-2]
        rows.append([counts[f][2 * one[f] + two[f]].read(coder) for f in range(4)])
    return np.array(rows[2:], dtype=np.bool_)


# ---- weights and floats ----


@dataclass
class WeightModels:
    """Models of the weights of one layer."""

    length: list[BinaryModel] = field(default_factory=lambda: models(8))  # binary digits of the magnitude
    top: list[list[BinaryModel]] = field(default_factory=lambda: [models(4) for _ in range(8)])  # by length


def read_weight(coder: BinaryDecoder, weights: WeightModels) -> int:
    """One weight, -127..127."""
    digits = coder.tree(weights.length, 3)
    if digits == 0:
        return 0
    value = 1
    if digits == 2:
        value = 2 | coder.bit(weights.top[digits][1])
    elif digits > 2:
        value = 4 | coder.tree(weights.top[digits], 2)
        value = value << (digits - 3) | coder.digits(digits - 3)
    return -value if coder.digits(1) else value


def read_weights(coder: BinaryDecoder, outputs: int, inputs: int) -> I8:
    """A matrix [out, in], row by row."""
    weights = WeightModels()
    values = [read_weight(coder, weights) for _ in range(outputs * inputs)]
    return np.array(values, dtype=np.int8).reshape(outputs, inputs)


def read_floats(coder: BinaryDecoder, count: int) -> F32:
    """Values [n] that share how many digits of the mantissa are in use."""
    digits = coder.digits(5)
    if digits > 23:
        raise BitstreamError("malformed float")
    exponents, sign = models(256), BinaryModel()
    bits = []
    for _ in range(count):
        negative, exponent = coder.bit(sign), coder.tree(exponents, 8)
        if exponent == 255:
            raise BitstreamError("a float is not finite")
        bits.append(negative << 31 | exponent << 23 | coder.digits(digits) << (23 - digits))
    return np.array(bits, dtype=np.uint32).view(np.float32)


# ---- GHED ----


@dataclass(frozen=True)
class HeadLayer:
    """One linear layer of the heads; a weight is the integer times its row's scale."""

    weight: I8  # [out, in], -127..127
    scale: F32  # [out]
    bias: F32  # [out]


@dataclass(frozen=True)
class StoredHeads:
    """The heads as stored, layers by name."""

    layers: dict[str, HeadLayer]
    distance_scale: float


def head_layers(shape: StreamShape) -> Iterator[tuple[str, int, int]]:
    """Name, outputs and inputs of every layer of the heads, in the stream's order."""
    units, k, more = shape.heads_hidden, shape.offsets, shape.residual_hidden
    read = shape.restored_features - (shape.features if more else 0)
    yield "hidden", 3 * units, read + 4
    yield "opacity", k, units
    yield "color", 3 * k, units
    yield "cov", 7 * k, units
    if more:
        yield "shape_hidden", more, shape.features + 4
        yield "shape_out", 7 * k, more
        yield "appearance_hidden", more, shape.features + 4
        yield "appearance_out", 4 * k, more


def read_heads(data: bytes, shape: StreamShape) -> StoredHeads:
    """The heads of a GHED chunk."""
    coder = BinaryDecoder(data)
    layers = {}
    for name, outputs, inputs in head_layers(shape):
        weight = read_weights(coder, outputs, inputs)
        scale = read_floats(coder, outputs)
        layers[name] = HeadLayer(weight, scale, read_floats(coder, outputs))
    distance_scale = float(read_floats(coder, 1)[0])
    coder.check_end("chunk GHED")
    return StoredHeads(layers, distance_scale)
