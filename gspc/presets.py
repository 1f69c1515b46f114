"""Presets: recipes with names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from gspc.errors import UsageError
from gspc.recipe import Contexts, Levels, Rate, Recipe, Representation, ScheduleSettings

# The defaults of all groups. Chosen on fox and lego, by held-out views and one or two seeds, at 1000 to 3000
# iterations.
GSPC = Recipe()

# Every field is given: what the default preset is tuned to must not change what was published.
PCGS = Recipe(
    Representation(
        features=50,
        pool=0,
        pool_hidden=64,
        pool_grid="shared",
        residual_hidden=0,
        head_hidden=50,
        grid="reference",
        feature_step=1.0,
        one_scale=False,
    ),
    Levels(
        levels=4,
        progressive_masks=True,
        progressive_quantization=True,
        refine_until=0,
        progressive_scaling=True,
        progressive_offsets=False,
        ranked=False,
        trits="learned",
    ),
    Contexts(
        chunks=5,
        chunk_hidden=40,
        steps_hidden=50,
        trunk_hidden=100,
        trit_features_hidden=150,
        trit_scaling_hidden=18,
        trit_offsets_hidden=64,
    ),
    Rate(
        coarsest_rate_weight=4e-3,
        finest_rate_weight=2e-4,
        relative_rate=False,
        accumulate="none",
        position_rate=False,
        mask_rate=False,
        mask_costs="own",
        mask_loss=0.0,
        rate_anchors="all",
    ),
    ScheduleSettings(
        iterations=0,
        noise="first",
        picture_error="mean-absolute",
        ssim_weight=0.2,
        densify_threshold=2e-4,
        growth_choice="chance",
        relative_growth=False,
        prune_by_masks=True,
        least_worth=0.0,
        mask_haste=1.0,
        mask_momentum=0.9,
        pool_alone=1 / 6,
        grid_until=1.0,
        round_from=1.0,
        random_background=0.0,
        downsampling="none",
        downsampling_start=0.7,
        downsampling_until=0.3,
    ),
)

PREDICT_GS = PCGS.changed(
    features=25,
    pool=50,
    pool_hidden=100,
    pool_grid="own",
    residual_hidden=50,
    chunks=0,
    finest_rate_weight=4e-3,
    prune_by_masks=False,
    mask_loss=5e-4,
    rate_anchors="visible",
    grid_until=0.9,
    downsampling="cosine",
    levels=1,
)

# Made for a minute on two cores. On fox (265x474) it comes to 28.52 dB and 199 kB, and 700 iterations of the
# default, which took as long when that was last timed, to 28.09 dB and 206 kB (held-out views, one seed).
FAST = GSPC.changed(
    iterations=800,
    features=8,
    pool=24,
    head_hidden=40,
    downsampling="cosine",
    downsampling_start=0.5,
    downsampling_until=0.5,
)

PRESETS: Mapping[str, tuple[Recipe, str]] = {
    "gspc": (GSPC, "the best we know"),
    "fast": (FAST, "a usable scene in about a minute: smaller networks, and small views at first"),
    "pcgs": (PCGS, "PCGS as published: HAC++ contexts, progressive masks and trits"),
    "predict-gs": (
        PREDICT_GS,
        "Predict-GS as published: one level, pool, residual decoder, growing views "
        "(its high rate: --rate-weights 0.0005)",
    ),
}


DEFAULT_PRESET = "gspc"


def preset(name: str) -> Recipe:
    """The recipe of a preset. Raises UsageError."""
    if name not in PRESETS:
        raise UsageError(f"preset {name}: give one of {', '.join(PRESETS)}{nearest(name, PRESETS)}")
    return PRESETS[name][0]


def nearest(name: str, known: Iterable[str]) -> str:
    """'; do you mean X?' for the end of an error line, or nothing when no name is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; do you mean {near[0]}?" if near else ""
