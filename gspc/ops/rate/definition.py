"""The readable torch version of `gspc.ops.rate`, in any float dtype and on any device; tests compare the
kernels with it. n anchors, V values of each, G groups of values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gspc.ops.rate.types import AttributeRows
from gspc.ops.rows.definition import row_noise
from gspc.ops.steps import relative_step

SMALLEST_PROBABILITY = 2.0**-24
_FARTHEST_EDGE = 40.0  # standard deviations
_LOWEST_LOG2, _HIGHEST_LOG2 = -3.0, -3.0 + 127 / 12  # what its tables of Gaussians hold, in steps
_SO_FAR_LIMIT = 2047 / 512


def _bin_mass(distance: Tensor, scale: Tensor) -> Tensor:
    """Mass of N(0, scale) in the bin of width 1 around `distance`, from the negative side, where erfc keeps
    its relative precision."""
    away = distance.abs()
    upper = ((0.5 - away) / scale).clamp(-_FARTHEST_EDGE, _FARTHEST_EDGE)
    lower = ((-0.5 - away) / scale).clamp(-_FARTHEST_EDGE, _FARTHEST_EDGE)
    return (torch.erfc(upper * -math.sqrt(0.5)) - torch.erfc(lower * -math.sqrt(0.5))) / 2


def _bounded(mass: Tensor) -> Tensor:
    bounded = mass.clamp(min=SMALLEST_PROBABILITY)
    return mass + (bounded - mass).detach()  # the bound keeps the gradient


def gaussian_bits(distance: Tensor, scale: Tensor) -> Tensor:
    """-log2 of a Gaussian's mass in the bins of width 1 around values `distance` from its mean (PCGS Eq. 4),
    at most 24 bits; `scale` > 0 is its standard deviation. All in steps, elementwise [...]."""
    return -torch.log2(_bounded(_bin_mass(distance, scale)))


def mixture_bits(
    distance: Tensor, scale1: Tensor, mean2: Tensor, scale2: Tensor, weight_logit: Tensor
) -> Tensor:
    """The same of (1 - w) N(0, scale1) + w N(mean2, scale2), w = sigmoid(weight_logit) (HAC++), [...]."""
    first, second = torch.sigmoid(-weight_logit), torch.sigmoid(weight_logit)
    mass = first * _bin_mass(distance, scale1) + second * _bin_mass(distance - mean2, scale2)
    return -torch.log2(_bounded(mass))


def trit_bits(zero_logit: Tensor, sign_logit: Tensor, trits: Tensor) -> Tensor:
    """-log2 of trits in {-1, 0, 1} under p(0) = sigmoid(zero_logit), p(+1 | not 0) = sigmoid(sign_logit)
    (PCGS Eq. 6), elementwise [...]."""
    softplus = torch.nn.functional.softplus
    nonzero = softplus(zero_logit) + softplus(-trits * sign_logit)
    return torch.where(trits == 0, softplus(-zero_logit), nonzero) / math.log(2.0)


def share_bits(before: Tensor, trits: Tensor, scale: Tensor) -> Tensor:
    """-log2 of trits by a Gaussian's shares of the three bins 3 `before` + {-1, 0, 1} of width 1 (PCGS's
    ablation "trits with a Gaussian"), elementwise [...]."""
    masses = torch.stack([_bounded(_bin_mass(3 * before + t, scale)) for t in (-1.0, 0.0, 1.0)])
    chosen = torch.where(trits < 0, masses[0], torch.where(trits == 0, masses[1], masses[2]))
    return torch.log2(masses.sum(0)) - torch.log2(chosen)


def _log2_in_steps(octaves: Tensor, relative_step: Tensor) -> Tensor:
    return (octaves - 3 - torch.log2(relative_step)).clamp(_LOWEST_LOG2, _HIGHEST_LOG2)


def weighted_sum(bits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of bits [n, V] times weights [n, G] of V / G of them each, and the groups' own sums."""
    sums = bits.unflatten(1, (weights.shape[1], -1)).sum(2)
    return (sums * weights).sum(), sums.detach()


