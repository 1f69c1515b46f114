"""What goes into a stream and comes out of it: integers, frozen, numpy only.

Legend: N anchors, K offsets, F features (predictive family: residual channels), P pool channels, C context
values, S levels, V gain variants, G chunks of the features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gspc.format.shape import StreamShape
from gspc.scene import Camera, DecodedScene, Frame, Heads

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
    """The integer networks of a scene; a `StreamShape` tells their sizes.

    steps C -> Hs -> 3; trunk C -> Ht (hidden only, variants 0..S, 0 = level-free); center Ht -> F + Z + 6K
    (means of features, scaling, offsets, then offset scales); scale Ht -> F + Z.

    trits: of each attribute, C + values -> hidden -> 2 values, hidden layers with variants for levels 2..S;
    outputs are all first parameters, then all second ones. None where the attribute needs none, and
    everywhere when S = 1.

    groups: networks of the feature groups 1..G-1, so one fewer than there are groups; empty without
    intra-anchor context. Group j covers channels [c0, c1), n of them: 2n + c0 -> Hc (the same for all;
    variant s - 1 for level s, all of 1..S) -> 3n.
      Inputs: (t - 64) * 16 of the group's n table indices t, then their n means clamped to +-2047, then the
      c0 earlier channels' values D = clamp((k * STEP * INV3) >> 24, -2047, 2047) at the level they appear at.
      Outputs of the second component, n each: mean in units of Q0 / 64 from the first one's, scale in 1/12
      octaves of Q0 as the scale network's, weight logit w: 256 * sigmoid(w / 4) of 256.

    pool: Cp -> Hp -> P of the predictive family, one variant; outputs are 1024 per 1.0 (f_c = z / 1024,
    clamped to +-32767 / 1024).
    """

    steps: IntegerNetwork
    trunk: IntegerNetwork
    center: IntegerNetwork
    scale: IntegerNetwork
    trits: tuple[IntegerNetwork | None, ...]  # as the shape's attributes
    groups: tuple[IntegerNetwork, ...] = ()
    pool: IntegerNetwork | None = None

    def layers(self) -> Iterator[IntegerLayer]:
        """All layers in the order of `StreamShape.layers`."""
        first = (self.steps, self.trunk, self.center, self.scale)
        for network in (*first, *self.groups, self.pool, *self.trits):
            if network is not None:
                yield from network.layers


@dataclass(frozen=True)
class QuantizedLayer:
    """One linear layer of the heads: dequantized weight = weight * scale[:, None]."""

    weight: I8  # [out, in], -127..127
    scale: F32  # [out]
    bias: F32  # [out]


@dataclass(frozen=True)
class QuantizedResidualDecoder:
    """The multi-head residual decoder of the predictive family (method section 4): logits added to those of
    the heads. Inputs are [f_r (F), direction (3), distance * distance_scale (1)], hidden layers ReLU."""

    shape_hidden: QuantizedLayer  # [Hr, F + 4]
    shape_out: QuantizedLayer  # [7K, Hr], rows as the heads' cov
    appearance_hidden: QuantizedLayer  # [Hr, F + 4]
    appearance_out: QuantizedLayer  # [4K, Hr]: K opacities, then 3K colors, rows as the heads' color


@dataclass(frozen=True)
class QuantizedHeads:
    """The Gaussian heads as stored (layout of `gspc.scene.Heads`).

    Fh = F of the plain family, P + F of the predictive one, P when there is a residual decoder. Floats cost
    fewer bytes when the low bits of their mantissas are zero in a whole layer: round them before export.
    """

    hidden: QuantizedLayer  # [3H, Fh + 4]
    opacity: QuantizedLayer  # [K, H]
    color: QuantizedLayer  # [3K, H]
    cov: QuantizedLayer  # [7K, H]
    distance_scale: float
    residual: QuantizedResidualDecoder | None = None

    def layers(self) -> Iterator[QuantizedLayer]:
        """All layers in the stream's order."""
        yield from (self.hidden, self.opacity, self.color, self.cov)
        if self.residual is not None:
            r = self.residual
            yield from (r.shape_hidden, r.shape_out, r.appearance_hidden, r.appearance_out)

    def dequantized(self) -> Heads:
        """The float32 heads a renderer uses.

        A residual decoder is assembled into one set of heads of H + Hr units over [f_c (P), f_r (F)], in each
        block the base rows first: with zero weights where a row reads nothing, its logits are the sums.
        """
        w1, b1 = _dequantized(self.hidden), self.hidden.bias
        outputs = {name: _dequantized(getattr(self, name)) for name in ("opacity", "color", "cov")}
        biases = {name: getattr(self, name).bias for name in outputs}
        if self.residual is not None:
            r = self.residual
            k = len(self.opacity.bias)
            appearance, shape = _dequantized(r.appearance_out), _dequantized(r.shape_out)
            extra = {"opacity": appearance[:k], "color": appearance[k:], "cov": shape}
            extra_bias = {
                "opacity": r.appearance_out.bias[:k],
                "color": r.appearance_out.bias[k:],
                "cov": r.shape_out.bias,
            }
            pool, features = w1.shape[1] - 4, r.shape_hidden.weight.shape[1] - 4
            rows, row_biases = [], []
            for block, name in enumerate(outputs):
                first = r.shape_hidden if name == "cov" else r.appearance_hidden
                units = len(b1) // 3
                own = slice(block * units, (block + 1) * units)
                base = np.insert(w1[own], [pool] * features, np.float32(0), axis=1)
                added = np.pad(_dequantized(first), ((0, 0), (pool, 0)))
                rows += [base, added]
                row_biases += [b1[own], first.bias]
                outputs[name] = np.concatenate([outputs[name], extra[name]], axis=1)
                biases[name] = biases[name] + extra_bias[name]
            w1, b1 = np.concatenate(rows), np.concatenate(row_biases)
        return Heads(
            w1=w1,
            b1=b1,
            w_opacity=outputs["opacity"],
            b_opacity=biases["opacity"],
            w_color=outputs["color"],
            b_color=biases["color"],
            w_cov=outputs["cov"],
            b_cov=biases["cov"],
            distance_scale=float(np.float32(self.distance_scale)),
        )


