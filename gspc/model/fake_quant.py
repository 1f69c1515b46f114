"""Simulated integer arithmetic for the last phase of training, as `gspc.ops.mlp.rounding` computes it."""

from __future__ import annotations

from gspc.ops.mlp.rounding import (
    ACTIVATION_LIMIT,
    HEAD_WEIGHT_LIMIT,
    INPUT_UNITS,
    quantize_activation,
    quantize_weight,
    row_scales,
    straight_through,
)

__all__ = [
    "ACTIVATION_LIMIT",
    "HEAD_WEIGHT_LIMIT",
    "INPUT_UNITS",
    "quantize_activation",
    "quantize_weight",
    "row_scales",
    "straight_through",
]
