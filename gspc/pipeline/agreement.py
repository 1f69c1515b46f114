"""Whether pictures and photographs show the same thing at all: scores alone do not tell a poor fit from a
mix-up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNRELATED = (
    0.2  # correlation of brightness; photographs of one place from two sides reach about as much by chance
)
POOR = 15.0  # dB; better scores are no mix-up
RECOLORED = 6.0  # dB won by one brightness and contrast per channel and view


@dataclass(frozen=True)
class Agreement:
    """How a picture relates to its photograph.

    correlation: of brightness over the pixels that count, -1 to 1; NaN where either is flat. psnr: in dB.
    recolored: the PSNR that the best brightness and contrast of each channel would give.
    """

    correlation: float
    psnr: float
    recolored: float


def agreement(
    image: NDArray[np.float32], target: NDArray[np.uint8], mask: NDArray[np.bool_] | None
) -> Agreement:
    """Of a picture [H, W, 3] in 0 to 1 and its photograph, at every fourth pixel of large ones."""
    step = max(1, min(target.shape[:2]) // 200)
    counts = np.ones(target.shape[:2], bool) if mask is None else mask
    counts = counts[::step, ::step]
    x = np.clip(image[::step, ::step][counts].astype(np.float64), 0, 1)
    y = target[::step, ::step][counts] / 255
    if len(x) < 3:
        return Agreement(math.nan, math.nan, math.nan)
    gray_x, gray_y = x.mean(1), y.mean(1)
    flat = min(gray_x.std(), gray_y.std()) < 1e-3
    correlation = math.nan if flat else float(np.corrcoef(gray_x, gray_y)[0, 1])
    spread = np.maximum(x.var(0), 1e-9)
    slope = ((x - x.mean(0)) * (y - y.mean(0))).mean(0) / spread
    fitted = y.mean(0) + slope * (x - x.mean(0))
    return Agreement(correlation, _psnr(x - y), _psnr(fitted - y))


def _psnr(difference: NDArray[np.float64]) -> float:
    error = float(np.mean(difference * difference))
    return math.inf if error == 0 else -10 * math.log10(error)


def doubts(found: Sequence[Agreement]) -> str:
    """A warning when the views do not match their cameras, or only in other colors; empty when all is
    well."""
    known = [one for one in found if math.isfinite(one.correlation) and math.isfinite(one.psnr)]
    if not known:
        return ""
    if np.mean([one.psnr for one in known]) >= POOR:
        return ""
    if np.median([one.correlation for one in known]) < UNRELATED:
        return (
            "the photographs do not match what their cameras see at all; they are of another scene, in "
            "another "
            "order, or have other cameras"
        )
    if np.median([one.recolored - one.psnr for one in known]) > RECOLORED:
        return "the photographs show the scene in other colors or another brightness than it was trained on"
    return ""
