"""What goes into a stream and comes out of it: integers, frozen, numpy only.

Legend: N anchors, K offsets, F features, C context values, S levels, V gain variants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gspc.model.grid_spec import GridSpec
from gspc.scene import Camera, DecodedScene, Heads

I8 = NDArray[np.int8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class IntegerLayer:
    """y = W x + b, then z = (y * multiplier[v] + 2^(shift[v] - 1)) >> shift[v] for gain variant v.

    Every row must keep sum|W| * 2047 + |b| < 2^24, and z must fit 31 bits for any such y.
    """

    weight: I8  # [out, in], -127..127
    bias: I32  # [out]
    multiplier: I16  # [V, out]
    shift: U8  # [V], 1..40


@dataclass(frozen=True)
class IntegerNetwork:
    """Layers in order; all but an output layer clamp to [0, 2047]."""

    layers: tuple[IntegerLayer, ...]


@dataclass(frozen=True)
class Networks:
    """The context networks of a scene.

    steps C -> Hs -> 3; trunk C -> Ht (hidden only, variants 0..S, 0 = level-free); center Ht -> F + 6 + 6K
    (means of features, scaling, offsets, then offset scales); scale Ht -> F + 6; trit_features C + F -> Hf
    -> 2F and trit_scaling C + 6 -> Hg -> 12, hidden layers with variants for levels 2..S, absent when S = 1.
    """

    steps: IntegerNetwork
    trunk: IntegerNetwork
    center: IntegerNetwork
    scale: IntegerNetwork
    trit_features: IntegerNetwork | None = None
    trit_scaling: IntegerNetwork | None = None


@dataclass(frozen=True)
class QuantizedLayer:
    """One linear layer of the heads: dequantized weight = weight * scale[:, None]."""

    weight: I8  # [out, in], -127..127
    scale: F32  # [out]
    bias: F32  # [out]


@dataclass(frozen=True)
class QuantizedHeads:
    """The Gaussian heads as stored (layout of `gspc.scene.Heads`).

    Floats cost fewer bytes when the low bits of their mantissas are zero in a whole layer: round them before
    export.
    """

    hidden: QuantizedLayer  # [3H, F + 4]
    opacity: QuantizedLayer  # [K, H]
    color: QuantizedLayer  # [3K, H]
    cov: QuantizedLayer  # [7K, H]
    distance_scale: float

    def dequantized(self) -> Heads:
        """The float32 heads a renderer uses."""

        def weight(layer: QuantizedLayer) -> F32:
            return layer.weight.astype(np.float32) * layer.scale[:, None]

        return Heads(
            w1=weight(self.hidden),
            b1=self.hidden.bias,
            w_opacity=weight(self.opacity),
            b_opacity=self.opacity.bias,
            w_color=weight(self.color),
            b_color=self.color.bias,
            w_cov=weight(self.cov),
            b_cov=self.cov.bias,
            distance_scale=float(np.float32(self.distance_scale)),
        )


@dataclass(frozen=True)
class QuantizedScene:
    """A scene as integers, ready to be coded; anchors in any order, positions distinct."""

    levels: int  # S
    positions: I32  # [N, 3], 0 <= p < 2^21
    features: I32  # [N, F] centered symbols k at the finest level
    scaling: I32  # [N, 6]
    offsets: I32  # [N, K, 3]
    gaussian_level: U8  # [N, K]; 0 = never, s = appears at level s; at least one per anchor
    grid: GridSpec
    grid_signs: tuple[Bool, ...]  # per plane [entries, 4], True = +1
    networks: Networks
    heads: QuantizedHeads
    step_base: tuple[float, float, float]  # Q0 of features, scaling, offsets
    origin: F64  # [3]
    voxel_size: float
    background: tuple[float, float, float]
    cameras: tuple[Camera, ...] = ()
    rate_weights: tuple[float, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Decoded:
    """What `decode` returns."""

    scene: DecodedScene
    level: int
    levels_in_file: int
    truncated: bool
    warnings: tuple[str, ...]
    symbol_hash: (
        str  # 16 hexadecimal digits over positions, masks and symbols of `level` (pcgs(5), SYMBOL HASH)
    )


@dataclass(frozen=True)
class Symbols:
    """The integers of a stream at one level, in stream order (slices, then order of appearance)."""

    level: int
    positions: I32  # [N, 3]
    gaussian_level: U8  # [N, K]
    features: I32  # [N, F] k at `level`
    scaling: I32  # [N, 6]
    offsets: I32  # [N, K, 3], 0 where the Gaussian is not alive
    means: I32  # [N, F + 6 + 3K]
    steps: U8  # [N, 3]
    # (level, what) -> -sum log2 p of its integer tables; features, scaling and offsets of what first appears,
    # refined_features and so on of trits
    ideal_bits: Mapping[tuple[int, str], float]
    symbol_hash: str
