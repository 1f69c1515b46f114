"""A generated scene with the statistics of trained ones: anchors on surfaces, symbols drawn from the very
tables that its random networks predict. No torch, no data."""

from __future__ import annotations

import numpy as np

from gspc.codec import reference_networks as reference
from gspc.codec.types import (
    IntegerLayer,
    IntegerNetwork,
    Networks,
    QuantizedHeads,
    QuantizedLayer,
    QuantizedScene,
)
from gspc.model.grid_spec import GridPlane, GridSpec
from gspc.scene import Camera

RESOLUTIONS_3D = (18, 24, 33, 44, 59, 80, 108, 148, 201, 275, 376, 514)
RESOLUTIONS_2D = (130, 258, 514, 1026)


def grid_spec(
    planes_3d: int = 12, planes_2d: int = 4, log2_3d: int = 13, log2_2d: int = 15, size: int = 4096
) -> GridSpec:
    """A grid like the reference one, fewer planes on request."""
    planes = [GridPlane(0, r, log2_3d) for r in RESOLUTIONS_3D[:planes_3d]]
    planes += [GridPlane(axes, r, log2_2d) for axes in (1, 2, 3) for r in RESOLUTIONS_2D[:planes_2d]]
    margin = size // 16
    return GridSpec((margin,) * 3, (size - 2 * margin,) * 3, tuple(planes))


