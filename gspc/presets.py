"""Recipes: what is learned, how it is quantized and coded, and by which schedule; and the presets.

Every ingredient of the two papers is one field and can be switched alone (`gspc fit --set NAME=VALUE`, or a
TOML file; `gspc.switches` reads them). A preset is a recipe with a name. No torch here: `gspc fit --help`
prints this file's contents.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Literal, get_args, get_type_hints

from gspc.errors import UsageError

GridSize = Literal["scene", "reference"]
PoolGrid = Literal["shared", "own"]
Trits = Literal["learned", "gaussian", "rounded", "mixed"]
Accumulate = Literal["none", "rate", "rate-and-fidelity"]
Noise = Literal["finest", "first"]
Downsampling = Literal["none", "fixed", "linear", "cosine"]
RateAnchors = Literal["all", "visible"]
MaskCosts = Literal["own", "mean"]


def _about(text: str, low: float = -math.inf, high: float = math.inf) -> dict[str, Any]:
    return {"help": text, "low": low, "high": high}


@dataclass(frozen=True)
class Recipe:
    """One way of making a scene. Raises UsageError for values that make no sense alone or together."""

    # Representation
    features: int = field(
        default=16,
        metadata=_about("channels of an anchor's feature or, with a pool, of its residual", 0, 256),
    )
    pool: int = field(
        default=32,
        metadata=_about("channels that the spatial feature pool predicts; 0 is the plain model", 0, 256),
    )
    pool_hidden: int = field(default=32, metadata=_about("hidden units of the pool's fusion network", 1, 256))
    pool_grid: PoolGrid = field(
        default="shared", metadata=_about("whether the pool reads the contexts' grid or one of its own")
    )
    residual_hidden: int = field(
        default=0,
        metadata=_about(
            "hidden units of the multi-head residual decoder; 0: heads read pool and residual together",
            0,
            128,
        ),
    )
    head_hidden: int = field(default=64, metadata=_about("hidden units of each Gaussian head", 1, 128))
    grid: GridSize = field(
        default="scene", metadata=_about("tables sized by the scene, or of the papers' size")
    )
    feature_step: float = field(
        default=0.25, metadata=_about("step (Q0) of features at level 1 before steps are learned", 0.001, 100)
    )
    one_scale: bool = field(
        default=True,
        metadata=_about("one log scale an anchor; off: six, of its offsets and its Gaussians on each axis"),
    )
    # Levels
    progressive_masks: bool = field(
        default=True, metadata=_about("masks of each level's own; off: every Gaussian appears at level 1")
    )
    progressive_quantization: bool = field(
        default=True, metadata=_about("trits refine features, and scaling and offsets unless switched off")
    )
    refine_until: int = field(
        default=2, metadata=_about("last level that refines; later ones only add. 0: all do", 0, 8)
    )
    progressive_scaling: bool = field(default=True, metadata=_about("trits refine scaling, too"))
    progressive_offsets: bool = field(default=True, metadata=_about("trits refine offsets, too"))
    trits: Trits = field(
        default="mixed",
        metadata=_about(
            "three-way context, a Gaussian's share of the three bins, an unbounded one, or the first for "
            "features and the second for the others"
        ),
    )
    accumulate: Accumulate = field(
        default="none",
        metadata=_about("what of the levels before the drawn one is in the loss, too"),
    )
    # Contexts
    chunks: int = field(
        default=4,
        metadata=_about(
            "intra-anchor chunks of the features' context, at most as many as features; 0: none", 0, 8
        ),
    )
    chunk_hidden: int = field(default=24, metadata=_about("hidden units of a chunk's network", 1, 256))
    steps_hidden: int = field(default=32, metadata=_about("hidden units of the steps network", 1, 256))
    trunk_hidden: int = field(default=48, metadata=_about("hidden units of the context's trunk", 1, 256))
    trit_features_hidden: int = field(
        default=32, metadata=_about("hidden units of the features' trit network", 1, 256)
    )
    trit_scaling_hidden: int = field(
        default=12, metadata=_about("hidden units of the scaling's trit network", 1, 256)
    )
    trit_offsets_hidden: int = field(
        default=32, metadata=_about("hidden units of the offsets' trit network", 1, 256)
    )
    # Rate
    coarsest_rate_weight: float = field(
        default=1e-2, metadata=_about("rate weight (lambda) of level 1", 0, 10)
    )
    finest_rate_weight: float = field(
        default=2e-5, metadata=_about("rate weight of the last level; those between are even in log", 0, 10)
    )
    relative_rate: bool = field(
        default=True,
        metadata=_about("rate weights relative to the picture's loss, alike in dB for every scene"),
    )
    relative_growth: bool = field(
        default=True, metadata=_about("densify_threshold relative to the picture's loss, likewise")
    )
    position_rate: bool = field(default=True, metadata=_about("positions in the rate"))
    mask_rate: bool = field(default=True, metadata=_about("masks in the rate"))
    mask_costs: MaskCosts = field(
        default="mean",
        metadata=_about(
            "what masks pay for a Gaussian: its own bits whenever its anchor is in the rate's sample, or the "
            "sample's mean all the time"
        ),
    )
    prune_by_masks: bool = field(
        default=True, metadata=_about("anchors whose masks are closed at every level leave the training")
    )
    mask_loss: float = field(
        default=0.0, metadata=_about("weight of the mean soft mask (HAC's mask loss)", 0, 10)
    )
    rate_anchors: RateAnchors = field(default="all", metadata=_about("anchors whose rate is sampled"))
    # Schedule
    noise: Noise = field(
        default="finest",
        metadata=_about("noise before steps are learned: the finest level's or a whole step"),
    )
    densify_threshold: float = field(
        default=7e-5, metadata=_about("screen-space gradient from which anchors grow", 1e-9, 1)
    )
    mask_haste: float = field(
        default=2.0,
        metadata=_about(
            "factor on the masks' learning rate, beside the one for a short run; both at most 20", 0.1, 20
        ),
    )
    mask_momentum: float = field(
        default=0.98,
        metadata=_about("Adam's first decay for masks: over how many views a step averages", 0, 0.999),
    )
    pool_alone: float = field(
        default=0.1, metadata=_about("share of the run in which the pool learns without residuals", 0, 0.9)
    )
    grid_until: float = field(
        default=0.5,
        metadata=_about("share of the time in which the grid could learn after which its signs stay", 0.1, 1),
    )
    round_from: float = field(
        default=0.95,
        metadata=_about(
            "share of the run after which attributes are rounded as in the stream instead of noise; 1: never",
            0.9,
            1,
        ),
    )
    downsampling: Downsampling = field(
        default="none", metadata=_about("how the training views grow to their size")
    )
    downsampling_start: float = field(default=0.7, metadata=_about("scale of the views at the start", 0.1, 1))
    downsampling_until: float = field(
        default=0.3, metadata=_about("share of the run until the views have their size", 0, 1)
    )
    iterations: int = field(
        default=0,
        metadata=_about("iterations when none are asked for; 0: 30000 on CUDA, 3000 on a CPU", 0, 10**7),
    )
    levels: int = field(default=3, metadata=_about("levels when none are asked for", 1, 8))

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            low, high = entry.metadata["low"], entry.metadata["high"]
            if isinstance(value, (int, float)) and not (math.isfinite(value) and low <= value <= high):
                raise UsageError(f"{entry.name} = {value}: give {low:g} to {high:g}")
            choices = get_args(field_types()[entry.name])
            if choices and value not in choices:
                raise UsageError(f"{entry.name} = {value}: give one of {', '.join(choices)}")
        if not self.pool:
            if not self.features:
                raise UsageError("features = 0: only a model with a pool can do without features")
            if self.residual_hidden or self.pool_grid == "own":
                raise UsageError("residual_hidden and pool_grid = own need a pool; set pool, too")
        if self.chunks == 1:
            raise UsageError("chunks = 1: give 0 or 2 to 8")
        if self.refine_until == 1:
            raise UsageError(
                "refine_until = 1: give 2 to 8, or 0 for all levels, or progressive_quantization = off"
            )

    @property
    def refined(self) -> int:
        """Attributes that trits refine, as the stream's bits: 1 features, 2 scaling, 4 offsets."""
        if not self.progressive_quantization:
            return 0
        return 1 | (2 if self.progressive_scaling else 0) | (4 if self.progressive_offsets else 0)

    def rate_weights(self, levels: int) -> tuple[float, ...]:
        """Lambda of each level, evenly spread on a log scale."""
        first, last = self.coarsest_rate_weight, self.finest_rate_weight
        if levels == 1:
            return (last,)
        if first == 0 or last == 0:
            return tuple(first + (last - first) * i / (levels - 1) for i in range(levels))
        return tuple(first * (last / first) ** (i / (levels - 1)) for i in range(levels))


