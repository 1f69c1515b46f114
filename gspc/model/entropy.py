"""Bits of symbols under the model's distributions, differentiable (PCGS Eq. 4, 6 and 7)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

SMALLEST_PROBABILITY = 2.0**-24
_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1 / (math.sqrt(2 * math.pi) * math.log(2))  # of the normal distribution, in bits


def gaussian_bits(distance: Tensor, step: Tensor, scale: Tensor) -> Tensor:
    """-log2 of the Gaussian's mass in the bin of width `step` around `distance` (value minus mean);
    elementwise."""
    return unit_gaussian_bits(*torch.broadcast_tensors(distance / step, scale / step))


def unit_gaussian_bits(distance: Tensor, scale: Tensor) -> Tensor:
    """The same for bins of width 1; both arguments have one shape."""
    bits: Tensor = _UnitGaussianBits.apply(distance, scale)
    return bits


class _UnitGaussianBits(torch.autograd.Function):
    """Derivatives in closed form, made while the edges are at hand: autograd would go over the values some
    forty times."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, scale: Tensor) -> Tensor:
        # Both edges are mirrored to the negative side, where erfc keeps its relative precision.
        away, inverse = distance.abs(), scale.reciprocal()
        upper, lower = (0.5 - away) * inverse, (-0.5 - away) * inverse
        mass = (torch.erfc(upper * -_SQRT_HALF) - torch.erfc(lower * -_SQRT_HALF)).mul_(0.5)
        # The bound keeps the gradient: far-off values must still find their way back.
        mass.clamp_min_(SMALLEST_PROBABILITY)
        bits = torch.log2(mass).neg_()
        if any(ctx.needs_input_grad):
            factor = inverse.div_(mass).mul_(_DENSITY)
            at_upper, at_lower = (torch.exp(edge.square().mul_(-0.5)).mul_(factor) for edge in (upper, lower))
            by_distance = (at_upper - at_lower).mul_(distance.sign())
            by_scale = upper.mul_(at_upper).sub_(lower.mul_(at_lower))
            ctx.save_for_backward(by_distance, by_scale)
        return bits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        by_distance, by_scale = ctx.saved_tensors
        return grad * by_distance, grad * by_scale


def mixture_bits(
    distance: Tensor, scale: Tensor, mean: Tensor, other: Tensor, weight_logit: Tensor
) -> Tensor:
    """The same under a mixture of two Gaussians (HAC++): one around 0 of standard deviation `scale`, one
    around `mean` of `other`, whose weight is the sigmoid of `weight_logit`; all in steps, one shape."""
    first = -unit_gaussian_bits(distance, scale) * math.log(2.0) + F.logsigmoid(-weight_logit)
    second = -unit_gaussian_bits(distance - mean, other) * math.log(2.0) + F.logsigmoid(weight_logit)
    return torch.logaddexp(first, second) / -math.log(2.0)


def three_way_bits(previous: Tensor, trits: Tensor, scale: Tensor) -> Tensor:
    """-log2 of trits by a Gaussian's share of the three bins 3 `previous` + {-1, 0, 1} of width 1 (PCGS's
    ablation "trits with a Gaussian")."""
    masses = torch.stack([-unit_gaussian_bits(3 * previous + t, scale) for t in (-1.0, 0.0, 1.0)]) * math.log(
        2.0
    )
    chosen = torch.where(trits < 0, masses[0], torch.where(trits == 0, masses[1], masses[2]))
    return (torch.logsumexp(masses, 0) - chosen) / math.log(2.0)


def binary_entropy(share: Tensor) -> Tensor:
    """Bits per binary symbol whose share of ones is `share`."""
    p = share.clamp(1e-6, 1 - 1e-6)
    return -(p * torch.log2(p) + (1 - p) * torch.log2(1 - p))


def trit_bits(zero_logit: Tensor, sign_logit: Tensor, trits: Tensor) -> Tensor:
    """-log2 of trits in {-1, 0, 1} under p(0) = sigmoid(zero), p(+1 | nonzero) = sigmoid(sign);
    elementwise."""
    nonzero = F.softplus(zero_logit) + F.softplus(-trits * sign_logit)
    return torch.where(trits == 0, F.softplus(-zero_logit), nonzero) / math.log(2.0)


def sign_bits(share_positive: Tensor, count: int) -> Tensor:
    """Bits of `count` signs coded with one adaptive binary model, from the share of +1."""
    return count * binary_entropy(share_positive)
