"""Binary multi-resolution hash grid as context source (method section 3), sized by the scene."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from gspc.format.grid import GridPlane, GridSpec
from gspc.ops.grid import grid_context, grid_rows
from gspc.ops.rows import positive_share
from gspc.ops.weigh import Signs, sign_bits

RESOLUTIONS_3D = (18, 24, 33, 44, 59, 80, 108, 148, 201, 275, 376, 514)
RESOLUTIONS_2D = (130, 258, 514, 1026)
PLANES = len(RESOLUTIONS_3D) + 3 * len(RESOLUTIONS_2D)
REFERENCE_LOG2_3D, REFERENCE_LOG2_2D = 13, 15
# Tables of few starting points, and from how many on they grow. Scenes that start from 3,000 to 13,000 points
# end with about as many anchors as one another, so that they need about as large a grid.
SMALLEST_LOG2_3D, FEW_POINTS = 10, 16_384


def choose_spec(positions: np.ndarray, *, reference: bool = False, own_pool: bool = False) -> GridSpec:
    """Grid over integer anchor positions [N, 3]: a robust box, so that stray points do not eat the
    resolution, and tables that grow with the root of the number of anchors (the papers' 2^13 and 2^15 weigh
    as much as a small scene). `own_pool` adds the same planes again, for the pool alone."""
    low, high = np.percentile(positions, (1.0, 99.0), axis=0)
    margin = 0.05 * (high - low) + 8.0
    low, high = np.floor(low - margin).astype(np.int64), np.ceil(high + margin).astype(np.int64)
    log2_3d, log2_2d = REFERENCE_LOG2_3D, REFERENCE_LOG2_2D
    if not reference:
        growth = round(math.log2(max(len(positions) / FEW_POINTS, 1)) / 2)
        log2_3d = min(SMALLEST_LOG2_3D + growth, log2_3d)
        log2_2d = log2_3d + 1
    planes = [GridPlane(0, r, log2_3d) for r in RESOLUTIONS_3D]
    planes += [GridPlane(axis, r, log2_2d) for axis in (1, 2, 3) for r in RESOLUTIONS_2D]
    (x, y, z), (w, h, d) = low.tolist(), (high - low).tolist()
    copies = 2 if own_pool else 1
    return GridSpec(box_low=(x, y, z), box_size=(w, h, d), planes=tuple(planes) * copies)


class HashGrid(nn.Module):
    """Sign parameters of all planes, concatenated: [entries, 4]."""

    def __init__(self, spec: GridSpec) -> None:
        super().__init__()
        self.spec = spec
        self.embeddings = nn.Parameter(
            (torch.rand(spec.total_entries, spec.features_per_entry) * 2 - 1) * 0.1
        )

    def forward(self, positions: Tensor) -> Tensor:  # int32 [n, 3] -> [n, C]
        """Context of integer positions, exact in units of 1 / 512."""
        return grid_context(positions, self.embeddings, self.spec)

    def rows(self, positions: Tensor, index: Tensor, also: Tensor) -> tuple[Tensor, Tensor, Signs]:
        """Contexts [v, C] and [a, C] at some of the positions [N, 3], int64 [v] and [a], and `signs`."""
        rows, others, share = grid_rows(positions, self.embeddings, self.spec, index, also)
        return rows, others, Signs(share, self.embeddings.numel())

    def signs(self) -> Signs:
        """The coded tables' signs; differentiable through the share of +1 (straight-through)."""
        return Signs(positive_share(self.embeddings), self.embeddings.numel())

    def bits(self) -> Tensor:
        """Size [] of the coded tables, differentiable likewise."""
        signs = self.signs()
        return sign_bits(signs.share, signs.count)
