"""The rate in the loss, of the bits that its terms found: some fifty operations on single numbers, which a
GPU does in one launch."""

from __future__ import annotations

from torch import Tensor

from gspc.ops import place
from gspc.ops.weigh import cuda, definition
from gspc.ops.weigh.definition import binary_entropy, sign_bits
from gspc.ops.weigh.types import Bits, Opening, Signs, Weight

__all__ = ["Bits", "Opening", "Signs", "Weight", "binary_entropy", "sign_bits", "weighed"]


def weighed(bits: Bits, weight: Weight) -> tuple[Tensor, Tensor]:
    """The rate loss (PCGS Eq. 8), a scalar: weight (share (sum of the sample's bits) + openings + grid) /
    values; and the first two, the bits [] of all anchors, detached. Gradients flow to the sample's bits, to
    the grid's, and to how many masks are open."""
    if place.of(bits.sample[0]) == "cuda" and cuda.takes(bits):
        return cuda.weighed(bits, weight)
    return definition.weighed(bits, weight)
