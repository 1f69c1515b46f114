"""The points that anchors start from, of a splat's Gaussians."""

from __future__ import annotations

import numpy as np

from gspc.scene import F64, U8
from gspc.splats.harmonics import C0
from gspc.splats.splats import Splats

FAINT = 0.05  # opacity below which a Gaussian starts nothing
SHARE = 5  # Gaussians to a point: an anchor owns ten, of which half are in use
FEWEST = 1000  # points, where there are as many Gaussians
SPREAD = 4.0  # standard deviations of the log volume beyond which a Gaussian is no matter but a veil


def starting_gaussians(splats: Splats, seed: int = 0) -> tuple[F64, U8]:
    """Points [P, 3], in the splat's axes, and colors [P, 3]: means of Gaussians drawn by how much there is to
    see of them. Faint ones and huge ones are left out, and there are more where Gaussians are dense, which is
    where the detail is."""
    volume = splats.log_scales.astype(np.float64).sum(axis=1)
    usual = volume <= volume.mean() + SPREAD * volume.std()
    solid = (splats.opacities >= FAINT) & usual
    areas = np.exp(np.sort(splats.log_scales.astype(np.float64), axis=1)[:, 1:].sum(axis=1))
    weights = splats.opacities * np.sqrt(areas) * (solid if solid.any() else 1)
    rows = np.flatnonzero(weights)
    count = min(len(rows), max(FEWEST, splats.count // SHARE))
    chances = weights[rows] / weights[rows].sum()
    taken = np.random.default_rng(seed).choice(rows, count, replace=False, p=chances)
    taken.sort()
    tints = np.rint(255 * np.clip(0.5 + C0 * splats.sh[taken, 0], 0, 1))
    return splats.means[taken].astype(np.float64), tints.astype(np.uint8)
