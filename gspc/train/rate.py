"""The incremental rate of one level (PCGS Eq. 7) on a random share of the anchors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gspc.model import quantization as quant
from gspc.model.anchors import AnchorModel
from gspc.model.context import SO_FAR_LIMIT
from gspc.model.entropy import trit_bits, unit_gaussian_bits
from gspc.model.masks import anchor_mask, first_level, gaussian_mask

POSITION_BITS = 18.0  # per anchor; what octree coding of a trained cloud costs, for the estimate only
ESTIMATE_SAMPLE = 4096


@dataclass(frozen=True)
class LevelBits:
    """Bits of one level over the anchors given, by attribute."""

    features: Tensor
    scaling: Tensor
    offsets: Tensor

    @property
    def total(self) -> Tensor:
        """All attributes."""
        return self.features + self.scaling + self.offsets


@dataclass(frozen=True)
class AnchorRows:
    """Parameters of some anchors, gathered."""

    features: Tensor
    log_scales: Tensor
    offsets: Tensor
    masks: Tensor


def level_bits(
    model: AnchorModel, index: Tensor, level: int, *, noisy: bool, rows: AnchorRows | None = None
) -> LevelBits:
    """Bits that `level` adds for the anchors `index` (int64 [n]), whose parameters are `rows` if gathered.

    Training (`noisy`): Gaussian bits on values with uniform noise of one step, which keeps the gradient;
    three-way bits on hard symbols; masks straight-through, those of the level before detached. Otherwise
    everything is hard.
    """
    shape, nets = model.shape, model.context
    context = model.grid(model.positions[index])
    prediction, hidden = nets.predict(context)
    scale_octaves = nets.scales(hidden, level)
    rows = rows or AnchorRows(
        model.features[index], model.log_scales[index], model.offsets[index], model.masks[index]
    )
    masks = rows.masks
    now, before = gaussian_mask(masks, level), gaussian_mask(masks, level - 1).detach()
    anchor_now, anchor_before = anchor_mask(now), anchor_mask(before).detach()
    base = shape.step_base
    totals: dict[str, Tensor] = {}
    columns = 0
    for i, (name, values, center, q0) in enumerate(
        (
            ("features", rows.features, prediction.center_features, base.features),
            ("scaling", rows.log_scales, prediction.center_scaling, base.scaling),
        )
    ):
        first_step = quant.step(q0, prediction.r[:, i : i + 1])
        step = first_step / quant.refinement(level)
        octaves = scale_octaves[:, columns : columns + values.shape[1]]
        columns += values.shape[1]
        centered = values - q0 * center
        bits = _appearance_bits(centered, step, q0, octaves, noisy)
        totals[name] = (bits.sum(1) * (anchor_now - anchor_before)).sum()
        if level > 1:
            bits = _refinement_bits(model, context, centered.detach(), first_step.detach(), q0, level, name)
            totals[name] = totals[name] + (bits.sum(1) * anchor_before).sum()
    offset_step = quant.step(base.offsets, prediction.r[:, 2:3])
    centered = rows.offsets.flatten(1) - base.offsets * prediction.center_offsets
    bits = _appearance_bits(centered, offset_step, base.offsets, prediction.scale_offsets, noisy)
    appearing = (now - before).repeat_interleave(3, dim=1)
    return LevelBits(totals["features"], totals["scaling"], (bits * appearing).sum())


def _appearance_bits(centered: Tensor, step: Tensor, q0: float, octaves: Tensor, noisy: bool) -> Tensor:
    """Gaussian bits of centered values at `step`; the scale is limited to what the pinned tables hold."""
    if noisy:
        value = centered + (torch.rand_like(centered) - 0.5) * step
    else:
        value = quant.quantize(centered, step) * step
    in_steps = quant.clamp_log2_scale_in_steps(quant.log2_scale(octaves) - torch.log2(step / q0))
    return unit_gaussian_bits(value / step, torch.exp2(in_steps))


def _refinement_bits(
    model: AnchorModel,
    context: Tensor,
    centered: Tensor,
    first_step: Tensor,
    q0: float,
    level: int,
    name: str,
) -> Tensor:
    """Three-way bits of the trits that refine level - 1 to `level`; only networks and grid get gradients."""
    levels = model.shape.levels
    finest = quant.quantize(centered, first_step / quant.refinement(levels))
    symbols = quant.coarsen(finest, levels - level)
    previous = quant.coarsen(symbols, 1)
    so_far = previous * (first_step / quant.refinement(level - 1)) / (8 * q0)
    zero, sign = model.context.trit_logits(context, so_far.clamp(-SO_FAR_LIMIT, SO_FAR_LIMIT), level, name)
    return trit_bits(zero, sign, symbols - 3 * previous)


@torch.no_grad()
def estimate_bytes(model: AnchorModel) -> int:
    """Estimated size of the whole stream, for progress reports: hard symbols of a sample of anchors, at
    all levels."""
    count = min(model.anchors, ESTIMATE_SAMPLE)
    index = torch.linspace(0, model.anchors - 1, count, device=model.features.device).long()
    levels = range(1, model.shape.levels + 1)
    attributes = torch.stack([level_bits(model, index, level, noisy=False).total for level in levels]).sum()
    first = first_level(model.masks[index])
    alive = (first > 0).any(1).sum()
    masks = first[first.amax(1) > 0].numel() * _entropy(first)
    bits = (attributes + alive * POSITION_BITS + masks) * (model.anchors / count)
    fixed = sum(p.numel() for net in (model.context, model.heads) for p in net.parameters()) * 7
    return int((float(bits) + float(model.grid.bits()) + fixed) / 8)


def _entropy(symbols: Tensor) -> float:
    share = torch.bincount(symbols.flatten().long()).double() / symbols.numel()
    return float(-(share[share > 0] * torch.log2(share[share > 0])).sum())
