"""What a stream is made of: attributes and how levels refine them, pool, groups of features, grid, networks.

Model, export, core, reader, readable decoder and inspection all loop over a `StreamShape`; none of them
derives again which level refines which attribute under which model of trits. The core has the same class
(format/shape.hpp). No torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from gspc.format import limits
from gspc.format.grid import GridSpec

# How a trit, which refines a value threefold, is predicted: by a network's three-way distribution, by the
# shares of the three bins under the Gaussian of the value's first appearance, or by a network's Gaussian over
# the trit that knows no bounds.
TritModel = Literal["learned", "gaussian", "unbounded"]
TRIT_MODELS: tuple[TritModel, ...] = get_args(TritModel)
TRIT_WORDS: Mapping[TritModel, str] = {
    "learned": "learned",
    "gaussian": "Gaussian",
    "unbounded": "Gaussian without bounds",
}
# What recipes call the models of features, scaling and offsets together, in the order of HEAD's numbers.
Trits = Literal["learned", "gaussian", "rounded", "mixed"]
TRITS: Mapping[Trits, tuple[TritModel, TritModel, TritModel]] = {
    "learned": ("learned", "learned", "learned"),
    "gaussian": ("gaussian", "gaussian", "gaussian"),
    "rounded": ("unbounded", "unbounded", "unbounded"),
    "mixed": ("learned", "gaussian", "gaussian"),
}

ATTRIBUTES = ("features", "scaling", "offsets")  # in coding order, which is that of their steps, too
FAMILIES = ("plain", "predictive")  # without and with a pool
Coder = Literal["lanes", "torchac"]
CODERS: tuple[Coder, ...] = get_args(Coder)  # by their number in HEAD

ALL_LEVELS = 0  # as `refined_until`
NEVER = 1


@dataclass(frozen=True)
class Attribute:
    """One kind of value of an anchor, and how it is coded from level to level (PCGS, section 3.3)."""

    name: str
    values: int  # per anchor
    refined_until: int  # last level that refines: NEVER, a level, or ALL_LEVELS
    trit_model: TritModel  # of its trits, if there are any
    hidden: int  # hidden units of its trit network; 0: the stream has none
    step_base: float  # Q0

    def step_level(self, level: int) -> int:
        """The level whose step the values have at `level`."""
        return min(level, self.refined_until or level)

    def refines_at(self, level: int) -> bool:
        """Whether `level` refines what earlier levels hold."""
        return self.step_level(level) == level > 1

    def refinement(self, level: int) -> int:
        """How many steps at `level` fit into one of level 1."""
        return 3 ** (self.step_level(level) - 1)

    @property
    def refined(self) -> bool:
        """Whether any level may refine the values."""
        return self.refined_until != NEVER

    @property
    def wants_network(self) -> bool:
        """Whether trits need a network once a stream has more than one level."""
        return self.refined and self.values > 0 and self.trit_model != "gaussian"


@dataclass(frozen=True)
class Groups:
    """Channels of the features that are coded one group after the other, each knowing those before (HAC++,
    intra-anchor context)."""

    count: int  # 2 or more
    hidden: int  # hidden units of each group's network

    def bounds(self, features: int) -> tuple[tuple[int, int], ...]:
        """First channel and the one after the last of each group."""
        edges = [number * features // self.count for number in range(self.count + 1)]
        return tuple(itertools.pairwise(edges))


@dataclass(frozen=True)
class Pool:
    """The spatial feature pool (Predict-GS)."""

    features: int  # P
    hidden: int
    planes: int  # the grid's last planes, which only the pool reads; 0: it shares all of them


@dataclass(frozen=True)
class LayerShape:
    """One layer of the integer networks."""

    name: str
    inputs: int
    outputs: int
    variants: int  # gains: one, or one for each level that the layer serves


@dataclass(frozen=True)
class StreamShape:
    """All sizes of a stream but the number of its levels, on which nothing here depends."""

    attributes: tuple[Attribute, ...]  # as `ATTRIBUTES`
    steps_hidden: int
    trunk_hidden: int
    heads_hidden: int  # of each of the three heads
    residual_hidden: int  # of the residual decoder; 0: heads read pool and residuals as one vector
    groups: Groups | None
    pool: Pool | None
    grid: GridSpec
    selective: bool = False  # refinement is chosen for each anchor and attribute, at levels of their own

    @property
    def features(self) -> int:
        """F, of the predictive family the residual channels."""
        return self.attributes[0].values

    @property
    def version(self) -> int:
        """The version of the format that streams of this shape have, and no other."""
        return 2 if self.selective else 1

    @property
    def scales(self) -> int:
        """Z, log scales of an anchor: 6, or 1 that stands for all of them."""
        return self.attributes[1].values

    @property
    def offsets(self) -> int:
        """K, Gaussians of an anchor."""
        return self.attributes[2].values // 3

    @property
    def family(self) -> str:
        """ "predictive" with a pool, else "plain"."""
        return FAMILIES[self.pool is not None]

    @property
    def values(self) -> int:
        """Values of an anchor, F + Z + 3K: the means that the center network predicts."""
        return sum(attribute.values for attribute in self.attributes)

    @property
    def restored_features(self) -> int:
        """Channels that heads read of an anchor: the pool's, then the features."""
        return self.features + (self.pool.features if self.pool else 0)

    @property
    def own_planes(self) -> int:
        """How many of the grid's last planes only the pool reads."""
        return self.pool.planes if self.pool else 0

    @property
    def context_planes(self) -> slice:
        """Which of the grid's planes the contexts read."""
        return slice(0, len(self.grid.planes) - self.own_planes)

    @property
    def pool_planes(self) -> slice:
        """Which of the grid's planes the pool reads."""
        count = len(self.grid.planes)
        return slice(count - self.own_planes if self.own_planes else 0, count)

    @property
    def context_size(self) -> int:
        """C, context values of an anchor."""
        return self.grid.features_per_entry * len(self.grid.planes[self.context_planes])

    @property
    def pool_context_size(self) -> int:
        """Values of the grid that the pool reads."""
        return self.grid.features_per_entry * len(self.grid.planes[self.pool_planes])

    @property
    def group_bounds(self) -> tuple[tuple[int, int], ...]:
        """Channels of each group of the features; one group without intra-anchor context."""
        return self.groups.bounds(self.features) if self.groups else ((0, self.features),)

    @property
    def holds_levels(self) -> bool:
        """Whether there is a network wherever more than one level wants one."""
        return all(attribute.hidden > 0 for attribute in self.attributes if attribute.wants_network)

    def layers(self, levels: int) -> Iterator[LayerShape]:
        """The layers of the integer networks of a stream of `levels` levels, in the stream's order (pcgs(5),
        NETWORKS)."""
        c, f, z, k3 = self.context_size, self.features, self.scales, 3 * self.offsets
        yield LayerShape("steps_hidden", c, self.steps_hidden, 1)
        yield LayerShape("steps_out", self.steps_hidden, len(self.attributes), 1)
        yield LayerShape("trunk", c, self.trunk_hidden, levels + 1)
        yield LayerShape("center", self.trunk_hidden, f + z + 2 * k3, 1)
        yield LayerShape("scale", self.trunk_hidden, f + z, 1)
        if self.groups:
            for number, (first, end) in enumerate(self.group_bounds[1:], start=1):
                own = end - first
                yield LayerShape(f"group_{number}_hidden", 2 * own + first, self.groups.hidden, levels)
                yield LayerShape(f"group_{number}_out", self.groups.hidden, 3 * own, 1)
        if self.pool:
            yield LayerShape("pool_hidden", self.pool_context_size, self.pool.hidden, 1)
            yield LayerShape("pool_out", self.pool.hidden, self.pool.features, 1)
        if levels > 1:
            for a in self.attributes:
                if a.hidden:
                    yield LayerShape(f"trit_{a.name}_hidden", c + a.values, a.hidden, levels - 1)
                    yield LayerShape(f"trit_{a.name}_out", a.hidden, 2 * a.values, 1)

    def error(self) -> str | None:
        """What is beyond the format, or None. The core says the same of a header (format/shape.cpp)."""
        return next((found for check in _CHECKS if (found := check(self)) is not None), None)


