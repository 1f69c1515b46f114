"""Every ingredient alone: a tiny scene trained with it becomes a stream that decodes to the same symbols."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train_scenes import Quiet

from gspc import pipeline
from gspc.codec import decode, decode_symbols, encode
from gspc.codec.export import export_model
from gspc.config import DataOptions, FitOptions
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.format.scene import QuantizedScene
from gspc.format.shape import NEVER
from gspc.model.storage import load_model
from gspc.presets import GSPC, PRESETS
from gspc.recipe import Recipe, ingredients, value_text
from gspc.scene import SceneData
from gspc.switches import with_switches
from gspc.train import fit

ITERATIONS = 20  # two of warm-up, five of noise, eleven of rate, two of finish, the last of them rounded
WEIGHTS = (4e-3, 1e-3, 3e-4)

# A small plain and a small predictive recipe, whatever the default preset is tuned to.
PLAIN = GSPC.changed(
    features=6,
    pool=0,
    pool_grid="shared",
    residual_hidden=0,
    chunks=0,
    grid="scene",
    head_hidden=8,
    steps_hidden=8,
    trunk_hidden=12,
    trit_features_hidden=8,
    trit_scaling_hidden=6,
    trit_offsets_hidden=8,
    one_scale=False,
    progressive_masks=True,
    progressive_quantization=True,
    refine_until=0,
    progressive_scaling=True,
    progressive_offsets=False,
    trits="learned",
    position_rate=False,
    mask_rate=False,
    mask_costs="own",
    downsampling="none",
)
POOLED = PLAIN.changed(features=4, pool=5, pool_hidden=6)

# Ingredients that do nothing without others, and numbers to try.
NEED_POOL = {"pool_hidden", "pool_grid", "residual_hidden", "pool_alone"}
COMPANIONS: dict[str, dict[str, Any]] = {
    "chunk_hidden": {"chunks": 2},
    "trit_offsets_hidden": {"progressive_offsets": True},
    "downsampling_start": {"downsampling": "cosine"},
    "downsampling_until": {"downsampling": "linear"},
}
NUMBERS: dict[str, tuple[Any, ...]] = {
    "features": (1, 9),
    "pool": (3,),
    "pool_hidden": (9,),
    "random_background": (0.5,),
    "residual_hidden": (3,),
    "head_hidden": (5,),
    "refine_until": (2,),
    "chunks": (2, 5),
    "chunk_hidden": (3,),
    "steps_hidden": (3,),
    "trunk_hidden": (5,),
    "trit_features_hidden": (3,),
    "trit_scaling_hidden": (3,),
    "trit_offsets_hidden": (3,),
    "coarsest_rate_weight": (1e-2,),
    "finest_rate_weight": (1e-5,),
    "mask_loss": (1e-2,),
    "densify_threshold": (1e-5,),
    "ssim_weight": (0.0, 1.0),
    "feature_step": (0.06, 2.0),
    "pool_alone": (0.0, 0.5),
    "least_worth": (0.0, 50.0),
    "mask_haste": (0.5, 3.0),
    "mask_momentum": (0.0, 0.9),
    "grid_until": (0.2, 1.0),
    "round_from": (0.9, 1.0),
    "downsampling_start": (0.5,),
    "downsampling_until": (0.9,),
    "iterations": (7,),
    "levels": (1, 2),
}


def cases() -> dict[str, Recipe]:
    """A recipe for every value of every ingredient that differs from the small recipe's own."""
    found = {}
    for name, about in ingredients().items():
        base = POOLED if name in NEED_POOL else PLAIN
        base = base.changed(**COMPANIONS.get(name, {}))
        own = base.values()[name]
        values = (True, False) if about.kind is bool else about.choices or NUMBERS[name]
        for value in values:
            if value != own:
                found[f"{name}={value_text(value)}"] = base.changed(**{name: value})
    found["pooled"] = POOLED
    found["pool only"] = POOLED.changed(features=0)
    found["own grid and residual decoder"] = POOLED.changed(pool_grid="own", residual_hidden=3)
    found["everything"] = POOLED.changed(
        features=7,
        residual_hidden=3,
        pool_grid="own",
        chunks=3,
        one_scale=True,
        progressive_offsets=True,
        refine_until=2,
        mask_rate=True,
        position_rate=True,
        mask_costs="mean",
        accumulate="rate",
        relative_rate=True,
        downsampling="cosine",
    )
    for trits in ("gaussian", "rounded", "mixed"):
        found[f"offsets and {trits}"] = PLAIN.changed(progressive_offsets=True, trits=trits)
    return found


CASES = cases()


