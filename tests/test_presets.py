"""Recipes, presets and what `gspc fit` makes of them: precedence, errors, what a model says of its making."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Cli

from gspc import pipeline, presets, switches
from gspc.cli import fit_settings, man
from gspc.config import DataOptions, FitOptions
from gspc.errors import InputError, UsageError
from gspc.presets import GSPC, PCGS, PREDICT_GS, PRESETS
from gspc.recipe import Recipe, ingredients, value_text
from gspc.switches import with_switches

# What was published and how gspc spells it (design/method.md). The default preset may be tuned; these may not
# follow it. A new ingredient must say here what the papers do.
PUBLISHED = {
    "features": 50,
    "pool": 0,
    "pool_hidden": 64,
    "pool_grid": "shared",
    "residual_hidden": 0,
    "head_hidden": 50,
    "grid": "reference",
    "feature_step": 1.0,
    "one_scale": False,
    "progressive_masks": True,
    "progressive_quantization": True,
    "refine_until": 0,
    "progressive_scaling": True,
    "progressive_offsets": False,
    "ranked": False,
    "trits": "learned",
    "accumulate": "none",
    "chunks": 5,
    "chunk_hidden": 40,
    "steps_hidden": 50,
    "trunk_hidden": 100,
    "trit_features_hidden": 150,
    "trit_scaling_hidden": 18,
    "trit_offsets_hidden": 64,
    "coarsest_rate_weight": 4e-3,
    "finest_rate_weight": 2e-4,
    "relative_rate": False,
    "relative_growth": False,
    "position_rate": False,
    "mask_rate": False,
    "mask_costs": "own",
    "prune_by_masks": True,
    "mask_loss": 0.0,
    "rate_anchors": "all",
    "noise": "first",
    "picture_error": "mean-absolute",
    "ssim_weight": 0.2,
    "densify_threshold": 2e-4,
    "growth_choice": "chance",
    "least_worth": 0.0,
    "mask_haste": 1.0,
    "mask_momentum": 0.9,
    "pool_alone": 1 / 6,
    "grid_until": 1.0,
    "round_from": 1.0,
    "random_background": 0.0,
    "downsampling": "none",
    "downsampling_start": 0.7,
    "downsampling_until": 0.3,
    "iterations": 0,
    "levels": 4,
}


def test_the_published_presets_are_what_was_published() -> None:
    assert PCGS.values() == PUBLISHED
    assert PREDICT_GS.values() == PUBLISHED | {
        "features": 25,
        "pool": 50,
        "pool_hidden": 100,
        "pool_grid": "own",
        "residual_hidden": 50,
        "chunks": 0,
        "finest_rate_weight": 4e-3,
        "prune_by_masks": False,
        "mask_loss": 5e-4,
        "rate_anchors": "visible",
        "grid_until": 0.9,
        "downsampling": "cosine",
        "levels": 1,
    }


def test_the_published_presets_give_every_field() -> None:
    """Otherwise a default tuned for gspc would change them."""
    source = inspect.getsource(presets)
    given = re.findall(
        r"^        (\w+)=", source[source.index("PCGS = Recipe(") : source.index("PREDICT_GS =")], re.M
    )
    assert given == list(ingredients())


def test_names_are_unique_over_the_groups() -> None:
    """So that --set and files need no group."""
    names = [entry.name for group in fields(Recipe) for entry in fields(getattr(GSPC, group.name))]
    assert sorted(names) == sorted(set(names)) == sorted(ingredients())


def test_ingredients_are_changed_in_their_groups() -> None:
    changed = GSPC.changed(features=7, trits="learned", mask_loss=0.5)
    assert (changed.representation.features, changed.levels.trits, changed.rate.mask_loss) == (
        7,
        "learned",
        0.5,
    )
    assert changed.contexts == GSPC.contexts and changed.schedule == GSPC.schedule
    assert changed.changed(**GSPC.values()) == GSPC
    with pytest.raises(KeyError, match="feature"):
        GSPC.changed(feature=7)


def test_what_presets_set_that_the_default_does_not() -> None:
    assert switches.describe("gspc") == {}
    for name, (recipe, _) in PRESETS.items():
        assert with_switches(GSPC, switches.describe(name)) == recipe


def test_what_is_described_can_be_set() -> None:
    """The text of a recipe's differences, given to --set, makes that recipe."""
    for name, (recipe, _) in PRESETS.items():
        words = switches.as_text(switches.describe(name)).split()
        assert fit_settings.choose("gspc", words, None).recipe == recipe
    assert value_text(1 / 3) == repr(1 / 3)
    assert value_text(2e-4) == "0.0002"
    assert [value_text(value) for value in (True, False, 7, "own")] == ["on", "off", "7", "own"]