HIDDEN = f"hidden layers must have 1 to {limits.MAX_HIDDEN} units"


def _hidden(*widths: int) -> bool:
    return all(1 <= width <= limits.MAX_HIDDEN for width in widths)


def _sizes_error(shape: StreamShape) -> str | None:
    least = 0 if shape.pool else 1
    if tuple(a.name for a in shape.attributes) != ATTRIBUTES:
        return f"attributes must be {', '.join(ATTRIBUTES)}"
    if not least <= shape.features <= limits.MAX_FEATURES:
        return f"features per anchor must be 1 to {limits.MAX_FEATURES}, or 0 with a pool"
    if shape.attributes[2].values % 3 or not 1 <= shape.offsets <= limits.MAX_OFFSETS:
        return f"offsets per anchor must be 1 to {limits.MAX_OFFSETS}"
    if shape.scales not in (1, 6):
        return "scaling must have 1 or 6 values"
    if not _hidden(shape.steps_hidden, shape.trunk_hidden, shape.heads_hidden):
        return HIDDEN
    return None if shape.grid.planes else "the context grid has no planes"


def _trits_error(shape: StreamShape) -> str | None:
    for a in shape.attributes:
        if not 0 <= a.refined_until <= limits.MAX_LEVELS:
            return "no such last refined level"
        if not 0 <= a.hidden <= limits.MAX_HIDDEN:
            return HIDDEN
        if a.hidden and not a.wants_network:
            return "there is a trit network for what is not refined by one"
    wanting = [a for a in shape.attributes if a.wants_network]
    if any(a.hidden for a in wanting) and not shape.holds_levels:
        return "one of the trit networks is missing"
    return None


def _groups_error(shape: StreamShape) -> str | None:
    if shape.groups is None:
        return None
    if not 2 <= shape.groups.count <= min(limits.MAX_GROUPS, shape.features):
        return f"groups of features must be 0 or 2 to {limits.MAX_GROUPS} and at most the features"
    return None if _hidden(shape.groups.hidden) else HIDDEN


def _pool_error(shape: StreamShape) -> str | None:
    if shape.pool is None:
        return "parts of a pool, but no pool features" if shape.residual_hidden else None
    if not 1 <= shape.pool.features <= limits.MAX_POOL:
        return f"pool features must be 0 to {limits.MAX_POOL}"
    if not _hidden(shape.pool.hidden) or not 0 <= shape.residual_hidden <= limits.MAX_HIDDEN:
        return HIDDEN
    if shape.residual_hidden and not shape.features:
        return "a residual decoder, but no residual features"
    if not 0 <= shape.pool.planes < len(shape.grid.planes):
        return "the pool must leave a plane of the grid to the contexts"
    return None


_CHECKS = (_sizes_error, _trits_error, _groups_error, _pool_error)
