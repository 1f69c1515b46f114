"""A generated scene with the statistics of trained ones: anchors on surfaces, symbols drawn from the very
tables that its random networks predict. No torch, no data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gspc.format.grid import GridPlane, GridSpec
from gspc.format.scene import (
    IntegerLayer,
    IntegerNetwork,
    Networks,
    QuantizedHeads,
    QuantizedLayer,
    QuantizedResidualDecoder,
    QuantizedScene,
)
from gspc.reference import mixtures
from gspc.reference import networks as reference
from gspc.scene import Camera

RESOLUTIONS_3D = (18, 24, 33, 44, 59, 80, 108, 148, 201, 275, 376, 514)
RESOLUTIONS_2D = (130, 258, 514, 1026)


@dataclass(frozen=True)
class Variant:
    """What a scene has beyond three levels of plain anchors."""

    features: int | None = None  # instead of the scene's own
    chunks: int = 0  # G
    chunk_hidden: int = 40
    pool: int = 0  # P; a predictive scene
    pool_hidden: int = 50
    pool_planes: int = 0
    residual_hidden: int = 0
    refined: int = 3
    trit_model: int = 0
    offsets_hidden: int = 30  # of the trit network of offsets
    refine_until: int = 0  # last level that refines; 0: all do
    scales: int = 6

    def step_level(self, attribute: int, level: int) -> int:
        """The level whose step an attribute has at `level`."""
        return min(level, self.refine_until or level) if self.refines(attribute) else 1

    def refines(self, attribute: int) -> bool:
        """Whether trits refine an attribute at later levels."""
        return bool(self.refined >> attribute & 1)

    def learned(self, attribute: int) -> bool:
        """Whether there is a trit network for an attribute (that has values)."""
        gaussian = self.trit_model == 1 or (self.trit_model == 3 and attribute > 0)
        return self.refines(attribute) and not gaussian


PLAIN = Variant()
# Every path of the codec; sizes fit `tiny` (5 features, 3 offsets, 5 planes).
VARIANTS = {
    "plain": PLAIN,
    "chunks": Variant(chunks=5, chunk_hidden=7),
    "two-chunks": Variant(chunks=2, chunk_hidden=3),
    "shared-pool": Variant(pool=6, pool_hidden=9),
    "own-planes": Variant(pool=6, pool_hidden=9, pool_planes=2, residual_hidden=5, chunks=3, chunk_hidden=6),
    "pool-only": Variant(features=0, pool=4, pool_hidden=5),
    "refined-offsets": Variant(refined=7, offsets_hidden=6),
    "only-offsets": Variant(refined=4, offsets_hidden=6),
    "gaussian-trits": Variant(trit_model=1, refined=7),
    "unbounded-trits": Variant(trit_model=2, refined=7, offsets_hidden=6),
    "unrefined": Variant(refined=0, chunks=4, chunk_hidden=5),
    "refined-once": Variant(refined=7, offsets_hidden=6, chunks=2, chunk_hidden=3, refine_until=2),
    "everything": Variant(
        pool=5, pool_hidden=6, pool_planes=1, residual_hidden=3, chunks=3, chunk_hidden=4, refined=7
    ),
    "one-scale": Variant(refined=3, refine_until=2, scales=1),
    "mixed-trits": Variant(trit_model=3, refined=7, chunks=2, chunk_hidden=3),
    "default": Variant(  # what the default preset writes
        pool=5, pool_hidden=6, chunks=4, chunk_hidden=4, refined=7, refine_until=2, trit_model=3, scales=1
    ),
    "unbounded-scale": Variant(trit_model=2, refined=3, scales=1),
}


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
    shift = min(20, int(np.log2(32000 * deviation / spread)))
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
    variant: Variant = PLAIN,
) -> Networks:
    """Random networks with sensible outputs: mostly small scales at the first level, trits mostly zero.

    `context`: of all planes of the grid.
    """
    pool_context = 4 * variant.pool_planes or context
    context -= 4 * variant.pool_planes
    steps, trunk, trit_features, trit_scaling = hidden
    scales = variant.scales
    means = features + scales + 3 * offsets
    center = layer(rng, trunk, means + 3 * offsets, 1, 60, 0, 300)
    tail = layer(rng, trunk, 3 * offsets, 1, 8, 40, 300)
    bias = center.bias.copy()
    weight = center.weight.copy()
    multiplier = center.multiplier.copy()
    bias[means:], weight[means:], multiplier[:, means:] = tail.bias, tail.weight, tail.multiplier
    center = IntegerLayer(weight, bias, multiplier, center.shift)

    def trit(inputs: int, units: int, values: int) -> IntegerNetwork:
        out = layer(rng, units, 2 * values, 1, 4, 34, 300)
        if variant.trit_model == 2:  # means in 1/16 steps, some far out; scales around half a step
            out = stacked(layer(rng, units, values, 1, 30, 0, 300), layer(rng, units, values, 1, 6, -37, 300))
        return IntegerNetwork((layer(rng, inputs, units, levels - 1, 400, 100, 250), out))

    plain = Networks(
        steps=IntegerNetwork(
            (layer(rng, context, steps, 1, 400, 100, 200), layer(rng, steps, 3, 1, 6, 0, 300))
        ),
        trunk=IntegerNetwork((layer(rng, context, trunk, levels + 1, 400, 100, 200),)),
        center=IntegerNetwork((center,)),
        scale=IntegerNetwork((layer(rng, trunk, features + scales, 1, 8, 22, 300),)),
        scales=scales,
        trit_features=trit(context + features, trit_features, features)
        if levels > 1 and features and variant.learned(0)
        else None,
        trit_scaling=trit(context + scales, trit_scaling, scales)
        if levels > 1 and variant.learned(1)
        else None,
        trit_offsets=trit(context + 3 * offsets, variant.offsets_hidden, 3 * offsets)
        if levels > 1 and variant.learned(2)
        else None,
    )
    return replace(
        plain,
        chunks=tuple(chunk_network(rng, features, levels, j, variant) for j in range(1, variant.chunks)),
        pool=IntegerNetwork(
            (
                layer(rng, pool_context, variant.pool_hidden, 1, 400, 100, 200),
                layer(rng, variant.pool_hidden, variant.pool, 1, 1024, 0, 300),
            )
        )
        if variant.pool
        else None,
    )


def stacked(*layers: IntegerLayer) -> IntegerLayer:
    """Layers over the same inputs as one, their outputs in order; one gain variant, one shift."""
    return IntegerLayer(
        np.concatenate([a.weight for a in layers]),
        np.concatenate([a.bias for a in layers]),
        np.concatenate([a.multiplier for a in layers], axis=1),
        layers[0].shift,
    )


def chunk_network(
    rng: np.random.Generator, features: int, levels: int, chunk: int, variant: Variant
) -> IntegerNetwork:
    """The network of one chunk of the features, chunk >= 1: second components near the first ones."""
    first = chunk * features // variant.chunks
    n = (chunk + 1) * features // variant.chunks - first
    hidden = layer(rng, 2 * n + first, variant.chunk_hidden, levels, 400, 100, 400)
    outputs = (
        layer(rng, variant.chunk_hidden, n, 1, spread, center, 300)
        for spread, center in ((20, 0), (8, 22), (4, -2))
    )
    return IntegerNetwork((hidden, stacked(*outputs)))


def heads(
    rng: np.random.Generator, features: int, offsets: int, hidden: int = 50, variant: Variant = PLAIN
) -> QuantizedHeads:
    """Random heads, scales and biases rounded to a few mantissa bits."""

    def short(values: np.ndarray) -> np.ndarray:
        bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF8000)
        return bits.view(np.float32)

    def one(inputs: int, outputs: int) -> QuantizedLayer:
        weight = np.clip(np.rint(rng.normal(0, 30, (outputs, inputs))), -127, 127).astype(np.int8)
        return QuantizedLayer(
            weight, short(rng.uniform(0.001, 0.01, outputs)), short(rng.normal(0, 0.2, outputs))
        )

    inputs = variant.pool + (0 if variant.residual_hidden else features) + 4
    plain = QuantizedHeads(
        hidden=one(inputs, 3 * hidden),
        opacity=one(hidden, offsets),
        color=one(hidden, 3 * offsets),
        cov=one(hidden, 7 * offsets),
        distance_scale=0.125,
    )
    units = variant.residual_hidden
    if not units:
        return plain
    residual = QuantizedResidualDecoder(
        shape_hidden=one(features + 4, units),
        shape_out=one(units, 7 * offsets),
        appearance_hidden=one(features + 4, units),
        appearance_out=one(units, 4 * offsets),
    )
    return replace(plain, residual=residual)


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


def _mixtures(rng: np.random.Generator, run: mixtures.Mixtures) -> np.ndarray:
    second = rng.random(run.weights.shape, dtype=np.float32) < run.weights / 256
    mean, scale = (np.where(second, pair[1], pair[0]) for pair in (run.means, run.scales))
    sigma = 2.0 ** (-3 + scale / 12)
    return np.rint(mean / 16 + sigma * rng.standard_normal(mean.shape)).astype(np.int32)


def _refined(
    rng: np.random.Generator,
    variant: Variant,
    network: IntegerNetwork | None,
    context: np.ndarray,
    k: np.ndarray,
    step: np.ndarray,
    scales: np.ndarray,
    level: int,
) -> np.ndarray:
    """k [n, m] of `level`, from those of the level before."""
    if network is None:
        tables = reference.gaussian_tables(scales, step, level)
        trits = _trits(rng, mixtures.gaussian_trit_tables(k.ravel(), tables.ravel())).reshape(k.shape)
    elif variant.trit_model != 2:
        trits = _trits(rng, reference.trit_tables(network, context, k, step, level))
    else:
        outputs = reference.trit_outputs(network, context, k, step, level)
        trits = np.clip(_mixtures(rng, mixtures.trit_gaussians(*outputs)), -1, 1)
    return 3 * k + trits


def _features(
    rng: np.random.Generator,
    nets: Networks,
    variant: Variant,
    tables: np.ndarray,
    means: np.ndarray,
    step: np.ndarray,
    level: int,
) -> np.ndarray:
    """k [n, F] of features that appear at `level`."""
    if not variant.chunks:
        return _gaussian(rng, tables)
    (_, end), *rest = mixtures.chunk_bounds(tables.shape[1], variant.chunks)
    k = _gaussian(rng, tables[:, :end])
    for network, (begin, end) in zip(nets.chunks, rest, strict=True):
        own, at = slice(begin, end), variant.step_level(0, level)
        run = mixtures.chunk_mixtures(network, tables[:, own], means[:, own], k, step, level, step_level=at)
        k = np.concatenate([k, _mixtures(rng, run)], axis=1)
    return k


def _symbols(
    rng: np.random.Generator,
    nets: Networks,
    context: np.ndarray,
    mask: np.ndarray,
    levels: int,
    variant: Variant = PLAIN,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """k of features, scaling and offsets at the finest level, drawn from the predicted distributions."""
    count, offsets = mask.shape
    first = np.where(mask > 0, mask, levels + 1).min(axis=1)
    steps = reference.step_indices(nets, context)
    means, offset_scales = reference.center_outputs(nets, context)
    k_offsets = np.zeros((count, 3 * offsets), np.int32)
    if not variant.refines(2):
        alive = np.repeat(mask > 0, 3, axis=1)
        k_offsets = _gaussian(rng, reference.gaussian_tables(offset_scales, steps[:, 2], 1)) * alive
    f = nets.scale.layers[0].weight.shape[0] - nets.scales
    features, scaling = np.zeros((count, f), np.int32), np.zeros((count, nets.scales), np.int32)
    for level in range(1, levels + 1):
        old, fresh = np.flatnonzero(first < level), np.flatnonzero(first == level)
        scales = reference.scales(nets, context, level)
        for attribute, k, network, z in (
            (0, features, nets.trit_features, scales[:, :f]),
            (1, scaling, nets.trit_scaling, scales[:, f:]),
            (2, k_offsets, nets.trit_offsets, offset_scales),
        ):
            if len(old) and variant.step_level(attribute, level) == level and k.shape[1]:
                step = steps[old, attribute]
                refined = _refined(rng, variant, network, context[old], k[old], step, z[old], level)
                alive = np.repeat((mask[old] > 0) & (mask[old] < level), 3, axis=1)
                k[old] = refined * alive if attribute == 2 else refined
        at = [variant.step_level(a, level) for a in range(3)]
        tables = reference.gaussian_tables(scales[fresh, :f], steps[fresh, 0], at[0])
        features[fresh] = _features(rng, nets, variant, tables, means[fresh, :f], steps[fresh, 0], level)
        scaling[fresh] = _gaussian(rng, reference.gaussian_tables(scales[fresh, f:], steps[fresh, 1], at[1]))
        if variant.refines(2):
            appear = np.repeat(mask == level, 3, axis=1)
            tables = reference.gaussian_tables(offset_scales, steps[:, 2], at[2])
            k_offsets[appear] = _gaussian(rng, tables[appear])
    return features, scaling, k_offsets.reshape(count, offsets, 3).astype(np.int32)


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
    variant: Variant = PLAIN,
) -> QuantizedScene:
    """`count` anchors with all symbols."""
    features = features if variant.features is None else variant.features
    rng = np.random.default_rng(seed)
    grid = grid or grid_spec()
    signs = tuple(rng.random((entries, 4)) < rng.uniform(0.4, 0.6) for entries in grid.entries)
    nets = networks(rng, grid.context_size, features, offsets, levels, hidden, variant)
    positions = surface_positions(rng, count)
    mask = _masks(rng, count, offsets, levels)
    parts: list[tuple[np.ndarray, ...]] = []
    for at in range(0, count, 50000):
        part = slice(at, at + 50000)
        own = len(grid.planes) - variant.pool_planes
        context = reference.grid_context(
            positions[part], replace(grid, planes=grid.planes[:own]), signs[:own]
        )
        parts.append(_symbols(rng, nets, context, mask[part], levels, variant))
    k_features, k_scaling, k_offsets = (
        np.concatenate([part[i] for part in parts])
        if parts
        else (np.zeros((0, features)), np.zeros((0, nets.scales)), np.zeros((0, offsets, 3)))[i].astype(
            np.int32
        )
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
        heads=heads(rng, features, offsets, heads_hidden, variant),
        step_base=(1.0, 0.05, 0.2),
        origin=np.array([-2.0, -2.0, -2.0]),
        voxel_size=0.001,
        background=(0.0, 0.0, 0.0),
        cameras=cameras(views),
        rate_weights=tuple(0.008 / 2**s for s in range(levels)),
        metadata={"source": "synthetic"},
        refined=variant.refined,
        refine_until=variant.refine_until,
        trit_model=variant.trit_model,
        pool_planes=variant.pool_planes,
    )


def tiny(
    count: int = 60, *, levels: int = 3, seed: int = 0, views: int = 2, variant: Variant = PLAIN
) -> QuantizedScene:
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
        variant=variant,
    )