def test_rate_weights_are_even_in_log() -> None:
    recipe = GSPC.changed(coarsest_rate_weight=8e-3, finest_rate_weight=5e-4)
    assert recipe.rate.weights(1) == (5e-4,)
    assert recipe.rate.weights(5) == pytest.approx((8e-3, 4e-3, 2e-3, 1e-3, 5e-4))
    assert recipe.changed(finest_rate_weight=0.0).rate.weights(3) == pytest.approx((8e-3, 4e-3, 0.0))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"features": -1}, "features = -1: give 0 to 256"),
        ({"levels": 9}, "levels = 9: give 1 to 8"),
        ({"mask_loss": float("nan")}, "mask_loss = nan: give 0 to 10"),
        ({"trits": "four"}, "trits = four: give one of learned, gaussian, rounded, mixed"),
        ({"features": 0, "pool": 0, "chunks": 0}, "features = 0: only a model with a pool"),
        ({"pool": 0, "residual_hidden": 8}, "residual_hidden and pool_grid = own need a pool"),
        ({"pool": 0, "pool_grid": "own"}, "residual_hidden and pool_grid = own need a pool"),
        ({"chunks": 1}, "chunks = 1: give 0 or 2 to"),
        ({"refine_until": 1}, "refine_until = 1: give 2 to 8"),
    ],
)
def test_recipes_that_make_no_sense(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=re.escape(line)):
        PCGS.changed(**changes)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("features", "16", 16),
        ("mask_loss", "5e-4", 5e-4),
        ("pool_alone", 0, 0.0),
        ("mask_rate", "on", True),
        ("mask_rate", "No", False),
        ("mask_rate", True, True),
        ("downsampling", "linear", "linear"),
    ],
)
def test_values_are_read_as_their_type(name: str, text: Any, value: Any) -> None:
    found = switches.read_switches({name: text})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("features", "many", "x: features = many: give a whole number"),
        ("features", 16.0, "x: features = 16.0: give a whole number"),
        ("features", True, "x: features = on: give a whole number"),
        ("features", "300", "x: features = 300: give 0 to 256"),
        ("mask_loss", "inf", "x: mask_loss = inf: give 0 to 10"),
        ("mask_loss", "nan", "x: mask_loss = nan: give 0 to 10"),
        ("mask_loss", [], "x: mask_loss = []: give a number"),
        ("mask_rate", "maybe", "x: mask_rate = maybe: give on or off"),
        ("mask_rate", 1, "x: mask_rate = 1: give on or off"),
        ("downsampling", "NONE", "x: downsampling = NONE: give one of none, fixed, linear, cosine"),
        ("downsampling", {}, "x: downsampling = {}: give one of none, fixed, linear, cosine"),
        ("feature", "3", "x: no ingredient feature; do you mean features?"),
        ("zzz", "3", "x: no ingredient zzz"),
    ],
)
def test_values_that_cannot_be_read(name: str, text: Any, line: str) -> None:
    with pytest.raises(UsageError) as raised:
        switches.read_switches({name: text}, "x")
    assert str(raised.value) == line


def test_unknown_presets_are_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^preset pcg: give one of gspc, .*; do you mean pcgs\?$"):
        presets.preset("pcg")


# ---- the command ----


