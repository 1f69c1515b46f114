"""What an anchor holds and what turns it into Gaussians."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gspc.errors import UsageError
from gspc.recipe.group import Group, about

GridSize = Literal["scene", "reference"]
PoolGrid = Literal["shared", "own"]


@dataclass(frozen=True)
class Representation(Group):
    """Features, the spatial feature pool (Predict-GS), the Gaussian heads and the context grid."""

    features: int = field(
        default=16, metadata=about("channels of an anchor's feature or, with a pool, of its residual", 0, 256)
    )
    pool: int = field(
        default=32,
        metadata=about("channels that the spatial feature pool predicts; 0 is the plain model", 0, 256),
    )
    pool_hidden: int = field(default=32, metadata=about("hidden units of the pool's fusion network", 1, 256))
    pool_grid: PoolGrid = field(
        default="shared", metadata=about("whether the pool reads the contexts' grid or one of its own")
    )
    residual_hidden: int = field(
        default=0,
        metadata=about(
            "hidden units of the multi-head residual decoder; 0: heads read pool and residual together",
            0,
            128,
        ),
    )
    head_hidden: int = field(default=64, metadata=about("hidden units of each Gaussian head", 1, 128))
    grid: GridSize = field(
        default="scene", metadata=about("tables sized by the scene, or of the papers' size")
    )
    feature_step: float = field(
        default=0.25, metadata=about("step (Q0) of features at level 1 before steps are learned", 0.001, 100)
    )
    one_scale: bool = field(
        default=True,
        metadata=about("one log scale an anchor; off: six, of its offsets and its Gaussians on each axis"),
    )

    def _check(self) -> None:
        if self.pool:
            return
        if not self.features:
            raise UsageError("features = 0: only a model with a pool can do without features")
        if self.residual_hidden or self.pool_grid == "own":
            raise UsageError("residual_hidden and pool_grid = own need a pool; set pool, too")
