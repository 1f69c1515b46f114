"""Bits of the attributes: of values that appear at a level, and of the trits that refine them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from gspc.format.shape import Attribute, TritModel
from gspc.model import quantization as quant
from gspc.model.anchors import AnchorModel
from gspc.ops import rate as ops
from gspc.ops.presence import Presence, means
from gspc.ops.rate import AttributeRows
from gspc.train import chance
from gspc.train.rate.sample import LevelSample
from gspc.train.rate.terms import Cost, Price


class Appearance:
    """Bits of an attribute's values at the level at which they appear (PCGS Eq. 4)."""

    def __init__(self, model: AnchorModel, attribute: Attribute) -> None:
        self.model, self.attribute = model, attribute

    def job(self, at: LevelSample, weights: Tensor) -> ops.Appearing:
        """Bits summed with `weights` [n, G]."""
        rows = at.attributes[self.attribute.name]
        refinement = self.attribute.refinement(at.level)
        seconds = self._second_components(rows, refinement, at.level)
        seed = chance.seed() if at.noisy else None
        return ops.Appearing(rows, refinement, weights, seconds, seed)

    def _second_components(self, rows: AttributeRows, refinement: int, level: int) -> Sequence[Tensor]:
        """Outputs of the networks that add a second component to the values' Gaussians."""
        return ()


class ChunkedAppearance(Appearance):
    """The same of features whose later chunks know the earlier ones (HAC++, intra-anchor context)."""

    def _second_components(self, rows: AttributeRows, refinement: int, level: int) -> Sequence[Tensor]:
        nets = self.model.context
        ends = [end for _, end in nets.shape.group_bounds]
        # A decoder knows the earlier chunks' rounded values, so these are what the networks are shown.
        inputs = ops.chunk_inputs(rows, refinement, ends)
        return nets.chunk_outputs(inputs, level)


class TritBits(Protocol):
    """Bits of the trits that refine an attribute. Trits are those of hard symbols, so that only networks and
    grid learn from them."""

    def __init__(self, model: AnchorModel, attribute: Attribute) -> None: ...

    def job(self, at: LevelSample, weights: Tensor) -> ops.Job | Tensor:
        """Bits of the trits from the level before to `at.level`, summed with `weights` [n, G]."""


class GaussianTrits:
    """Trits by the shares that the Gaussian of a value's first appearance has of the three bins."""

    def __init__(self, model: AnchorModel, attribute: Attribute) -> None:
        self.model, self.attribute = model, attribute

    def job(self, at: LevelSample, weights: Tensor) -> ops.Job:
        """See `TritBits`; weights [n, G]."""
        refinement = self.attribute.refinement(at.level)
        finest, coarser = _lattice(self.model, self.attribute, at.level)
        rows = at.attributes[self.attribute.name]
        return ops.GaussianTrits(rows, refinement, finest, coarser, weights)


class LearnedTrits:
    """Trits by the three-way distribution of a network (PCGS Eq. 6)."""

    def __init__(self, model: AnchorModel, attribute: Attribute) -> None:
        self.model, self.attribute = model, attribute

    def job(self, at: LevelSample, weights: Tensor) -> ops.Job | Tensor:
        """See `TritBits`; weights [n, G]."""
        return self._job(*self._outputs_and_trits(at), weights)

    def _outputs_and_trits(self, at: LevelSample) -> tuple[Tensor, Tensor]:
        finest, coarser = _lattice(self.model, self.attribute, at.level)
        so_far, trits = ops.trits(at.attributes[self.attribute.name], finest, coarser)
        return self.model.context.trit_outputs(at.context, so_far, at.level, self.attribute.name), trits

    def _job(self, outputs: Tensor, trits: Tensor, weights: Tensor) -> ops.Job | Tensor:
        return ops.ThreeWay(outputs, trits, weights)


class UnboundedTrits(LearnedTrits):
    """Trits by a network's Gaussian that knows no bounds (PCGS's ablation of the three-way distribution)."""

    def _job(self, outputs: Tensor, trits: Tensor, weights: Tensor) -> Tensor:
        mean, octaves = outputs.chunk(2, dim=1)
        bits = ops.gaussian_bits(trits - mean, quant.trit_scale(octaves))
        return ops.weighted_sum(bits, weights)[0]


TRITS: Mapping[TritModel, type[TritBits]] = {
    "gaussian": GaussianTrits,
    "learned": LearnedTrits,
    "unbounded": UnboundedTrits,
}


def _lattice(model: AnchorModel, attribute: Attribute, level: int) -> tuple[int, int]:
    """Steps of the finest grid of an attribute in one of level 1, and how many levels above it `level` is."""
    levels = model.shape.levels
    return attribute.refinement(levels), attribute.step_level(levels) - level


class AttributeBits:
    """Bits of one attribute at a level (a summand of PCGS Eq. 7)."""

    def __init__(self, model: AnchorModel, attribute: Attribute) -> None:
        self.attribute = attribute
        chunked = attribute.name == "features" and model.stream.groups is not None
        self.appearance = (ChunkedAppearance if chunked else Appearance)(model, attribute)
        refined = attribute.refined and attribute.values > 0
        self.trits = TRITS[attribute.trit_model](model, attribute) if refined else None

    def jobs(self, at: LevelSample) -> list[ops.Job | Tensor]:
        """What the bits [] of the sample are made of, first those of values [n, V] where they appear."""
        where = self.presence(at)
        found: list[ops.Job | Tensor] = [self.appearance.job(at, where.appears)]
        if self.trits is not None and self.attribute.refines_at(at.level):
            found.append(self.trits.job(at, where.refined))
        return found

    def presence(self, at: LevelSample) -> Presence:
        """Of whom the values are: an anchor or a Gaussian."""
        return at.anchors


class OffsetBits(AttributeBits):
    """The same of offsets, which come and go with their Gaussians."""

    def presence(self, at: LevelSample) -> Presence:
        """See `AttributeBits`."""
        return at.gaussians


class AttributesTerm:
    """All attributes (PCGS Eq. 7)."""

    def __init__(self, model: AnchorModel) -> None:
        features, scaling, offsets = model.shape.attributes
        self.features, self.scaling = AttributeBits(model, features), AttributeBits(model, scaling)
        self.offsets = OffsetBits(model, offsets)

    def price(self, at: LevelSample) -> Price:
        """See `Term`."""
        attributes = self.features, self.scaling, self.offsets
        total, groups = ops.all_bits([of.jobs(at) for of in attributes])
        alive = [of.presence(at).alive for of in attributes]
        per_features, per_scaling, per_gaussian = means(groups, alive).unbind()
        return Price(total, Cost(per_features + per_scaling, per_gaussian))
