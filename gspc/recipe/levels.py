"""What the progressive levels add to one another (PCGS)."""

from __future__ import annotations

from dataclasses import dataclass, field

from gspc.errors import UsageError
from gspc.format.shape import Trits
from gspc.recipe.group import Group, about


@dataclass(frozen=True)
class Levels(Group):
    """Masks, and trits that refine values from one level to the next."""

    levels: int = field(default=3, metadata=about("levels when none are asked for", 1, 8))
    progressive_masks: bool = field(
        default=True, metadata=about("masks of each level's own; off: every Gaussian appears at level 1")
    )
    progressive_quantization: bool = field(
        default=True, metadata=about("trits refine features, and scaling and offsets unless switched off")
    )
    refine_until: int = field(
        default=2, metadata=about("last level that refines; later ones only add. 0: all do", 0, 8)
    )
    progressive_scaling: bool = field(default=True, metadata=about("trits refine scaling, too"))
    progressive_offsets: bool = field(default=True, metadata=about("trits refine offsets, too"))
    ranked: bool = field(
        default=True,
        metadata=about(
            "streams add anchors, digits and Gaussians in the order of their use, measured when a fit ends; "
            "off: each level adds all of its own"
        ),
    )
    trits: Trits = field(
        default="mixed",
        metadata=about(
            "three-way context, a Gaussian's share of the three bins, an unbounded one, or the first for "
            "features and the second for the others"
        ),
    )

    def _check(self) -> None:
        if self.refine_until == 1:
            raise UsageError(
                "refine_until = 1: give 2 to 8, or 0 for all levels, or progressive_quantization = off"
            )

    @property
    def refined(self) -> int:
        """Attributes that trits refine, as the stream's bits: 1 features, 2 scaling, 4 offsets."""
        if not self.progressive_quantization:
            return 0
        return 1 | (2 if self.progressive_scaling else 0) | (4 if self.progressive_offsets else 0)