def _dequantized(layer: QuantizedLayer) -> F32:
    return layer.weight.astype(np.float32) * layer.scale[:, None]


@dataclass(frozen=True)
class QuantizedScene:
    """A scene as integers, ready to be coded; anchors in any order, positions distinct.

    Symbols of an attribute that levels refine are those of level S, k = floor((v - mean) / q_S + 1/2); the
    others' are the same at every level.

    With selective refinement (`shape.selective`) a level belongs to a *stage*, 1 to T: the level of training
    whose networks and steps it uses. Symbols are then those of stage T, and `refined_at` names, for each
    anchor, attribute and step, the level that brings the digit; an anchor that appears at a stage has that
    stage's steps from the start, whatever stands in their places.
    """

    shape: StreamShape
    levels: int  # S
    positions: I32  # [N, 3], 0 <= p < 2^21
    features: I32  # [N, F] centered symbols k (at the finest level where refined)
    scaling: I32  # [N, Z]
    offsets: I32  # [N, K, 3]
    gaussian_level: U8  # [N, K]; 0 = never, s = appears at level s; at least one per anchor
    grid_signs: tuple[Bool, ...]  # per plane [entries, 4], True = +1
    networks: Networks
    heads: QuantizedHeads
    origin: F64  # [3]
    voxel_size: float
    background: tuple[float, float, float]
    cameras: tuple[Camera, ...] = ()
    rate_weights: tuple[float, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    frame: Frame = field(default_factory=Frame)  # of the user's coordinates; positions and cameras are in it
    # At each level from 1, in 64ths, what is added to the log scales of Gaussians; 0 beyond its end.
    swell: tuple[int, ...] = ()
    stages: tuple[int, ...] = ()  # [S] from 1 to T, by at most 1 at a time; () unless selective
    # [N, 3, T - 1]: the level at which the step of stage t + 1 follows that of stage t (at index t - 1), 0:
    # never. Later steps come at later levels, of that stage or a later one.
    refined_at: U8 | None = None

    @property
    def symbols(self) -> tuple[I32, ...]:
        """[N, values] of each of the shape's attributes."""
        return self.features, self.scaling, self.offsets.reshape(len(self.offsets), 3 * self.shape.offsets)


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
    scaling: I32  # [N, Z]
    offsets: I32  # [N, K, 3], 0 where the Gaussian is not alive
    means: I32  # [N, F + Z + 3K]
    steps: U8  # [N, 3]
    step_levels: U8  # [N, 3]: the stage whose step the symbols of features, scaling and offsets are in
    # (level, what) -> -sum log2 p of its integer tables; features, scaling and offsets of what first appears,
    # refined_features and so on of trits
    ideal_bits: Mapping[tuple[int, str], float]
    symbol_hash: str