# What the stream calls the trits of features, scaling and offsets.
TRIT_MODELS = {
    "learned": ("learned", "learned", "learned"),
    "gaussian": ("gaussian", "gaussian", "gaussian"),
    "rounded": ("unbounded", "unbounded", "unbounded"),
    "mixed": ("learned", "gaussian", "gaussian"),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> SceneData:
    path = tmp_path_factory.mktemp("scene")
    write_demo_scene(path, views=4, width=40, height=30, points=60)
    return load_scene(path, DataOptions())


def trained(scene: SceneData, path: Path, recipe: Recipe, **options: Any) -> QuantizedScene:
    values = {
        "iterations": ITERATIONS,
        "levels": 3,
        "rate_weights": WEIGHTS,
        "threads": 1,
        "checkpoint_every": 0,
    }
    fit(scene, path, FitOptions(**{**values, **options}, recipe=recipe), Quiet())
    return export_model(path)


def check(exported: QuantizedScene) -> None:
    """The stream holds the very symbols, and every level decodes."""
    data = encode(exported)
    symbols = decode_symbols(data, exported.levels)
    order, found = np.lexsort(exported.positions.T), np.lexsort(symbols.positions.T)
    assert np.array_equal(symbols.positions[found], exported.positions[order])
    level_of = exported.gaussian_level[order]
    assert np.array_equal(symbols.gaussian_level[found], level_of)
    assert np.array_equal(symbols.features[found], exported.features[order])
    assert np.array_equal(symbols.scaling[found], exported.scaling[order])
    assert np.array_equal(symbols.offsets[found][level_of > 0], exported.offsets[order][level_of > 0])
    for level in range(1, exported.levels + 1):
        scene = decode(data, upto=level).scene
        assert np.isfinite(scene.features).all() and np.isfinite(scene.log_scales).all()
        assert scene.heads.w1.shape[1] == scene.features.shape[1] + 4


@pytest.mark.parametrize("name", CASES)
def test_every_ingredient_trains_exports_encodes_and_decodes(
    scene: SceneData, tmp_path: Path, name: str
) -> None:
    recipe = CASES[name]
    levels, representation = recipe.levels, recipe.representation
    own = {}
    if name.startswith(("levels", "coarsest", "finest", "iterations")):  # what options would override
        iterations = recipe.schedule.iterations or ITERATIONS
        own = {"levels": None, "rate_weights": None, "iterations": iterations}
    exported = trained(scene, tmp_path / "model.pt", recipe, **own)
    shape, groups = exported.shape, exported.shape.groups
    refined = (True, levels.progressive_scaling, levels.progressive_offsets)
    assert [a.refined_until for a in shape.attributes] == [
        levels.refine_until if levels.progressive_quantization and on else NEVER for on in refined
    ]
    assert tuple(a.trit_model for a in shape.attributes) == TRIT_MODELS[levels.trits]
    assert shape.family == ("predictive" if representation.pool else "plain")
    assert shape.features == exported.features.shape[1] == representation.features
    assert (groups.count if groups else 0) == recipe.contexts.chunks
    assert exported.levels == (levels.levels if own else 3)
    if not levels.progressive_masks:
        assert set(np.unique(exported.gaussian_level)) <= {0, 1}
    check(exported)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_trains(scene: SceneData, tmp_path: Path, name: str) -> None:
    metadata = {"preset": name}
    recipe = PRESETS[name][0]
    exported = trained(
        scene, tmp_path / "model.pt", recipe, levels=None, rate_weights=None, metadata=metadata
    )
    assert exported.metadata["preset"] == name
    assert exported.levels == recipe.levels.levels
    assert exported.rate_weights == pytest.approx(recipe.rate.weights(recipe.levels.levels))
    check(exported)


def test_streams_say_what_they_were_made_with(scene: SceneData, tmp_path: Path) -> None:
    """In inspect's header and eval's report; streams that do not say, or say nonsense, say nothing."""
    made = {"preset": "pcgs", "switches": "features=6 chunks=0"}
    exported = trained(scene, tmp_path / "model.pt", PLAIN, metadata=made)
    told = "preset pcgs, features=6 chunks=0"
    facts = dict(pipeline.inspect(pipeline.load_source(encode(exported))).facts)
    assert facts["made with"] == told
    write_demo_scene(tmp_path / "demo", views=9, width=40, height=30, points=60)
    source = pipeline.load_source(encode(exported))
    assert pipeline.evaluate(source, tmp_path / "demo", levels=(1,)).made_with == told
    for other, expected in (
        ({"preset": "gspc"}, "preset gspc"),
        ({}, None),
        ({"switches": "features=6"}, None),
    ):
        data = encode(replace(exported, metadata=other))
        assert dict(pipeline.inspect(pipeline.load_source(data)).facts).get("made with") == expected
    whole = encode(exported)
    for text in (b"{", b"[1, 2]", b'{"metadata": 3}'):
        start = whole.index(b'{"metadata"')
        length = int.from_bytes(whole[start - 12 : start - 8], "little")
        data = bytearray(whole)
        data[start : start + length] = text.ljust(length)
        data[start - 8 : start - 4] = zlib.crc32(bytes(data[start : start + length])).to_bytes(4, "little")
        data[start - 4 : start] = zlib.crc32(bytes(data[start - 24 : start - 4])).to_bytes(4, "little")
        found = pipeline.inspect(pipeline.load_source(bytes(data)))
        assert "made with" not in dict(found.facts)


def test_iterations_and_levels_of_the_recipe_are_defaults(scene: SceneData, tmp_path: Path) -> None:
    recipe = with_switches(PLAIN, {"iterations": 6, "levels": 2})
    options = FitOptions(recipe=recipe, threads=1, checkpoint_every=0)
    assert fit(scene, tmp_path / "a.pt", options, Quiet()).iterations == 6
    assert load_model(tmp_path / "a.pt").model.shape.levels == 2
    more = replace(options, iterations=8, levels=1)
    assert fit(scene, tmp_path / "b.pt", more, Quiet()).iterations == 8
    assert load_model(tmp_path / "b.pt").model.shape.levels == 1
