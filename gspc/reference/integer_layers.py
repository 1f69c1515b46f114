"""The integer networks, level by level (pcgs(5), NETS)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gspc.errors import BitstreamError
from gspc.format.limits import MAX_LEVELS
from gspc.format.shape import LayerShape, StreamShape
from gspc.reference.arrays import I8, I32
from gspc.reference.binary import BinaryDecoder, ExpGolombModel
from gspc.reference.networks import Layer, check_layer
from gspc.reference.parameters import read_weights


@dataclass
class Unfinished:
    """A layer whose gains are still arriving: its own one, if it has one, then that of each stage."""

    weight: I8  # [out, in]
    bias: I32  # [out]
    multipliers: list[list[int]] = field(default_factory=list)
    shifts: list[int] = field(default_factory=list)

    def layer(self) -> Layer:
        """What is there."""
        multiplier = np.array(self.multipliers, dtype=np.int16)
        return Layer(self.weight, self.bias, multiplier, np.array(self.shifts, dtype=np.uint8))


class NetworkReader:
    """Reads the NETS chunks of levels 1, 2, ... one after the other.

    Stage 1 brings all layers but those of the trit networks, which stage 2 brings. A layer has a gain of its
    own, or one for each stage, which comes with the stage; the trunk has both. `stages` has the stage of each
    level so far.
    """

    def __init__(self, shape: StreamShape) -> None:
        layers = list(shape.layers(MAX_LEVELS))
        self.trits = [layer for layer in layers if layer.name.startswith("trit_")]
        self.others = [layer for layer in layers if layer not in self.trits]
        self.found: dict[str, Unfinished] = {}
        self.selective = shape.selective
        self.stages: list[int] = []

    def add_level(self, data: bytes) -> None:
        """Reads the NETS chunk of the next level. Raises BitstreamError for what is beyond the limits."""
        coder = BinaryDecoder(data)
        before = self.stages[-1] if self.stages else 0
        begins = not self.selective or not self.stages or coder.digits(1) == 1
        self.stages.append(before + begins)
        if begins:
            self._read_stage(coder, self.stages[-1])
        coder.check_end("chunk NETS")

    def _read_stage(self, coder: BinaryDecoder, stage: int) -> None:
        if stage == 1:
            for layer in self.others:
                self._read_rows(coder, layer)
                if _own_gain(layer):
                    self._read_gain(coder, layer)
        self._read_stage_gains(coder, self.others)
        if stage == 2:
            for layer in self.trits:
                self._read_rows(coder, layer)
            for layer in filter(_own_gain, self.trits):
                self._read_gain(coder, layer)
        if stage >= 2:
            self._read_stage_gains(coder, self.trits)

    def _read_rows(self, coder: BinaryDecoder, layer: LayerShape) -> None:
        weight = read_weights(coder, layer.outputs, layer.inputs)
        model = ExpGolombModel()
        bias = [coder.signed_number(model) for _ in range(layer.outputs)]
        self.found[layer.name] = Unfinished(weight, np.array(bias, dtype=np.int32))

    def _read_gain(self, coder: BinaryDecoder, layer: LayerShape) -> None:
        found = self.found[layer.name]
        found.shifts.append(coder.digits(6))
        model = ExpGolombModel()
        multipliers = [coder.signed_number(model) for _ in range(layer.outputs)]
        if max(map(abs, multipliers)) >= 1 << 15:
            raise BitstreamError(f"layer {layer.name}: a multiplier has more than 16 bits")
        found.multipliers.append(multipliers)

    def _read_stage_gains(self, coder: BinaryDecoder, layers: list[LayerShape]) -> None:
        for layer in layers:
            if layer.variants > 1:
                self._read_gain(coder, layer)

    def layers(self) -> dict[str, Layer]:
        """Layers with the gains that were read so far, checked."""
        layers = {name: found.layer() for name, found in self.found.items()}
        for name, layer in layers.items():
            check_layer(name, layer)
        return layers


def _own_gain(layer: LayerShape) -> bool:
    return layer.variants == 1 or layer.name == "trunk"
