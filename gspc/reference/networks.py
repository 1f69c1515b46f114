"""Context grid and integer networks in readable numpy (pcgs(5), CONTEXT and NETWORKS). Slow on purpose; the
C++ core must give the same integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gspc import _codec
from gspc.format.grid import GridPlane, GridSpec
from gspc.format.scene import I32, U8, Bool, IntegerLayer, IntegerNetwork, Networks

I64 = NDArray[np.int64]
U16 = NDArray[np.uint16]
F64 = NDArray[np.float64]

STEP: I64 = _codec.step_table().astype(np.int64)  # [128], pinned
INVSTEP: I64 = ((1 << 27) + STEP) // (2 * STEP)  # round(2^26 / STEP)
LOGQ: I64 = _codec.log_step_table().astype(np.int64)  # [128], pinned
INV3 = (0, *(int(_codec.inverse3(level)) for level in range(1, 9)))
LOG3 = (0, *(int(_codec.log3(level)) for level in range(1, 9)))
MIX: I64 = np.clip(np.floor(256 / (1 + np.exp(-(np.arange(64) - 32) / 4)) + 0.5), 0, 255).astype(np.int64)
PRIMES = (1, 2654435761, 805459861)
AXES = ((0, 1, 2), (0, 1), (0, 2), (1, 2))


def coordinate(p: I64, low: int, size: int) -> I64:
    """Normalized coordinate in [0, 2^20): the box fills the middle 15/16, space outside is contracted."""
    below = low - p
    above = p - (low + size)
    inner = (1 << 15) + ((p - low) * ((1 << 20) - (1 << 16))) // size
    u = np.where(p < low, (1 << 15) - ((below << 15) // np.maximum(below + size, 1)), inner)
    u = np.where(p >= low + size, (1 << 20) - (1 << 15) + ((above << 15) // np.maximum(above + size, 1)), u)
    return np.minimum(u, (1 << 20) - 1)


def plane_context(plane: GridPlane, signs: Bool, u: tuple[I64, I64, I64]) -> I64:
    """Context values [N, 4] of one plane."""
    axes = AXES[plane.dims]
    scaled = [u[axis] * plane.resolution for axis in axes]
    cells = [v >> 20 for v in scaled]
    fractions = [(v >> 12) & 255 for v in scaled]
    values = np.where(signs, 1, -1).astype(np.int64)
    total = np.zeros((len(u[0]), 4), dtype=np.int64)
    for corner in range(1 << len(axes)):
        steps = [corner >> i & 1 for i in range(len(axes))]
        weight = np.ones_like(u[0])
        at = []
        for cell, fraction, step in zip(cells, fractions, steps, strict=True):
            weight = weight * (fraction if step else 256 - fraction)
            at.append(cell + step)
        if plane.dense:
            side = plane.resolution + 1
            index = sum(c * side**i for i, c in enumerate(at))
        else:
            hashed = np.zeros_like(u[0])
            for c, prime in zip(at, PRIMES, strict=False):
                hashed = hashed ^ (c * prime & 0xFFFFFFFF)
            index = hashed & ((1 << plane.log2_size) - 1)
        total += weight[:, None] * values[index]
    half, shift = (1 << 14, 15) if plane.dims == 0 else (1 << 6, 7)
    return (total + half) >> shift


def grid_context(positions: I32, grid: GridSpec, grid_signs: tuple[Bool, ...]) -> I64:
    """Context [N, C] in [-512, 512] at integer positions [N, 3]."""
    p = positions.astype(np.int64)
    x, y, z = (coordinate(p[:, a], grid.box_low[a], grid.box_size[a]) for a in range(3))
    return np.concatenate(
        [
            plane_context(plane, signs, (x, y, z))
            for plane, signs in zip(grid.planes, grid_signs, strict=True)
        ],
        axis=1,
    )


def linear(layer: IntegerLayer, x: I64) -> I64:
    """W x + b. Every partial sum stays below 2^24, so a float64 product is exact."""
    return (x.astype(np.float64) @ layer.weight.astype(np.float64).T).astype(np.int64) + layer.bias


def gain(layer: IntegerLayer, y: I64, variant: int) -> I64:
    """The rescaled sums of one gain variant."""
    shift = int(layer.shift[variant])
    return (y * layer.multiplier[variant].astype(np.int64) + (1 << (shift - 1))) >> shift


def hidden(layer: IntegerLayer, x: I64, variant: int = 0) -> I64:
    """A hidden layer's activations in [0, 2047]."""
    return np.clip(gain(layer, linear(layer, x), variant), 0, 2047)


def output(layer: IntegerLayer, x: I64) -> I64:
    """An output layer's values, 16 bits."""
    return np.clip(gain(layer, linear(layer, x), 0), -32767, 32767)


def step_indices(networks: Networks, context: I64) -> U8:
    """Step index [N, 3] of features, scaling and offsets."""
    first, last = networks.steps.layers
    return np.clip(64 + output(last, hidden(first, context)), 0, 127).astype(np.uint8)


def center_outputs(networks: Networks, context: I64) -> tuple[I32, I64]:
    """Means [N, F + Z + 3K] and scale outputs of the offsets [N, 3K]."""
    z = output(networks.center.layers[0], hidden(networks.trunk.layers[0], context, 0))
    offsets = (z.shape[1] - networks.scale.layers[0].weight.shape[0]) // 2
    return z[:, :-offsets].astype(np.int32), z[:, -offsets:]


def scales(networks: Networks, context: I64, level: int) -> I64:
    """Scale outputs [N, F + Z] of features and scaling at `level`."""
    return output(networks.scale.layers[0], hidden(networks.trunk.layers[0], context, level))


def gaussian_tables(z: I64, step: U8, level: int) -> U8:
    """Gaussian tables [N, n] of scale outputs z, in steps of `level`; step [N] are indices."""
    return np.clip(z - LOGQ[step][:, None] + LOG3[level], 0, 127).astype(np.uint8)


def centered(k: I32, step: U8, level: int) -> I64:
    """Values [N, n] of the symbols k of `level` as inputs of a network; step [N]."""
    factor = STEP[step] * INV3[level]
    return np.clip((k.astype(np.int64) * factor[:, None]) >> 24, -2047, 2047)


def trit_outputs(network: IntegerNetwork, context: I64, k: I32, step: U8, level: int) -> tuple[I64, I64]:
    """What a trit network says [N, n], [N, n] of the values k [N, n] at `level` - 1; step [N]."""
    first, last = network.layers
    z = output(
        last, hidden(first, np.concatenate([context, centered(k, step, level - 1)], axis=1), level - 2)
    )
    return z[:, : k.shape[1]], z[:, k.shape[1] :]


def trit_tables(network: IntegerNetwork, context: I64, k: I32, step: U8, level: int) -> U16:
    """Learned three-way tables [N, n] of the values k [N, n] at `level` - 1; step [N]."""
    a, b = trit_outputs(network, context, k, step, level)
    return (np.clip(a, 0, 63) * 64 + np.clip(b, 0, 63)).astype(np.uint16)


def pool_features(network: IntegerNetwork, context: I64) -> NDArray[np.float32]:
    """f_c [N, P] from the context of the planes that the pool reads."""
    first, last = network.layers
    return (output(last, hidden(first, context)) / 1024).astype(np.float32)
