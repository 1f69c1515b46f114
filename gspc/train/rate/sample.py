"""The anchors whose rate is evaluated, and what a level does with them.

Legend: n anchors of the sample, N all anchors, K offsets, F features, Z log scales, C context, S mask planes.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from gspc.model.anchors import AnchorModel
from gspc.model.masks import anchor_mask, gaussian_mask
from gspc.ops import place
from gspc.ops.presence import Presence, Tally, presence
from gspc.ops.rate import AttributeRows
from gspc.ops.weigh import Signs


@dataclass(frozen=True)
class AnchorRows:
    """Parameters of some anchors, gathered."""

    features: Tensor  # [n, F]
    log_scales: Tensor  # [n, Z]
    offsets: Tensor  # [n, K, 3]
    masks: Tensor  # [n, K, S]


@dataclass(frozen=True)
class RateSample:
    """A random share of the anchors, which stands for all of them in one iteration's rate."""

    index: Tensor  # int64 [n]
    rows: AnchorRows
    # How many masks of all N anchors are open at the iteration's level, a scalar with a gradient; None where
    # it was not counted
    open_masks: Tensor | None = None
    signs: Signs | None = None  # of the grid, where they were counted as the anchors' rows of it were read


@dataclass(frozen=True)
class LevelSample:
    """A sample at one level: all that the terms of the rate look at."""

    level: int
    noisy: bool  # values get the noise that stands for rounding and keeps gradients; else they are rounded
    context: Tensor  # [n, C]
    attributes: dict[str, AttributeRows]  # by name: values and what the contexts predict of them
    anchors: Presence  # [n, 1]
    gaussians: Presence  # [n, K]
    tally: Tally | None = None  # what is counted over these, where that came with them


def level_sample(
    model: AnchorModel, rows: AnchorRows, grid: Tensor, level: int, *, noisy: bool
) -> LevelSample:
    """The anchors `rows`, at whose positions the grid holds `grid` [n, C_all], at `level`.

    Masks are straight-through; those of the level before are detached: a level cannot save bits by closing
    what an earlier one shows.
    """
    shape = model.shape
    context, _ = model.split_grid(grid)
    values = shape.values(rows.features, rows.log_scales, rows.offsets)
    attributes = shape.attribute_rows(values, *model.context.predict_level(context, level))
    return LevelSample(level, noisy, context, attributes, *_presence(rows.masks, level))


def _presence(masks: Tensor, level: int) -> tuple[Presence, Presence, Tally | None]:
    """Of anchors and of Gaussians. A GPU finds all of it in one go where masks need no gradient."""
    if place.of(masks) == "cuda" and not masks.requires_grad:
        return presence(masks, level)
    now, before = gaussian_mask(masks, level), gaussian_mask(masks, level - 1).detach()
    anchor_now, anchor_before = anchor_mask(now), anchor_mask(before).detach()
    anchors = Presence(
        appears=(anchor_now - anchor_before)[:, None],
        refined=anchor_before[:, None],
        alive=anchor_now[:, None],
    )
    return anchors, Presence(appears=now - before, refined=before, alive=now), None
