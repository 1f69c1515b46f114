"""The incremental rate of one level (PCGS Eq. 7) on a random share of the anchors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gspc.model import quantization as quant
from gspc.model.anchors import ATTRIBUTES, AnchorModel
from gspc.model.context import SO_FAR_LIMIT
from gspc.model.entropy import binary_entropy, mixture_bits, three_way_bits, trit_bits, unit_gaussian_bits
from gspc.model.masks import anchor_mask, gaussian_mask

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


@dataclass(frozen=True)
class _Attribute:
    """One attribute of some anchors, [n, values], and what the contexts say about it at a level."""

    name: str
    base: float  # Q0
    center: Tensor  # in units of Q0
    centered: Tensor
    first_step: Tensor  # [n, 1]
    step: Tensor  # [n, 1], of the level
    log2_in_steps: Tensor  # of the first appearance's standard deviation


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
    for attribute in _attributes(model, context, rows, level):
        bits = _appearance_bits(model, attribute, level, noisy)
        if attribute.name == "offsets":
            appears = (now - before).repeat_interleave(3, dim=1)
            refined = before.repeat_interleave(3, dim=1)
            per_gaussian = _mean_over(bits.unflatten(1, (-1, 3)), now)
        else:
            appears, refined = fresh, old
            per_anchor += _mean_over(bits, anchor_now)
        totals[attribute.name] = (bits * appears).sum()
        if shape.refines_at(attribute.name, level) and attribute.centered.shape[1]:
            bits = _refinement_bits(model, context, attribute, level) * refined
            totals[attribute.name] = totals[attribute.name] + bits.sum()
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
def _mean_over(bits: Tensor, alive: Tensor) -> float:  # [..., values], [...] of 0 or 1
    """Mean of the values' sums where `alive`; 0 where nothing is."""
    return float((bits.sum(-1) * alive).sum() / alive.sum().clamp_min(1.0))


def _masks_cost(appearing: float, offsets: int) -> Cost:
    """Derivatives of n H(k / n), the bits of k ones among n mask symbols, by n for an anchor's symbols and
    by k."""
    p = min(max(appearing, 1e-3), 1 - 1e-3)
    return Cost(-offsets * math.log2(1 - p), math.log2((1 - p) / p))


def _attributes(model: AnchorModel, context: Tensor, rows: AnchorRows, level: int) -> list[_Attribute]:
    shape, nets = model.shape, model.context
    prediction, hidden = nets.predict(context)
    f = shape.features
    octaves = nets.scales(hidden, level)
    values = shape.values(rows.features, rows.log_scales, rows.offsets)
    centers = (prediction.center_features, prediction.center_scaling, prediction.center_offsets)
    scales = (octaves[:, :f], octaves[:, f:], prediction.scale_offsets)
    found = []
    for i, name in enumerate(ATTRIBUTES):
        base = shape.step_base.as_tuple()[i]
        first_step = quant.step(base, prediction.r[:, i : i + 1])
        step = first_step / shape.refinement(name, level)
        in_steps = quant.clamp_log2_scale_in_steps(quant.log2_scale(scales[i]) - torch.log2(step / base))
        found.append(
            _Attribute(
                name=name,
                base=base,
                center=centers[i],
                centered=values[i] - base * centers[i],
                first_step=first_step,
                step=step,
                log2_in_steps=in_steps,
            )
        )
    return found


def _appearance_bits(model: AnchorModel, attribute: _Attribute, level: int, noisy: bool) -> Tensor:
    """Bits of centered values that appear at `level`, [n, values]; the scale is limited to what the pinned
    tables hold."""
    distance = attribute.centered / attribute.step
    hard = torch.floor(distance.detach() + 0.5)
    distance = distance + (torch.rand_like(distance) - 0.5) if noisy else hard
    scale = torch.exp2(attribute.log2_in_steps)
    if attribute.name != "features" or not model.shape.chunks:
        return unit_gaussian_bits(distance, scale)
    nets = model.context
    _, end = nets.sizes.chunk(0)
    parts = [unit_gaussian_bits(distance[:, :end], scale[:, :end])]
    # Later chunks see what a decoder sees of the earlier ones: rounded values.
    so_far = _so_far(hard, attribute.step.detach(), attribute.base)
    per_base = attribute.base / attribute.step
    for number in range(1, nets.sizes.chunks):
        first, end = nets.sizes.chunk(number)
        inputs = nets.chunk_inputs(number, attribute.log2_in_steps, attribute.center, so_far)
        second = nets.chunk_prediction(number, inputs, level)
        other = quant.clamp_log2_scale_in_steps(quant.log2_scale(second.octaves) + torch.log2(per_base))
        parts.append(
            mixture_bits(
                distance[:, first:end],
                scale[:, first:end],
                second.mean * per_base,
                torch.exp2(other),
                second.weight_logit,
            )
        )
    return torch.cat(parts, 1)


def _so_far(symbols: Tensor, step: Tensor, base: float) -> Tensor:
    """Decoded values as the networks see them, in units of 8 Q0."""
    return (symbols * step / (8 * base)).clamp(-SO_FAR_LIMIT, SO_FAR_LIMIT)


def _refinement_bits(model: AnchorModel, context: Tensor, attribute: _Attribute, level: int) -> Tensor:
    """Bits of the trits that refine level - 1 to `level`, [n, values]; only networks and grid get
    gradients."""
    levels, name = model.shape.levels, attribute.name
    first_step, centered = attribute.first_step.detach(), attribute.centered.detach()
    finest = quant.quantize(centered, first_step / model.shape.refinement(name, levels))
    symbols = quant.coarsen(finest, model.shape.step_level(name, levels) - level)
    previous = quant.coarsen(symbols, 1)
    trits = symbols - 3 * previous
    if model.shape.gaussian_trits(name):
        return three_way_bits(previous, trits, torch.exp2(attribute.log2_in_steps))
    so_far = _so_far(previous, first_step / quant.refinement(level - 1), attribute.base)
    first, second = model.context.trit_outputs(context, so_far, level, name)
    if model.shape.trits == "rounded":
        return unit_gaussian_bits(trits - first, quant.trit_scale(second))
    # No further than the stream's tables reach.
    return trit_bits(first.clamp(-8.0, 7.75), second.clamp(-4.0, 3.875), trits)


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