def surface_positions(rng: np.random.Generator, count: int, size: int = 4096) -> np.ndarray:
    """Distinct voxels [N, 3] int32 on spheres and planes, on three nested lattices."""
    found = np.zeros((0, 3), dtype=np.int64)
    while len(found) < count:
        n = 2 * count
        shape = rng.integers(0, 3, n)
        direction = rng.normal(size=(n, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        spheres = 0.5 + direction * np.where(shape == 0, 0.25, 0.4)[:, None] * rng.uniform(0.995, 1.0, (n, 1))
        flat = np.stack([rng.random(n), rng.random(n), 0.2 + 0.05 * np.sin(6 * rng.random(n))], axis=1)
        points = np.where((shape == 2)[:, None], flat, spheres)
        lattice = 4 ** rng.choice(3, n, p=(0.5, 0.35, 0.15))[:, None]
        voxels = np.clip((points * size).astype(np.int64) // lattice * lattice, 0, size - 1)
        found = np.unique(np.concatenate([found, voxels]), axis=0)
    return rng.permutation(found)[:count].astype(np.int32)


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
    shift = 20
    multiplier = np.full((variants, outputs), max(1, round(spread / deviation * 2**shift)))
    multiplier = multiplier + np.arange(variants)[:, None] * 3
    bias = np.full(outputs, round(center / spread * deviation))
    return IntegerLayer(
        weight, bias.astype(np.int32), multiplier.astype(np.int16), np.full(variants, shift, dtype=np.uint8)
    )


def networks(
    rng: np.random.Generator,
    context: int,
    features: int,
    offsets: int,
    levels: int,
    hidden: tuple[int, int, int, int] = (50, 100, 150, 18),
) -> Networks:
    """Random networks with sensible outputs: mostly small scales at the first level, trits mostly zero."""
    steps, trunk, trit_features, trit_scaling = hidden
    means = features + 6 + 3 * offsets
    center = layer(rng, trunk, means + 3 * offsets, 1, 60, 0, 300)
    tail = layer(rng, trunk, 3 * offsets, 1, 8, 40, 300)
    bias = center.bias.copy()
    weight = center.weight.copy()
    multiplier = center.multiplier.copy()
    bias[means:], weight[means:], multiplier[:, means:] = tail.bias, tail.weight, tail.multiplier
    center = IntegerLayer(weight, bias, multiplier, center.shift)

    def trit(inputs: int, units: int, values: int) -> IntegerNetwork:
        out = layer(rng, units, 2 * values, 1, 4, 34, 300)
        return IntegerNetwork((layer(rng, inputs, units, levels - 1, 400, 100, 250), out))

    return Networks(
        steps=IntegerNetwork(
            (layer(rng, context, steps, 1, 400, 100, 200), layer(rng, steps, 3, 1, 6, 0, 300))
        ),
        trunk=IntegerNetwork((layer(rng, context, trunk, levels + 1, 400, 100, 200),)),
        center=IntegerNetwork((center,)),
        scale=IntegerNetwork((layer(rng, trunk, features + 6, 1, 8, 22, 300),)),
        trit_features=trit(context + features, trit_features, features) if levels > 1 else None,
        trit_scaling=trit(context + 6, trit_scaling, 6) if levels > 1 else None,
    )


def heads(rng: np.random.Generator, features: int, offsets: int, hidden: int = 50) -> QuantizedHeads:
    """Random heads, scales and biases rounded to a few mantissa bits."""

    def short(values: np.ndarray) -> np.ndarray:
        bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF8000)
        return bits.view(np.float32)

    def one(inputs: int, outputs: int) -> QuantizedLayer:
        weight = np.clip(np.rint(rng.normal(0, 30, (outputs, inputs))), -127, 127).astype(np.int8)
        return QuantizedLayer(
            weight, short(rng.uniform(0.001, 0.01, outputs)), short(rng.normal(0, 0.2, outputs))
        )

    return QuantizedHeads(
        hidden=one(features + 4, 3 * hidden),
        opacity=one(hidden, offsets),
        color=one(hidden, 3 * offsets),
        cov=one(hidden, 7 * offsets),
        distance_scale=0.125,
    )


def cameras(count: int) -> tuple[Camera, ...]:
    """Cameras on a circle, looking at the middle."""
    result = []
    for i in range(count):
        a = 2 * np.pi * i / max(count, 1)
        rotation = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
        matrix = np.eye(4)
        matrix[:3, :3] = rotation
        matrix[:3, 3] = (0.25, -0.5, 3.0)
        result.append(Camera(f"view_{i:03d}.png", 640, 480, 500.0, 501.0, 320.0, 240.0, matrix))
    return tuple(result)


def _gaussian(rng: np.random.Generator, tables: np.ndarray) -> np.ndarray:
    sigma = 2.0 ** (-3 + tables / 12)
    return np.rint(rng.standard_normal(tables.shape, dtype=np.float32) * sigma).astype(np.int32)


def _trits(rng: np.random.Generator, tables: np.ndarray) -> np.ndarray:
    zero = 1 / (1 + np.exp(-((tables // 64).astype(np.float32) - 32) / 4))
    plus = 1 / (1 + np.exp(-((tables % 64).astype(np.float32) - 32) / 8))
    sign = np.where(rng.random(tables.shape, dtype=np.float32) < plus, 1, -1)
    return np.where(rng.random(tables.shape, dtype=np.float32) < zero, 0, sign).astype(np.int32)


def _masks(rng: np.random.Generator, count: int, offsets: int, levels: int) -> np.ndarray:
    """Slots differ in how often they are alive, as trained ones do; later levels add fewer."""
    alive = rng.random((count, offsets)) < rng.uniform(0.15, 0.75, offsets)
    chances = np.array([0.55 * 0.5**s for s in range(levels)])
    level = 1 + rng.choice(levels, (count, offsets), p=chances / chances.sum())
    first = 1 + rng.choice(levels, count, p=chances / chances.sum())
    level = np.where(alive, np.maximum(level, first[:, None]), 0).astype(np.uint8)
    empty = ~level.any(axis=1)
    level[empty, rng.integers(0, offsets, empty.sum())] = first[empty]
    return level


def _symbols(
    rng: np.random.Generator, nets: Networks, context: np.ndarray, mask: np.ndarray, levels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k of features and scaling at the finest level and of offsets, drawn from the predicted tables."""
    count, offsets = mask.shape
    first = np.where(mask > 0, mask, levels + 1).min(axis=1)
    steps = reference.step_indices(nets, context)
    _, offset_tables = reference.centers(nets, context, steps)
    k_offsets = _gaussian(rng, offset_tables).reshape(count, offsets, 3) * (mask > 0)[:, :, None]
    values = nets.scale.layers[0].weight.shape[0] - 6
    features, scaling = np.zeros((count, values), np.int32), np.zeros((count, 6), np.int32)
    for level in range(1, levels + 1):
        old = np.flatnonzero(first < level)
        if len(old) and nets.trit_features is not None and nets.trit_scaling is not None:
            for k, network, step in ((features, nets.trit_features, 0), (scaling, nets.trit_scaling, 1)):
                tables = reference.trit_tables(network, context[old], k[old], steps[old, step], level)
                k[old] = 3 * k[old] + _trits(rng, tables)
        fresh = np.flatnonzero(first == level)
        tables_f, tables_s = reference.first_tables(nets, context[fresh], steps[fresh], level)
        features[fresh], scaling[fresh] = _gaussian(rng, tables_f), _gaussian(rng, tables_s)
    return features, scaling, k_offsets.astype(np.int32)


def scene(
    count: int = 1000,
    *,
    levels: int = 3,
    features: int = 50,
    offsets: int = 10,
    grid: GridSpec | None = None,
    hidden: tuple[int, int, int, int] = (50, 100, 150, 18),
    heads_hidden: int = 50,
    views: int = 4,
    seed: int = 0,
) -> QuantizedScene:
    """`count` anchors with all symbols."""
    rng = np.random.default_rng(seed)
    grid = grid or grid_spec()
    signs = tuple(rng.random((entries, 4)) < rng.uniform(0.4, 0.6) for entries in grid.entries)
    nets = networks(rng, grid.context_size, features, offsets, levels, hidden)
    positions = surface_positions(rng, count)
    mask = _masks(rng, count, offsets, levels)
    parts: list[tuple[np.ndarray, ...]] = []
    for at in range(0, count, 50000):
        part = slice(at, at + 50000)
        context = reference.grid_context(positions[part], grid, signs)
        parts.append(_symbols(rng, nets, context, mask[part], levels))
    k_features, k_scaling, k_offsets = (
        np.concatenate([part[i] for part in parts])
        if parts
        else (np.zeros((0, features)), np.zeros((0, 6)), np.zeros((0, offsets, 3)))[i].astype(np.int32)
        for i in range(3)
    )
    return QuantizedScene(
        levels=levels,
        positions=positions,
        features=k_features,
        scaling=k_scaling,
        offsets=k_offsets,
        gaussian_level=mask,
        grid=grid,
        grid_signs=signs,
        networks=nets,
        heads=heads(rng, features, offsets, heads_hidden),
        step_base=(1.0, 0.05, 0.2),
        origin=np.array([-2.0, -2.0, -2.0]),
        voxel_size=0.001,
        background=(0.0, 0.0, 0.0),
        cameras=cameras(views),
        rate_weights=tuple(0.008 / 2**s for s in range(levels)),
        metadata={"source": "synthetic"},
    )


def tiny(count: int = 60, *, levels: int = 3, seed: int = 0, views: int = 2) -> QuantizedScene:
    """A scene of a few kilobytes."""
    return scene(
        count,
        levels=levels,
        features=5,
        offsets=3,
        grid=grid_spec(2, 1, 6, 6),
        hidden=(6, 10, 12, 5),
        heads_hidden=4,
        views=views,
        seed=seed,
    )
