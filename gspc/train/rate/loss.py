"""The rate loss of an iteration, from terms that are chosen once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gspc.model.anchors import AnchorModel
from gspc.ops.weigh import Bits, Signs, Weight, weighed
from gspc.recipe import Accumulate, RateAnchors, Recipe
from gspc.train.rate.attributes import AttributesTerm
from gspc.train.rate.masks import MASK_PAYMENTS, MaskPenalty
from gspc.train.rate.sample import AnchorRows, RateSample, level_sample
from gspc.train.rate.terms import MasksTerm, PositionsTerm, Term
from gspc.train.schedule import Schedule

RATE_SHARE = 0.05  # of the anchors are rate-evaluated per iteration
RATE_AT_LEAST = 2048
# Relative rate weights are read as those of pictures with this loss. It is a unit and no guess about a scene:
# what counts is a weight's ratio to the loss, so that a bit buys the same share of the loss everywhere.
LOSS_UNIT = 0.025
ESTIMATE_SAMPLE = 4096
BITS_PER_WEIGHT = 6  # of the networks, as coded
# Of the bits of later levels, that a stream holds in the end: 0.44 to 0.46 on fox, lego, truck and the demo
# scene (see `gspc.codec.portions`).
WORTHWHILE = 0.45


@dataclass(frozen=True)
class Standing:
    """Where a run stands, as far as it changes the rate."""

    iteration: int
    picture_loss: Tensor | float  # smoothed, without the rate; float64 []
    pruned: int  # anchors removed because their masks closed


class FixedWeights:
    """The rate weights (lambda) as they are, one a level."""

    def __init__(self, rate_weights: tuple[float, ...]) -> None:
        self.rate_weights = rate_weights

    def at(self, level: int, picture_loss: Tensor | float, factor: float) -> Weight:  # [] -> []
        """Weight of `level`, counted from 1, times a factor."""
        return Weight(factor, self.rate_weights[level - 1])


class RelativeWeights(FixedWeights):
    """Rate weights in relation to the pictures' loss: one weight buys the same dB in every scene."""

    def at(self, level: int, picture_loss: Tensor | float, factor: float) -> Weight:  # [] -> []
        """Weight of `level`, counted from 1, times a factor."""
        return Weight(factor, self.rate_weights[level - 1], picture_loss, LOSS_UNIT)


def _this_level(level: int) -> range:
    return range(level, level + 1)


def _up_to_this_level(level: int) -> range:
    return range(1, level + 1)


# The levels whose bits are in the loss of an iteration that trains `level`.
COUNTED_LEVELS: Mapping[Accumulate, Callable[[int], range]] = {
    "none": _this_level,
    "rate": _up_to_this_level,
    "rate-and-fidelity": _up_to_this_level,
}


def _among_all(visible: Tensor) -> Tensor | None:
    return None


def _among_visible(visible: Tensor) -> Tensor | None:
    return visible if len(visible) else None


# Which anchors, int64 [v], the sample is taken from; None: from all.
POPULATIONS: Mapping[RateAnchors, Callable[[Tensor], Tensor | None]] = {
    "all": _among_all,
    "visible": _among_visible,
}