@cache
def field_types() -> dict[str, Any]:
    """Types of the ingredients by name."""
    return get_type_hints(Recipe)


# Chosen on fox and lego (held-out views, 1500 to 3000 iterations, one seed).
GSPC = Recipe()

# Every field is given: what the default preset is tuned to must not change what was published.
PCGS = Recipe(
    features=50,
    pool=0,
    pool_hidden=64,
    pool_grid="shared",
    residual_hidden=0,
    head_hidden=50,
    grid="reference",
    progressive_masks=True,
    progressive_quantization=True,
    refine_until=0,
    progressive_scaling=True,
    progressive_offsets=False,
    trits="learned",
    accumulate="none",
    chunks=5,
    chunk_hidden=40,
    steps_hidden=50,
    trunk_hidden=100,
    trit_features_hidden=150,
    trit_scaling_hidden=18,
    trit_offsets_hidden=64,
    coarsest_rate_weight=4e-3,
    finest_rate_weight=2e-4,
    feature_step=1.0,
    one_scale=False,
    relative_rate=False,
    relative_growth=False,
    position_rate=False,
    mask_rate=False,
    mask_costs="own",
    prune_by_masks=True,
    mask_loss=0.0,
    rate_anchors="all",
    noise="first",
    densify_threshold=2e-4,
    mask_haste=1.0,
    mask_momentum=0.9,
    pool_alone=1 / 6,
    grid_until=1.0,
    round_from=1.0,
    downsampling="none",
    downsampling_start=0.7,
    downsampling_until=0.3,
    iterations=0,
    levels=4,
)

PREDICT_GS = replace(
    PCGS,
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

FAST = replace(GSPC, iterations=1000)

PRESETS: Mapping[str, tuple[Recipe, str]] = {
    "gspc": (GSPC, "the best we know"),
    "fast": (FAST, "the same, with a usable scene soon"),
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
