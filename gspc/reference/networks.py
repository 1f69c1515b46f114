"""The integer networks and what their outputs mean (pcgs(5), NETWORKS and TABLES).

Layers go by the names that `StreamShape.layers` gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gspc.errors import BitstreamError
from gspc.format.shape import StreamShape
from gspc.reference.arrays import F32, I8, I16, I32, I64, U8
from gspc.reference.tables import INV3, LOG3, LOGQ, STEP

INPUT_LIMIT = 2047
OUTPUT_LIMIT = 32767


@dataclass(frozen=True)
class Layer:
    """y = W x + b, then with gain v: z = (y multiplier[v] + 2^(shift[v] - 1)) >> shift[v]."""

    weight: I8  # [out, in], -127..127
    bias: I32  # [out]
    multiplier: I16  # [gains, out]
    shift: U8  # [gains], 1..40


Layers = Mapping[str, Layer]


def check_layer(name: str, layer: Layer) -> None:
    """Raises BitstreamError where sums could leave 24 bits, or rescaled ones 31."""
    bound = INPUT_LIMIT * np.abs(layer.weight.astype(np.int64)).sum(axis=1) + np.abs(
        layer.bias.astype(np.int64)
    )
    shift = layer.shift.astype(np.int64)[:, None]
    if not ((shift >= 1) & (shift <= 40)).all():
        raise BitstreamError(f"layer {name}: shifts must be 1 to 40")
    rescaled = (bound * np.abs(layer.multiplier.astype(np.int64)) + (1 << (shift - 1))) >> shift
    if (bound >= 1 << 24).any() or (rescaled >= 1 << 31).any():
        raise BitstreamError(f"layer {name}: its sums are beyond the limits")


# ---- layers ----


def linear(layer: Layer, x: I64) -> I64:
    """W x + b [N, out] of x [N, in]. Every partial sum stays below 2^24, so a float64 product is exact."""
    return (x.astype(np.float64) @ layer.weight.astype(np.float64).T).astype(np.int64) + layer.bias


def rescaled(layer: Layer, y: I64, gain: int) -> I64:
    """Sums [N, out] after one of the gains."""
    shift = int(layer.shift[gain])
    return (y * layer.multiplier[gain].astype(np.int64) + (1 << (shift - 1))) >> shift


def hidden(layer: Layer, x: I64, gain: int = 0) -> I64:
    """A hidden layer's activations [N, out] in [0, 2047]."""
    return np.clip(rescaled(layer, linear(layer, x), gain), 0, INPUT_LIMIT)


def output(layer: Layer, x: I64) -> I64:
    """An output layer's values [N, out], 16 bits."""
    return np.clip(rescaled(layer, linear(layer, x), 0), -OUTPUT_LIMIT, OUTPUT_LIMIT)


def network(layers: Layers, name: str, x: I64, gain: int = 0) -> I64:
    """Outputs [N, out] of the network of two layers; the gain is that of the hidden one."""
    return output(layers[f"{name}_out"], hidden(layers[f"{name}_hidden"], x, gain))


# ---- what positions alone predict ----


def step_indices(layers: Layers, context: I64) -> U8:
    """Step index [N, 3] of features, scaling and offsets."""
    return np.clip(64 + network(layers, "steps", context), 0, 127).astype(np.uint8)


def _centers(layers: Layers, context: I64) -> I64:
    """Outputs [N, F + Z + 6K] of the center network."""
    return output(layers["center"], hidden(layers["trunk"], context, 0))


def means(layers: Layers, shape: StreamShape, context: I64) -> I32:
    """Means [N, F + Z + 3K] of all values in units of Q0 / 64."""
    return _centers(layers, context)[:, : shape.values].astype(np.int32)


def scales(layers: Layers, shape: StreamShape, context: I64, stage: int) -> dict[str, I64]:
    """Scale outputs [N, values] of each attribute at `stage`; those of offsets are the same at all."""
    own = output(layers["scale"], hidden(layers["trunk"], context, stage))
    return {
        "features": own[:, : shape.features],
        "scaling": own[:, shape.features :],
        "offsets": _centers(layers, context)[:, shape.values :],
    }


def pool_features(layers: Layers, context: I64) -> F32:
    """Features [N, P] of the pool, from the context of the planes that it reads."""
    return (network(layers, "pool", context) / 1024).astype(np.float32)


# ---- what symbols are coded with ----


def gaussian_indices(z: I64, step: U8, step_level: int | U8) -> U8:
    """Gaussian tables [N, n] for scale outputs z [N, n], step indices [N] and the stage of their step, one or
    [N]."""
    return np.clip(z + (LOG3[step_level] - LOGQ[step])[:, None], 0, 127).astype(np.uint8)


def value_inputs(k: I32, step: U8, step_level: int) -> I64:
    """Symbols k [N, n] as inputs of a network, given their step indices [N] and the stage of their step."""
    factor = STEP[step][:, None] * INV3[step_level]
    return np.clip(k.astype(np.int64) * factor >> 24, -INPUT_LIMIT, INPUT_LIMIT)
