"""The networks that predict what is coded."""

from __future__ import annotations

from dataclasses import dataclass, field

from gspc.errors import UsageError
from gspc.recipe.group import Group, about


@dataclass(frozen=True)
class Contexts(Group):
    """Sizes of the entropy networks."""

    chunks: int = field(
        default=4,
        metadata=about(
            "intra-anchor chunks of the features' context, at most as many as features; 0: none", 0, 8
        ),
    )
    chunk_hidden: int = field(default=24, metadata=about("hidden units of a chunk's network", 1, 256))
    steps_hidden: int = field(default=32, metadata=about("hidden units of the steps network", 1, 256))
    trunk_hidden: int = field(default=48, metadata=about("hidden units of the context's trunk", 1, 256))
    trit_features_hidden: int = field(
        default=32, metadata=about("hidden units of the features' trit network", 1, 256)
    )
    trit_scaling_hidden: int = field(
        default=12, metadata=about("hidden units of the scaling's trit network", 1, 256)
    )
    trit_offsets_hidden: int = field(
        default=32, metadata=about("hidden units of the offsets' trit network", 1, 256)
    )

    def _check(self) -> None:
        if self.chunks == 1:
            raise UsageError("chunks = 1: give 0 or 2 to 8")
