"""What anchors are worth to views: how far pictures would move from the photographs without each.

Training leaves no slope to see that by, but a change d of the picture raises the squared error by d^2, summed
over pixels. This sum is estimated for all anchors at once: signs of chance, one for each value of the
picture, times the derivative of that value by the anchor's presence, added up, have it as the mean of their
square (Hutchinson 1990).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# The slope of a view's PSNR is this times that of the logarithm of its error. A mean over views then predicts
# that of their PSNR, in which views that fit badly count no more than others.
DECIBELS = 10 / math.log(10)
LEAST_ERROR = 1e-10  # mean square of a view
PROBES = 2  # draws of signs for each view
# Bits of an anchor and of each of its Gaussians, about as streams of real scenes have them. They only choose
# what is looked at; what a stream holds goes by its own.
ANCHOR, GAUSSIAN = 30.0, 13.0
# Of a run's iterations, a pass over a view takes about as long as one. A short run spends more, so that what
# it finds means something.
SHARE = 0.03
FEWEST_VIEWS, MOST_VIEWS = 24, 150


def prices(level_of: Tensor) -> Tensor:  # uint8 [N, K] -> [N]
    """Bits of anchors whose Gaussians are those with a level other than 0."""
    return ANCHOR + GAUSSIAN * (level_of > 0).sum(1)


def gains(
    shown: Tensor,
    wanted: Tensor,
    weight: Tensor | float,
    present: Tensor,
    chance: torch.Generator,
    *,
    slopes: bool = False,
) -> Tensor:
    """What a view loses without each of the anchors `present`, in dB [v].

    shown, wanted: the picture and its photograph, [H, W, 3] in 0 to 1, or uint8. weight: factor for means
    over pixels. present: [v, 1], which the picture depends on. slopes: whether the slope of the error counts,
    too. Where the picture is far from the photograph it should; else it is what this view alone would like.
    """
    if wanted.dtype == torch.uint8:
        wanted = wanted.float() / 255
    error = weight * (shown - wanted).square().mean()
    lost = torch.zeros_like(present[:, 0])
    for _ in range(PROBES):
        signs = torch.randint(0, 2, shown.shape, generator=chance).to(shown) * 2 - 1
        (change,) = torch.autograd.grad((shown * signs).sum(), present, retain_graph=True)
        lost += weight * change[:, 0].square() / (PROBES * shown.numel())
    if slopes:
        (slope,) = torch.autograd.grad(error, present, retain_graph=True)
        lost -= slope[:, 0]
    return DECIBELS * lost / error.detach().clamp_min(LEAST_ERROR)


def chosen_views(views: int, iterations: int, passes: int = 1, turn: int = 0, turns: int = 1) -> list[int]:
    """Numbers of the training views that are looked at, evenly spread, others in each of the rounds `turns`:
    as many as `SHARE` of a run's iterations lets each of its `passes` see."""
    most = max(min(FEWEST_VIEWS, iterations), int(SHARE * iterations / passes))
    count = min(views, most, MOST_VIEWS)
    shift = turn * views // (count * turns)
    return [(i * views // count + shift) % views for i in range(count)]
