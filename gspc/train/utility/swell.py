"""By how much Gaussians are to be larger where few anchors are drawn, so that they cover what those that are
missing would. The anchors stay the best ones of the first stage, and their Gaussians keep their shapes: log
scales of all of them grow by the same number, the one at which the training views look best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from gspc.ops.rows import visible_rows
from gspc.train.shots import Shot
from gspc.train.utility.anchors import Anchors
from gspc.train.utility.pictures import Pictures
from gspc.train.worth import LEAST_ERROR

# The best anchors that make up these shares of the price of all are drawn. Most first: what is best for few
# of them is looked for from what is best for more.
SHARES = (0.8, 0.6, 0.4, 0.25, 0.12, 0.06, 0.03, 0.015)
STEP, MOST = 0.1, 1.0
VIEWS = 8


class Interrupted(Exception):
    """Asked to stop."""


class Swell(Pictures):
    """Pictures of the best anchors alone, with Gaussians of any size. Drawing raises Interrupted when
    `interrupted` says so."""

    def __init__(self, anchors: Anchors, interrupted: Callable[[], bool] = lambda: False) -> None:
        super().__init__(anchors.trainer)
        self.interrupted = interrupted
        worth = torch.where(anchors.gains > 0, anchors.gains / anchors.price, 0.0)
        order = torch.argsort(worth, descending=True)
        price = torch.where(worth > 0, anchors.price, 0.0)
        self.share = torch.ones_like(price)  # [N] of the price of all: an anchor and those that are better
        if bool((worth > 0).any()):
            self.share[order] = price[order].cumsum(0) / price.sum()

    @torch.no_grad()
    def decibels(self, shots: Sequence[Shot], share: float, swell: float) -> float:
        """Mean PSNR of views that the best anchors draw, their Gaussians' log scales larger by `swell`."""
        total = 0.0
        for shot in shots:
            if self.interrupted():
                raise Interrupted
            log_scales = self._swollen(self.model.log_scales, swell)
            visible, _ = visible_rows(self.world, log_scales, self.model.offsets, shot.camera)
            visible = visible[self.share[visible] <= share]
            features, scales, offsets = self.trainer.attributes.stored(visible, 1)
            values = features, self._swollen(scales, swell), offsets
            mask = (self.first[visible] == 1).float()
            error = self.error(shot, self.world[visible], values, mask, visible)
            total -= 10 * math.log10(max(float(error), LEAST_ERROR))
        return total / len(shots)

    @staticmethod
    def _swollen(log_scales: Tensor, swell: float) -> Tensor:  # [n, Z] -> [n, 6]
        more = torch.zeros(6, device=log_scales.device)
        more[3:] = swell
        return log_scales + more

    def measured(self, shots: Sequence[Shot]) -> Iterator[tuple[float, float]]:
        """Shares, and what log scales are best larger by when only that share of anchors is drawn."""
        best = 0.0
        for share in SHARES:
            if not bool((self.share <= share).any()):
                return
            best = highest(partial(self.decibels, shots, share), best)
            yield share, best


def highest(value: Callable[[float], float], start: float) -> float:
    """About where in 0 to `MOST` a function with one hill is highest, looked for from `start` on: in steps
    uphill, then where the parabola through the highest three has its top."""
    found = {start: value(start)}

    def at(place: float) -> float:
        if place not in found:
            found[place] = value(place)
        return found[place]

    step = STEP if at(min(start + STEP, MOST)) > at(start) else -STEP
    place = start
    while 0 <= place + step <= MOST and at(place + step) > at(place):
        place += step
    low, high = max(place - STEP, 0.0), min(place + STEP, MOST)
    if place == 0:  # the top may lie between here and the first step
        place, high = STEP / 2, STEP
    left, middle, right = at(low), at(place), at(high)
    slopes = (middle - left) / max(place - low, 1e-9), (right - middle) / max(high - place, 1e-9)
    if slopes[0] <= slopes[1]:
        return low if left >= right else high
    top = (low + place) / 2 + (place - low + high - place) / 2 * slopes[0] / (slopes[0] - slopes[1])
    return min(max(top, 0.0), MOST)