class RateLoss:
    """What the rate adds to the loss of an iteration (PCGS Eq. 8), as a recipe asks for it."""

    def __init__(self, model: AnchorModel, recipe: Recipe, schedule: Schedule) -> None:
        rate = recipe.rate
        self.model, self.schedule = model, schedule
        attributes, positions, masks = AttributesTerm(model), PositionsTerm(), MasksTerm(model.shape.offsets)
        self.all_terms: tuple[Term, ...] = (attributes, positions, masks)
        others = ((positions, rate.position_rate), (masks, rate.mask_rate))
        self.terms: tuple[Term, ...] = (attributes, *(term for term, wanted in others if wanted))
        self.payment = MASK_PAYMENTS[rate.mask_costs](model, schedule)
        self.penalties = (MaskPenalty(rate.mask_loss),) if rate.mask_loss else ()
        self.weights = (RelativeWeights if rate.relative_rate else FixedWeights)(model.shape.rate_weights)
        self.steering = 1.0  # times the weights; see gspc.train.steering
        self._counted = COUNTED_LEVELS[rate.accumulate]
        self._population = POPULATIONS[rate.rate_anchors]

    @torch.no_grad()
    def sample(self, visible: Tensor) -> Tensor:
        """Anchors whose rate an iteration evaluates that shows `visible`; int64 [v] -> int64 [n]."""
        among = self._population(visible)
        total = self.model.anchors if among is None else len(among)
        count = min(total, max(RATE_AT_LEAST, int(RATE_SHARE * total)))
        chosen = torch.randint(total, (count,), device=visible.device)
        return chosen if among is None else among.index_select(0, chosen)

    def loss(self, level: int, sample: RateSample, grid: Tensor, standing: Standing) -> tuple[Tensor, Tensor]:
        """The rate loss of an iteration that trains `level`, a scalar, and the bits [] that it stands for.

        `grid` [n, C_all] is what the grid holds at the anchors of the sample.
        """
        rows = replace(sample.rows, masks=self.payment.shown(sample.rows.masks))
        sample_bits, openings = [], []
        for counted in self._counted(level):
            at = level_sample(self.model, rows, grid, counted, noisy=True)
            prices = [term.price(at) for term in self.terms]
            sample_bits += [price.bits for price in prices]
            open_masks = sample.open_masks if counted == level else None
            costs = [price.cost for price in prices]
            openings.append(self.payment.opening(counted, costs, open_masks, standing.iteration))
        loss, bits = weighed(
            Bits(
                sample=sample_bits,
                share=self.model.anchors / len(sample.index),
                openings=[opening for opening in openings if opening],
                grid=self._grid_signs(standing.iteration, sample.signs),
                values=self._values(standing.pruned),
            ),
            self.weights.at(level, standing.picture_loss, self.steering),
        )
        for penalty in self.penalties:
            loss = loss + penalty.loss(sample.rows.masks, level)
        return loss, bits

    def _grid_signs(self, iteration: int, counted: Signs | None) -> Signs | None:
        """Those of the grid while it learns; once it is settled its bits do not change and are left out."""
        return None if self.schedule.settled(iteration) else counted or self.model.grid.signs()

    def _values(self, pruned: int) -> int:
        """Values that the bits are divided by. Anchors that masks have removed are counted as if they were
        there: otherwise each that goes would make the bits of the others weigh more."""
        return (self.model.anchors + pruned) * self.model.values_per_anchor()

    @torch.no_grad()
    def estimated_bytes(self) -> int:
        """Size of the stream if the model were coded now, estimated from the hard symbols of a sample of
        anchors at all levels; of what levels after the first add, the share that is usually worth its
        bytes."""
        model = self.model
        count = min(model.anchors, ESTIMATE_SAMPLE)
        index = torch.linspace(0, model.anchors - 1, count, device=model.features.device).long()
        rows = AnchorRows(
            *(
                t.index_select(0, index)
                for t in (model.features, model.log_scales, model.offsets, model.masks)
            )
        )
        grid = model.grid(model.positions.index_select(0, index))
        levels = range(1, model.shape.levels + 1)
        first, *later = (self._all_bits(rows, grid, level) for level in levels)
        bits = sum((WORTHWHILE * added for added in later), first) * (model.anchors / count)
        networks = (model.context, model.heads, *([model.pool] if model.pool else []))
        fixed = sum(p.numel() for net in networks for p in net.parameters()) * BITS_PER_WEIGHT
        return int((float(bits) + float(model.grid.bits()) + fixed) / 8)

    def _all_bits(self, rows: AnchorRows, grid: Tensor, level: int) -> Tensor:
        """Bits that a level adds for some anchors, of all terms whether they are in the loss or not."""
        at = level_sample(self.model, rows, grid, level, noisy=False)
        first, *others = (term.price(at).bits for term in self.all_terms)
        return sum(others, first)