def appearance_bits(
    rows: AttributeRows,
    refinement: int,
    weights: Tensor,
    chunks: Sequence[Tensor] = (),
    seed: int | None = None,
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.appearance_bits`: weights [n, G], chunks [n, 3 own] -> [], [n, G]."""
    relative = relative_step(rows.r) / refinement
    step = rows.base * relative
    distance = (rows.values - rows.base * rows.center) / step
    if seed is None:
        distance = torch.floor(distance.detach() + 0.5)
    else:
        every = torch.arange(len(distance), device=distance.device)
        distance = distance + row_noise(every, distance.shape[1], seed)
    scale = torch.exp2(_log2_in_steps(rows.octaves, relative))
    first = distance.shape[1] - sum(outputs.shape[1] // 3 for outputs in chunks)
    bits = [gaussian_bits(distance[:, :first], scale[:, :first])]
    for outputs in chunks:
        mean, octaves, logit = outputs.chunk(3, dim=1)
        end = first + mean.shape[1]
        scale2 = torch.exp2(_log2_in_steps(octaves, relative))
        bits.append(mixture_bits(distance[:, first:end], scale[:, first:end], mean / relative, scale2, logit))
        first = end
    return weighted_sum(torch.cat(bits, 1), weights)


def chunk_inputs(rows: AttributeRows, refinement: int, ends: Sequence[int]) -> tuple[Tensor, ...]:
    """See `gspc.ops.rate.chunk_inputs`: [n, 2 own + before] of every chunk but the first."""
    relative = relative_step(rows.r) / refinement
    scales = ((_log2_in_steps(rows.octaves, relative) - _LOWEST_LOG2) * 12 - 64) / 32
    means = (rows.center / 8).clamp(-_SO_FAR_LIMIT, _SO_FAR_LIMIT)
    with torch.no_grad():
        symbols = torch.floor((rows.values - rows.base * rows.center) / (rows.base * relative) + 0.5)
        so_far = (symbols * relative / 8).clamp(-_SO_FAR_LIMIT, _SO_FAR_LIMIT)
    return tuple(
        torch.cat([scales[:, first:end], means[:, first:end], so_far[:, :first]], 1)
        for first, end in itertools.pairwise(ends)
    )


@torch.no_grad()
def _symbols(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """Symbols `coarser` levels above those of step q1 / finest, and another level further up."""
    step = rows.base * relative_step(rows.r) / finest
    symbols = torch.floor((rows.values - rows.base * rows.center) / step + 0.5)
    for _ in range(coarser):
        symbols = torch.floor((symbols + 1) / 3)
    return symbols, torch.floor((symbols + 1) / 3)


@torch.no_grad()
def trits(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.trits`: two of [n, V]."""
    symbols, before = _symbols(rows, finest, coarser)
    unit = relative_step(rows.r) * (3 ** (coarser + 1) / finest) / 8
    return (before * unit).clamp(-_SO_FAR_LIMIT, _SO_FAR_LIMIT), symbols - 3 * before


def three_way_bits(outputs: Tensor, trits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.three_way_bits`: [n, 2 V], [n, V], [n, G] -> [], [n, G]."""
    zero, sign = outputs.chunk(2, dim=1)
    return weighted_sum(trit_bits(zero.clamp(-8, 7.75), sign.clamp(-4, 3.875), trits), weights)


def gaussian_trit_bits(
    rows: AttributeRows, refinement: int, finest: int, coarser: int, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.gaussian_trit_bits`: weights [n, G] -> [], [n, G]."""
    symbols, before = _symbols(rows, finest, coarser)
    scale = torch.exp2(_log2_in_steps(rows.octaves, relative_step(rows.r) / refinement))
    return weighted_sum(share_bits(before, symbols - 3 * before, scale), weights)
