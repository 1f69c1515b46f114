"""Attributes of the anchors that an iteration shows: as a level of the stream would restore them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gspc.format import units
from gspc.format.shape import Attribute
from gspc.model import quantization as quant
from gspc.model.anchors import AnchorModel
from gspc.ops.rows import mask_rows, noisy_attributes, rounded_attributes
from gspc.ops.weigh import Signs
from gspc.recipe import Noise
from gspc.train.chance import seeds
from gspc.train.rate import AnchorRows
from gspc.train.schedule import Phase, Schedule


@dataclass(frozen=True)
class Attributes:
    """Attributes of v visible anchors as one level would restore them."""

    predicted: Tensor | None  # [v, P] by the pool: the first channels of the features
    features: Tensor  # [v, F] the others
    log_scales: Tensor  # [v, Z]
    offsets: Tensor  # [v, K, 3]
    mask: Tensor  # [v, K]
    # How many masks of all anchors are open, a scalar with a gradient; None before masks are learned
    open_masks: Tensor | None
    signs: Signs | None  # of the grid, where they were counted as it was read


@dataclass(frozen=True)
class Lattice:
    """Where the values of all anchors may lie in the stream, one entry per attribute."""

    positions: Tensor  # of the model whose anchors these are
    centers: tuple[Tensor, ...]  # [N, values]
    steps: tuple[Tensor, ...]  # [N], of level 1


def _step_of_first_level(attribute: Attribute, level: int) -> int:
    return 1


# How many steps of the noise before steps are learned fit into one of level 1, by attribute and level.
NOISE_REFINEMENTS: Mapping[Noise, Callable[[Attribute, int], int]] = {
    "finest": Attribute.refinement,
    "first": _step_of_first_level,
}


class AttributeSource:
    """Attributes of a model's anchors while it trains; keeps what does not change from one iteration to the
    next."""

    def __init__(self, model: AnchorModel, schedule: Schedule, noise: Noise) -> None:
        self.model, self.schedule = model, schedule
        self._noise_refinement = NOISE_REFINEMENTS[noise]
        self._grid: tuple[Tensor, Tensor] | None = None  # positions and what the settled grid holds there
        self._lattice: Lattice | None = None
        # Anchors, what the grid that learns holds there, and its signs
        self._sampled: tuple[Tensor, Tensor, Signs] | None = None

    def restored(
        self, visible: Tensor, sample: Tensor, iteration: int, level: int
    ) -> tuple[Attributes, AnchorRows]:
        """Attributes of the anchors `visible` as `level` restores them, in most phases with the noise that
        stands for quantization (method sections 2 and 6), and the parameters of the anchors `sample` as they
        are; int64 [v] ascending and [n]."""
        model, shape = self.model, self.model.shape
        phase = self.schedule.phase(iteration)
        coded = phase in (Phase.RATE, Phase.FINISH)
        rounds = self.schedule.rounds(iteration)
        predicted, steps = self._predict(visible, sample, iteration, steps=coded and not rounds)
        signs = None if self._sampled is None else self._sampled[2]
        open_masks: Tensor | None = None
        if coded:
            plane = min(level, model.masks.shape[2])
            mask, sample_masks, open_masks = mask_rows(model.masks, visible, sample, plane)
        else:
            mask, sample_masks = (
                model.masks.new_ones(len(visible), shape.offsets),
                model.masks.index_select(0, sample),
            )
        if rounds:
            features, log_scales, offsets = self._rounded(visible, sample, level)
        else:
            features, log_scales, offsets = self._noisy(visible, sample, level, phase, steps)
        own = features[0]
        if not self.schedule.residuals(iteration):
            own = torch.zeros_like(own)
        return (
            Attributes(predicted, own, log_scales[0], offsets[0], mask, open_masks, signs),
            AnchorRows(features[1], log_scales[1], offsets[1], sample_masks),
        )

    def _predict(
        self, visible: Tensor, sample: Tensor, iteration: int, *, steps: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """`AnchorModel.predicted_and_steps` of the anchors `visible`: [v, P] and [v, 3]. What the grid holds
        at those of `sample` is kept for `grid_rows` while it learns, when both are read in one go."""
        model = self.model
        if not (steps or model.pool):
            return None, None
        if self.schedule.settled(iteration):
            return model.predicted_and_steps(self._settled_grid(), visible, steps=steps)
        grid = self._learning_grid(visible, sample)
        return model.predicted_and_steps(grid, steps=steps)

    def _learning_grid(self, visible: Tensor, sample: Tensor) -> Tensor:  # [v], [n] -> [v, C]
        """What the grid holds at the anchors `visible`, read with all else that the step needs of it."""
        grid, positions = self.model.grid, self.model.positions
        if not len(sample):
            return grid(positions.index_select(0, visible))
        rows, sampled, signs = grid.rows(positions, visible, sample)
        self._sampled = sample, sampled, signs
        return rows

    def _noisy(
        self, visible: Tensor, sample: Tensor, level: int, phase: Phase, parameters: Tensor | None
    ) -> list[tuple[Tensor, Tensor]]:
        """Each attribute with the noise that stands for quantization at `level`, and the rows `sample`;
        `parameters` are those of the steps [v, 3] once they are learned."""
        model = self.model
        refinement = self._noise_refinement if parameters is None else Attribute.refinement
        scales = [a.step_base / refinement(a, level) for a in model.shape.attributes]
        numbers = [0, 0, 0]
        if phase is Phase.WARMUP:
            scales = [0.0, 0.0, 0.0]
        else:
            numbers = seeds(3)
        attributes = model.features, model.log_scales, model.offsets
        return noisy_attributes(attributes, visible, sample, parameters, scales, numbers)

    def _rounded(self, visible: Tensor, sample: Tensor, level: int) -> list[tuple[Tensor, Tensor]]:
        """Each attribute as `level` restores it, and the rows `sample`."""
        model, lattice = self.model, self.lattice()
        attributes, levels = model.shape.attributes, model.shape.levels
        grids = [(a.refinement(levels), a.step_level(levels) - a.step_level(level)) for a in attributes]
        values = model.features, model.log_scales, model.offsets
        return rounded_attributes(values, visible, sample, lattice.centers, lattice.steps, grids)

    @torch.no_grad()
    def stored(self, visible: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features, log scales and offsets of the anchors `visible` [v] in the steps of `level`, as a stream
        restores them."""
        features, log_scales, offsets = (rows for rows, _ in self._rounded(visible, visible[:0], level))
        return features, log_scales, offsets

    @torch.no_grad()
    def pooled(self, visible: Tensor) -> Tensor | None:  # [v] -> [v, P]
        """What the pool predicts for the anchors `visible`, as a stream restores it; None without one."""
        return self.model.predicted_and_steps(self._settled_grid(), visible, steps=False)[0]

    @torch.no_grad()
    def lattice(self) -> Lattice:
        """The lattice of the last iterations, in which grid, steps and centers stay as they are: computed
        once for a set of anchors, in the units of the stream."""
        model = self.model
        if self._lattice is None or self._lattice.positions is not model.positions:
            context, _ = model.split_grid(self._settled_grid())
            prediction, _ = model.context.predict(context)
            base, resolution = model.shape.step_base.as_tuple(), units.MEAN_RESOLUTION
            centers = (prediction.center_features, prediction.center_scaling, prediction.center_offsets)
            self._lattice = Lattice(
                model.positions,
                tuple(
                    torch.round(c * resolution) * (q0 / resolution)
                    for c, q0 in zip(centers, base, strict=True)
                ),
                tuple(
                    q0 * quant.tabled_step(column)
                    for q0, column in zip(base, prediction.r.unbind(1), strict=True)
                ),
            )
        return self._lattice

    def keep_lattice(self) -> None:
        """Drops the gradients that would move the lattice under the values."""
        for network in (self.model.context.steps, self.model.context.trunk):
            for parameter in network.parameters():
                parameter.grad = None

    def grid_rows(self, index: Tensor, iteration: int) -> Tensor:  # int64 [n] -> [n, C]
        """What the grid holds at some anchors. Once its signs are settled it is read once for all of them."""
        if self._sampled is not None and self._sampled[0] is index:
            (_, found, _), self._sampled = self._sampled, None
            return found
        if not self.schedule.settled(iteration):
            return self.model.grid(self.model.positions.index_select(0, index))
        return self._settled_grid().index_select(0, index)

    @torch.no_grad()
    def _settled_grid(self) -> Tensor:  # -> [N, C]
        positions = self.model.positions
        if self._grid is None or self._grid[0] is not positions:
            self._grid = None  # frees the old values before the new ones are there
            self._grid = positions, self.model.grid(positions)
        return self._grid[1]