@pytest.fixture
def asked(cli: Cli, tmp_path: Path) -> Any:
    """Runs `gspc fit` with arguments and returns its data and fit options, without training."""
    seen: list[tuple[DataOptions, FitOptions]] = []

    def fit(scene: Path, output: Path, data: DataOptions, options: FitOptions, observer: Any) -> Any:
        seen.append((data, options))
        raise UsageError("enough")

    cli.monkeypatch.setattr(pipeline, "fit", fit)
    cli.monkeypatch.chdir(tmp_path)

    def run(*args: str, config: str = "") -> tuple[DataOptions, FitOptions]:
        if config:
            (tmp_path / "fit.toml").write_text(config)
        ran = cli("fit", "photos", "-o", "m.pt", *args, *(["--config", "fit.toml"] if config else []))
        assert ran.err == "gspc: error: enough\n"
        return seen[-1]

    return run


def test_the_default_preset(asked: Any) -> None:
    data, options = asked()
    assert data == DataOptions()
    assert options == FitOptions(recipe=GSPC, metadata={"preset": "gspc"})
    assert options.level_count == GSPC.levels.levels
    assert options.weights == GSPC.rate.weights(GSPC.levels.levels)


def test_presets_and_switches_on_the_command_line(asked: Any) -> None:
    _, options = asked(
        "--preset", "pcgs", "--set", "features=16", "-s", "chunks=0", "--set", "trunk-hidden=100"
    )
    assert options.recipe == PCGS.changed(features=16, chunks=0)
    assert options.metadata == {"preset": "pcgs", "switches": "features=16 chunks=0"}
    _, options = asked("-p", "pcgs", "--set", "features=16", "--set", "features=50")
    assert options.recipe == PCGS  # the last one counts
    assert options.metadata == {"preset": "pcgs"}


CONFIG = """
preset = "predict-gs"
iterations = 700
levels = 2
rate_weights = [2e-3, 1e-3]
seed = 3
resolution = 4
hold = 0
background = "white"
image-cache = 1
threads = 1
images = "photographs"
[set]
features = 12
mask_rate = true
"""


def test_a_file_overrides_the_preset(asked: Any) -> None:
    data, options = asked(config=CONFIG)
    assert options.recipe == PREDICT_GS.changed(features=12, mask_rate=True)
    assert (options.iterations, options.levels, options.rate_weights) == (700, 2, (2e-3, 1e-3))
    assert (options.seed, options.threads) == (3, 1)
    assert data == DataOptions(4, 0, "white", Path("photographs"), 1.0)
    assert options.metadata == {"preset": "predict-gs", "switches": "features=12 mask_rate=on"}


def test_the_command_line_overrides_the_file(asked: Any) -> None:
    more = ["--preset", "pcgs", "--set", "features=20", "-n", "9", "--levels", "1", "--rate-weights", "7e-3"]
    data, options = asked(*more, "--seed", "0", "-r", "2", "--hold", "5", "--threads", "0", config=CONFIG)
    assert options.recipe == PCGS.changed(features=20, mask_rate=True)
    assert (options.iterations, options.levels, options.rate_weights) == (9, 1, (7e-3,))
    assert (options.seed, options.threads) == (0, None)
    assert (data.resolution, data.hold, data.background) == (2, 5, "white")


