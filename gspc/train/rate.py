"""The incremental rate of one level (PCGS Eq. 7) on a random share of the anchors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gspc.model import quantization as quant
from gspc.model.anchors import AnchorModel
from gspc.model.entropy import binary_entropy
from gspc.model.masks import anchor_mask, gaussian_mask
from gspc.ops import rate as ops
from gspc.ops import reference
from gspc.ops.rate import AttributeRows

POSITION_BITS = 8.0  # per anchor; what octree coding of trained clouds costs, level 1 of fox and lego
ESTIMATE_SAMPLE = 4096
BITS_PER_WEIGHT = 6  # of the networks, as coded


@dataclass(frozen=True)
class Cost:
    """Bits that one more anchor, without its Gaussians, and one more Gaussian take at a level."""

    anchor: float
    gaussian: float


@dataclass(frozen=True)
class LevelBits:
    """Bits of one level over the anchors given, by attribute; and what one more would take on average."""

    features: Tensor
    scaling: Tensor
    offsets: Tensor
    positions: Tensor
    masks: Tensor
    attributes_cost: Cost
    masks_cost: Cost

    @property
    def attributes(self) -> Tensor:
        """The sum of PCGS Eq. 7."""
        return self.features + self.scaling + self.offsets


@dataclass(frozen=True)
class AnchorRows:
    """Parameters of some anchors, gathered."""

    features: Tensor
    log_scales: Tensor
    offsets: Tensor
    masks: Tensor


def level_bits(
    model: AnchorModel,
    index: Tensor,
    level: int,
    *,
    noisy: bool,
    rows: AnchorRows | None = None,
    grid: Tensor | None = None,
) -> LevelBits:
    """Bits that `level` adds for the anchors `index` (int64 [n]), whose parameters are `rows` and whose grid
    values are `grid` if at hand.

    Training (`noisy`): Gaussian bits on values with uniform noise of one step, which keeps the gradient, also
    while the pictures see them rounded;
    three-way bits on hard symbols; masks straight-through, those of the level before detached. Otherwise
    everything is hard.
    """
    shape = model.shape
    context, _ = model.split_grid(model.grid(model.positions[index]) if grid is None else grid)
    rows = rows or AnchorRows(
        model.features[index], model.log_scales[index], model.offsets[index], model.masks[index]
    )
    now, before = gaussian_mask(rows.masks, level), gaussian_mask(rows.masks, level - 1).detach()
    anchor_now, anchor_before = anchor_mask(now), anchor_mask(before).detach()
    fresh, old = (anchor_now - anchor_before)[:, None], anchor_before[:, None]
    totals, per_anchor, per_gaussian = {}, 0.0, 0.0
    values = shape.values(rows.features, rows.log_scales, rows.offsets)
    attributes = shape.attribute_rows(values, *model.context.predict_level(context, level))
    for name, attribute in attributes.items():
        if name == "offsets":
            appears, refined, alive = now - before, before, now
        else:
            appears, refined, alive = fresh, old, anchor_now[:, None]
        totals[name], bits = _appearance_bits(model, name, attribute, level, appears, noisy=noisy)
        mean = _mean_over(bits, alive)
        if name == "offsets":
            per_gaussian = mean
        else:
            per_anchor += mean
        if shape.refines_at(name, level) and attribute.values.shape[1]:
            totals[name] = totals[name] + _refinement_bits(model, context, name, attribute, level, refined)
    candidates = ((1 - before) * anchor_now[:, None]).sum()
    appearing = (now - before).sum() / candidates.clamp_min(1.0)
    return LevelBits(
        **totals,
        positions=POSITION_BITS * fresh.sum(),
        masks=candidates * binary_entropy(appearing),
        attributes_cost=Cost(per_anchor, per_gaussian),
        masks_cost=_masks_cost(float(appearing.detach()), shape.offsets),
    )


@torch.no_grad()
def _mean_over(bits: Tensor, alive: Tensor) -> float:  # [n, G], [n, G] of 0 or 1
    """Mean where `alive`; 0 where nothing is."""
    return float((bits * alive).sum() / alive.sum().clamp_min(1.0))


def _masks_cost(appearing: float, offsets: int) -> Cost:
    """Derivatives of n H(k / n), the bits of k ones among n mask symbols, by n for an anchor's symbols and
    by k."""
    p = min(max(appearing, 1e-3), 1 - 1e-3)
    return Cost(-offsets * math.log2(1 - p), math.log2((1 - p) / p))


def _appearance_bits(
    model: AnchorModel, name: str, attribute: AttributeRows, level: int, weights: Tensor, *, noisy: bool
) -> tuple[Tensor, Tensor]:
    """Weighted bits of values that appear at `level`, and their sums [n, G] where `weights` are."""
    refinement = model.shape.refinement(name, level)
    chunks: list[Tensor] = []
    if name == "features" and model.shape.chunks:
        nets = model.context
        ends = [end for _, end in nets.shape.group_bounds]
        # Later chunks see what a decoder sees of the earlier ones: rounded values.
        inputs = ops.chunk_inputs(attribute, refinement, ends) if len(ends) > 1 else ()
        chunks = [nets.chunk_outputs(number, x, level) for number, x in enumerate(inputs, start=1)]
    seed = int(torch.randint(1 << 62, ())) if noisy else None
    return ops.appearance_bits(attribute, refinement, weights, chunks, seed)


def _refinement_bits(
    model: AnchorModel, context: Tensor, name: str, attribute: AttributeRows, level: int, weights: Tensor
) -> Tensor:
    """Weighted bits of the trits that refine level - 1 to `level`; only networks and grid get gradients."""
    shape = model.shape
    finest = shape.refinement(name, shape.levels)
    coarser = shape.step_level(name, shape.levels) - level
    if shape.gaussian_trits(name):
        refinement = shape.refinement(name, level)
        return ops.gaussian_trit_bits(attribute, refinement, finest, coarser, weights)[0]
    so_far, trits = ops.trits(attribute, finest, coarser)
    outputs = model.context.trit_outputs(context, so_far, level, name)
    if shape.trits == "rounded":
        mean, octaves = outputs.chunk(2, dim=1)
        bits = reference.gaussian_bits(trits - mean, quant.trit_scale(octaves))
        return reference.weighted_sum(bits, weights)[0]
    return ops.three_way_bits(outputs, trits, weights)[0]


@torch.no_grad()
def estimate_bytes(model: AnchorModel) -> int:
    """Estimated size of the whole stream, for progress reports: hard symbols of a sample of anchors, at
    all levels."""
    count = min(model.anchors, ESTIMATE_SAMPLE)
    index = torch.linspace(0, model.anchors - 1, count, device=model.features.device).long()
    levels = range(1, model.shape.levels + 1)
    found = [level_bits(model, index, level, noisy=False) for level in levels]
    bits = torch.stack([f.attributes + f.positions + f.masks for f in found]).sum()
    bits = bits * (model.anchors / count)
    networks = (model.context, model.heads, *([model.pool] if model.pool else []))
    fixed = sum(p.numel() for net in networks for p in net.parameters()) * BITS_PER_WEIGHT
    return int((float(bits) + float(model.grid.bits()) + fixed) / 8)
