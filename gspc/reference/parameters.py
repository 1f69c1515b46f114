"""Grid signs, network weights and heads of a stream in readable Python (pcgs(5), GRID, NETWORKS, HEADS)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gspc.errors import BitstreamError
from gspc.format import HeaderInfo
from gspc.format.grid import GridPlane, GridSpec
from gspc.format.scene import (
    F32,
    I8,
    I16,
    I32,
    Bool,
    IntegerLayer,
    IntegerNetwork,
    Networks,
    QuantizedHeads,
    QuantizedLayer,
    QuantizedResidualDecoder,
)
from gspc.reference.binary import BinaryDecoder, BinaryModel, ExpGolombModel, models
from gspc.reference.mixtures import chunk_bounds


def grid_spec(header: HeaderInfo) -> GridSpec:
    """The grid that a header describes."""
    planes = tuple(GridPlane(plane.dims, plane.resolution, plane.log2_size) for plane in header.planes)
    return GridSpec(header.box_low, header.box_size, planes)


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


def read_grid(data: bytes, spec: GridSpec) -> tuple[Bool, ...]:
    """Signs [entries, 4] of each plane."""
    coder = BinaryDecoder(data)
    planes = []
    for plane in spec.planes:
        counts = [[Counts() for _ in range(4)] for _ in range(4)]  # [feature][two entries before]
        rows = [[0] * 4, [0] * 4]
        for _ in range(plane.entries):
            one, two = rows[-1], rows[-2]
            rows.append([counts[f][2 * one[f] + two[f]].read(coder) for f in range(4)])
        planes.append(np.array(rows[2:], dtype=np.bool_).reshape(-1, 4))
    coder.check_end("chunk GRID")
    return tuple(planes)


@dataclass
class WeightModels:
    """Models of the weights of one layer."""

    length: list[BinaryModel] = field(default_factory=lambda: models(8))
    top: list[list[BinaryModel]] = field(default_factory=lambda: [models(4) for _ in range(8)])


def read_weight(coder: BinaryDecoder, weights: WeightModels) -> int:
    """One weight, -127..127."""
    digits = coder.tree(weights.length, 3)
    if digits == 0:
        return 0
    below = digits - 1
    value = 1
    if below == 1:
        value = 2 | coder.bit(weights.top[digits][1])
    elif below >= 2:
        value = 4 | coder.tree(weights.top[digits], 2)
        value = value << (below - 2) | coder.digits(below - 2)
    return -value if coder.digits(1) else value


def read_weights(coder: BinaryDecoder, outputs: int, inputs: int) -> I8:
    """A matrix, row by row."""
    weights = WeightModels()
    values = [read_weight(coder, weights) for _ in range(outputs * inputs)]
    return np.array(values, dtype=np.int8).reshape(outputs, inputs)


def read_floats(coder: BinaryDecoder, count: int) -> F32:
    """float32 values that share how many digits of the mantissa are in use."""
    digits = coder.digits(5)
    if digits > 23:
        raise BitstreamError("malformed float")
    exponents, sign = models(256), BinaryModel()
    bits = []
    for _ in range(count):
        top = coder.bit(sign) << 31
        top |= coder.tree(exponents, 8) << 23
        bits.append(top | coder.digits(digits) << (23 - digits))
    return np.array(bits, dtype=np.uint32).view(np.float32)


def read_heads(data: bytes, header: HeaderInfo) -> QuantizedHeads:
    """The GHED chunk."""
    coder = BinaryDecoder(data)

    def layer(outputs: int, inputs: int) -> QuantizedLayer:
        weight = read_weights(coder, outputs, inputs)
        scale = read_floats(coder, outputs)
        return QuantizedLayer(weight, scale, read_floats(coder, outputs))

    units, k, more = header.heads_hidden, header.offsets, header.residual_hidden
    inputs = header.pool_features + (0 if more else header.features) + 4
    hidden, opacity = layer(3 * units, inputs), layer(k, units)
    color, cov = layer(3 * k, units), layer(7 * k, units)
    residual = None
    if more:
        residual = QuantizedResidualDecoder(
            shape_hidden=layer(more, header.features + 4),
            shape_out=layer(7 * k, more),
            appearance_hidden=layer(more, header.features + 4),
            appearance_out=layer(4 * k, more),
        )
    distance_scale = float(read_floats(coder, 1)[0])
    coder.check_end("chunk GHED")
    return QuantizedHeads(hidden, opacity, color, cov, distance_scale, residual)


@dataclass
class _Rows:
    weight: I8
    bias: I32
    multipliers: list[I16] = field(default_factory=list)
    shifts: list[int] = field(default_factory=list)

    def layer(self) -> IntegerLayer:
        return IntegerLayer(
            self.weight, self.bias, np.stack(self.multipliers), np.array(self.shifts, dtype=np.uint8)
        )


class NetworkReader:
    """Networks as the NETS chunks of levels 1, 2, ... add to them."""

    def __init__(self, header: HeaderInfo) -> None:
        h, own = header, header.pool_planes
        c, f, z = 4 * (len(h.planes) - own), h.features, h.scales
        self.rows: dict[str, _Rows] = {}
        self.scales = z
        self.chunks = [f"chunk_{j}" for j in range(1, h.chunks)]
        self.first = {  # name: outputs, inputs; what level 1 has
            "steps_hidden": (h.steps_hidden, c),
            "steps_out": (3, h.steps_hidden),
            "trunk": (h.trunk_hidden, c),
            "center": (f + z + 6 * h.offsets, h.trunk_hidden),
            "scale": (f + z, h.trunk_hidden),
        }
        for name, (begin, end) in zip(self.chunks, chunk_bounds(f, h.chunks)[1:], strict=True):
            self.first[f"{name}_hidden"] = (h.chunk_hidden, 2 * (end - begin) + begin)
            self.first[f"{name}_out"] = (3 * (end - begin), h.chunk_hidden)
        if h.pool_features:
            self.first["pool_hidden"] = (h.pool_hidden, 4 * (own or len(h.planes)))
            self.first["pool_out"] = (h.pool_features, h.pool_hidden)
        self.trits = {  # hidden units, values
            name: (units, values)
            for name, units, values in (
                ("trit_features", h.trit_features_hidden, f),
                ("trit_scaling", h.trit_scaling_hidden, z),
                ("trit_offsets", h.trit_offsets_hidden, 3 * h.offsets),
            )
            if units
        }
        self.context = c

    def _read_rows(self, coder: BinaryDecoder, name: str, outputs: int, inputs: int) -> None:
        weight = read_weights(coder, outputs, inputs)
        model = ExpGolombModel()
        bias = np.array([coder.signed_number(model) for _ in range(outputs)], dtype=np.int32)
        self.rows[name] = _Rows(weight, bias)

    def _read_gain(self, coder: BinaryDecoder, name: str) -> None:
        rows = self.rows[name]
        rows.shifts.append(coder.digits(6))
        model = ExpGolombModel()
        multiplier = [coder.signed_number(model) for _ in range(len(rows.bias))]
        rows.multipliers.append(np.array(multiplier, dtype=np.int16))

    def add_level(self, data: bytes, level: int) -> None:
        """Reads the NETS chunk of `level`."""
        coder = BinaryDecoder(data)
        if level == 1:
            levels = [f"{name}_hidden" for name in self.chunks]  # whose gains all belong to levels
            for name, shape in self.first.items():
                self._read_rows(coder, name, *shape)
                if name not in levels:
                    self._read_gain(coder, name)
        self._read_gain(coder, "trunk")
        for name in self.chunks:
            self._read_gain(coder, f"{name}_hidden")
        if level == 2:
            for name, (units, values) in self.trits.items():
                self._read_rows(coder, f"{name}_hidden", units, self.context + values)
                self._read_rows(coder, f"{name}_out", 2 * values, units)
            for name in self.trits:
                self._read_gain(coder, f"{name}_out")
        if level >= 2:
            for name in self.trits:
                self._read_gain(coder, f"{name}_hidden")
        coder.check_end("chunk NETS")

    def networks(self) -> Networks:
        """What was read so far."""

        def network(*names: str) -> IntegerNetwork:
            return IntegerNetwork(tuple(self.rows[name].layer() for name in names))

        def two(name: str) -> IntegerNetwork | None:
            there = f"{name}_hidden" in self.rows
            return network(f"{name}_hidden", f"{name}_out") if there else None

        return Networks(
            steps=network("steps_hidden", "steps_out"),
            trunk=network("trunk"),
            center=network("center"),
            scale=network("scale"),
            scales=self.scales,
            trit_features=two("trit_features"),
            trit_scaling=two("trit_scaling"),
            trit_offsets=two("trit_offsets"),
            chunks=tuple(network(f"{name}_hidden", f"{name}_out") for name in self.chunks),
            pool=two("pool"),
        )
