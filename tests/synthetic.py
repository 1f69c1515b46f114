"""A generated scene with the statistics of trained ones: anchors on surfaces, symbols drawn from the very
tables that its random networks predict. No torch, no data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from synthetic_networks import draw_layers, networks_of
from synthetic_symbols import draw_symbols

from gspc.format.grid import GridPlane, GridSpec
from gspc.format.scene import QuantizedHeads, QuantizedLayer, QuantizedResidualDecoder, QuantizedScene
from gspc.format.shape import ALL_LEVELS, ATTRIBUTES, NEVER, Attribute, Groups, Pool, StreamShape
from gspc.reference.context import grid_context
from gspc.scene import Camera

RESOLUTIONS_3D = (18, 24, 33, 44, 59, 80, 108, 148, 201, 275, 376, 514)
RESOLUTIONS_2D = (130, 258, 514, 1026)
STEP_BASE = (1.0, 0.05, 0.2)
# Of features, scaling and offsets, by the trit model's number in HEAD.
TRIT_MODELS = (("learned",) * 3, ("gaussian",) * 3, ("unbounded",) * 3, ("learned", "gaussian", "gaussian"))


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

    def attribute(self, number: int, values: int = 1, hidden: int = 0) -> Attribute:
        """Features, scaling or offsets."""
        until = (self.refine_until or ALL_LEVELS) if self.refined >> number & 1 else NEVER
        model = TRIT_MODELS[self.trit_model][number]
        return Attribute(ATTRIBUTES[number], values, until, model, hidden, STEP_BASE[number])

    def step_level(self, attribute: int, level: int) -> int:
        """The level whose step an attribute has at `level`."""
        return self.attribute(attribute).step_level(level)

    def learned(self, attribute: int) -> bool:
        """Whether there is a trit network for an attribute (that has values)."""
        return self.attribute(attribute).wants_network

    def shape(
        self,
        grid: GridSpec,
        features: int,
        offsets: int,
        hidden: tuple[int, int, int, int],
        heads_hidden: int,
        levels: int,
    ) -> StreamShape:
        """All sizes; hidden units are those of steps, trunk, trits of features and of scaling."""
        steps, trunk, *trits = hidden
        values = (features, self.scales, 3 * offsets)
        attributes = []
        for number, units in enumerate((*trits, self.offsets_hidden)):
            one = self.attribute(number, values[number])
            attributes.append(replace(one, hidden=units if levels > 1 and one.wants_network else 0))
        return StreamShape(
            attributes=tuple(attributes),
            steps_hidden=steps,
            trunk_hidden=trunk,
            heads_hidden=heads_hidden,
            residual_hidden=self.residual_hidden,
            groups=Groups(self.chunks, self.chunk_hidden) if self.chunks else None,
            pool=Pool(self.pool, self.pool_hidden, self.pool_planes) if self.pool else None,
            grid=grid,
        )


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
    shape = variant.shape(grid, features, offsets, hidden, heads_hidden, levels)
    layers = draw_layers(rng, shape, levels)
    positions = surface_positions(rng, count)
    mask = _masks(rng, count, offsets, levels)
    k = {a.name: np.zeros((count, a.values), np.int32) for a in shape.attributes}
    own = shape.context_planes
    for at in range(0, count, 50000):
        part = slice(at, at + 50000)
        context = grid_context(positions[part], replace(grid, planes=grid.planes[own]), signs[own])
        for name, drawn in draw_symbols(rng, layers, shape, context, mask[part], levels).items():
            k[name][part] = drawn
    return QuantizedScene(
        shape=shape,
        levels=levels,
        positions=positions,
        features=k["features"],
        scaling=k["scaling"],
        offsets=k["offsets"].reshape(count, offsets, 3),
        gaussian_level=mask,
        grid_signs=signs,
        networks=networks_of(layers, shape),
        heads=heads(rng, features, offsets, heads_hidden, variant),
        origin=np.array([-2.0, -2.0, -2.0]),
        voxel_size=0.001,
        background=(0.0, 0.0, 0.0),
        cameras=cameras(views),
        rate_weights=tuple(0.008 / 2**s for s in range(levels)),
        metadata={"source": "synthetic"},
    )


STAGES = (1, 2, 2, 2, 3, 3)  # a level of refinement alone, then fresh anchors and more refinement


def selective(
    scene: QuantizedScene, stages: tuple[int, ...] = STAGES, *, seed: int = 0, share: float = 0.6
) -> QuantizedScene:
    """The scene with its levels as stages, and a random choice of what is refined when. Gaussians of a stage
    appear at its second level, if it has one, or one of the later ones."""
    rng = np.random.default_rng(seed)
    levels_of = [
        [level for level, stage in enumerate(stages, 1) if stage == one] for one in range(1, stages[-1] + 1)
    ]
    drawn = [rng.choice(levels[1:] or levels, scene.gaussian_level.shape) for levels in levels_of]
    level = np.choose(scene.gaussian_level, [np.zeros_like(drawn[0]), *drawn])
    first = np.where(level > 0, level, len(stages) + 1).min(axis=1)
    refined_at = np.zeros((len(level), 3, stages[-1] - 1), np.uint8)
    for (n, number), attribute in np.ndenumerate(np.array([scene.shape.attributes] * len(level), object)):
        last = int(first[n])
        for step in range(attribute.step_level(stages[last - 1]), attribute.step_level(stages[-1])):
            later = [one for one in range(last + 1, len(stages) + 1) if stages[one - 1] > step]
            if not later or not attribute.values or rng.random() > share:
                break
            last = int(rng.choice(later))
            refined_at[n, number, step - 1] = last
    return replace(
        scene,
        shape=replace(scene.shape, selective=True),
        levels=len(stages),
        gaussian_level=level.astype(np.uint8),
        stages=stages,
        refined_at=refined_at,
    )


def reshaped(scene: QuantizedScene, attribute: int = 0, **values: object) -> QuantizedScene:
    """The scene with an attribute of its shape changed, whatever its symbols and networks are."""
    attributes = list(scene.shape.attributes)
    attributes[attribute] = replace(attributes[attribute], **values)  # type: ignore[arg-type]
    return replace(scene, shape=replace(scene.shape, attributes=tuple(attributes)))


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