def test_a_file_may_rest_on_ingredients_that_only_fit_together(asked: Any) -> None:
    """Switches of both are put together before they are checked."""
    _, options = asked("--set", "pool=8", config="[set]\nresidual_hidden = 4\nfeatures = 4\nchunks = 0\n")
    assert (options.recipe.representation.pool, options.recipe.representation.residual_hidden) == (8, 4)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("iteration = 3", "no option iteration; do you mean iterations?"),
        ("features = 3", "features is an ingredient; put it below [set]"),
        ("[set]\nfeature = 3", "no ingredient feature; do you mean features?"),
        ("[set]\nfeatures = 'x'", "features = x: give a whole number"),
        ("set = 3", "set: give a table of ingredients, [set]"),
        ("preset = 'x'", "preset = x: give one of gspc, fast, pcgs, predict-gs"),
        ("preset = []", "preset = []: give one of gspc, fast, pcgs, predict-gs"),
        ("iterations = '3'", "iterations = 3: give a whole number"),
        ("iterations = true", "iterations = True: give a whole number"),
        ("rate_weights = 3", "rate_weights = 3: give a list of numbers"),
        ("rate_weights = [true]", "rate_weights = [True]: give a list of numbers"),
        ("images = 3", "images = 3: give a text"),
        ("voxel_size = 'x'", "voxel_size = x: give a number"),
        ("resume = true", "no option resume"),
    ],
)
def test_files_that_make_no_sense(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "fit.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        fit_settings.read_settings(path)
    assert str(raised.value).startswith(f"{path}: {line}")
    assert "\n" not in str(raised.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.toml: no such file"):
        fit_settings.read_settings(tmp_path / "no.toml")
    with pytest.raises(InputError, match="cannot be read"):
        fit_settings.read_settings(tmp_path)
    for data in (b"preset = ", b"\xff\xfe", b"a = 1\na = 2"):
        (tmp_path / "bad.toml").write_bytes(data)
        with pytest.raises(UsageError, match=r"bad\.toml: is not TOML that can be read \("):
            fit_settings.read_settings(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--set", "features"], "--set features: give NAME=VALUE, such as features=16"),
        (["--set", "=3"], "--set =3: give NAME=VALUE, such as features=16"),
        (["--set", "features="], "--set features=: give NAME=VALUE, such as features=16"),
        (["--set", "chnks=3"], "--set: no ingredient chnks; do you mean chunks?"),
        (["--preset", "best"], "preset best: give one of gspc, fast, pcgs, predict-gs"),
        (["--config", "no.toml"], "no.toml: no such file; check the path given to --config"),
        (
            ["--levels", "2", "--rate-weights", "1"],
            "--rate-weights: 1 weights for 2 levels; give one per level",
        ),
        (["--features", "3"], "No such option: --features"),
    ],
)
def test_wrong_arguments_are_one_line(cli: Cli, tmp_path: Path, args: list[str], line: str) -> None:
    cli.monkeypatch.chdir(tmp_path)
    ran = cli("fit", "photos", "-o", "m.pt", *args)
    assert ran.code == (3 if args[0] == "--config" else 2)
    assert len(ran.lines) == 1
    assert ran.err.startswith(f"gspc: error: {line}")


def test_options_of_files_are_options_of_fit() -> None:
    ours = {entry.name for kind in (DataOptions, FitOptions) for entry in fields(kind)}
    of_one_run = {"resume", "branch", "pause_at", "log"}
    assert set(fit_settings.OPTIONS) == ours - of_one_run - {"recipe", "metadata", "coarse"}


def test_help_prints_the_presets(cli: Cli) -> None:
    cli.monkeypatch.setenv("COLUMNS", "200")
    text = " ".join(cli("fit", "--help-settings").out.decode().split())
    for name, (_, about) in PRESETS.items():
        changed = switches.as_text(switches.describe(name))
        assert f"{name} {about[0].upper()}{about[1:]}." in text
        assert " ".join(changed.split()) in text
    assert all(f"{name}=" in text for name in ingredients())


def test_the_manual_lists_every_ingredient() -> None:
    page = man.pages()["gspc-fit.1"].replace("\\-", "-")
    for row in ingredients().values():
        assert f"\n.B {row.name}={value_text(row.default)}\n" in page
        assert row.help[1:] in page
        assert f"Takes {row.values}." in page


def test_the_fit_says_what_it_was_made_with() -> None:
    """Only what differs from the preset is told."""
    assert fit_settings.choose(None, (), None).metadata == {"preset": "gspc"}
    chosen = fit_settings.choose(
        "fast", ["iterations=500", f"levels={PRESETS['fast'][0].levels.levels}"], None
    )
    assert chosen.metadata["preset"] == "fast"
    assert chosen.metadata["switches"].split() == ["iterations=500"]
