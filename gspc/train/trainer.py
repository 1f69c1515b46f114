"""One fit: from a scene to a trained anchor model (PCGS, with the schedule of `schedule.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gspc.model.anchors import AnchorModel
from gspc.model.calibrate import calibrate
from gspc.ops.cuda import gradients_in_place
from gspc.ops.heads import NeuralGaussians, neural_gaussians
from gspc.ops.raster import RasterOutput
from gspc.ops.rows import mean_product, visible_rows
from gspc.ops.ssim import picture_loss
from gspc.recipe import Accumulate, Recipe
from gspc.rendering.rasterizer import Backend, rasterize
from gspc.scene import Camera, SceneData, View
from gspc.train.attributes import Attributes, AttributeSource
from gspc.train.chance import order, whole_number
from gspc.train.densify import Statistics, densify, growth_threshold, prune_closed, prune_worthless
from gspc.train.gauges import Gauges, StepReport, decibels
from gspc.train.guards import most_anchors
from gspc.train.masking import only_counting
from gspc.train.optimizer import make_optimizer
from gspc.train.ranks import Ranks
from gspc.train.rate import RateLoss, RateSample, Standing
from gspc.train.schedule import Phase, Schedule
from gspc.train.shots import Shot, Shots, center_of, photo_budget
from gspc.train.steering import Steering
from gspc.train.worth import chosen_views, gains

# On the mean product of the Gaussians' scales, in canonical units (Scaffold-GS weighs 0.01 in the units of a
# reconstruction; on fox, lego and the demo scene that was 1.7, 0.6 and 0.5 here).
SCALE_WEIGHT = 0.8


def _no_levels(level: int) -> range:
    return range(0)


def _levels_before(level: int) -> range:
    return range(1, level)


# The levels whose pictures are in the loss beside that of the level that an iteration trains.
PICTURED_LEVELS: Mapping[Accumulate, Callable[[int], range]] = {
    "none": _no_levels,
    "rate": _no_levels,
    "rate-and-fidelity": _levels_before,
}


def _masked(attributes: Attributes, present: Tensor) -> Attributes:
    """Attributes of anchors that are there by [v, 1]."""
    return replace(attributes, mask=attributes.mask * present)


@dataclass(frozen=True)
class Picture:
    """A view as a level shows it, and what densification wants to know of it."""

    loss: Tensor  # of Scaffold-GS, a scalar
    squared_error: Tensor  # []
    visible: Tensor  # int64 [v] anchors, ascending
    index: Tensor  # int64 [m] Gaussians among those of the visible anchors, row * K + k
    count: Tensor | None  # int64 [1] how many of these are there; None: all
    opacities: Tensor  # [m]
    raster: RasterOutput


class Trainer:
    """State of a fit between iterations; `step` advances it by one."""

    def __init__(
        self,
        scene: SceneData,
        model: AnchorModel,
        schedule: Schedule,
        backend: Backend,
        recipe: Recipe,
        max_anchors: int | None = None,
        target_size: int | None = None,
        gpu_memory: float | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        """`max_anchors`: that growth may reach; None: as many as memory holds. `target_size`: bytes that the
        stream should take; None: what the rate weights make of it. `gpu_memory`: gigabytes of photographs
        that a GPU keeps; None: a quarter of its memory. `ranks`: the processes that train together; None:
        this one alone."""
        self.scene = scene
        self.model = model.to(backend.device)
        self.schedule = schedule
        self.backend = backend
        self.device = torch.device(backend.device)
        self.ranks = ranks or Ranks()
        self.optimizer = make_optimizer(self.model, recipe.schedule.mask_momentum, self.ranks.count)
        self.statistics = Statistics.empty(self.model)
        self.order: list[int] = []  # views left of this pass over all of them
        self.iteration = 0
        self.frozen: frozenset[str] = frozenset()  # parameter groups that stay as they are
        self.calibrate: Callable[[AnchorModel], None] = calibrate  # makes integers of entropy networks
        self.gauges = Gauges(self.device, self.ranks.count)
        self.shots = Shots(scene.train, scene.background, self.device, photo_budget(self.device, gpu_memory))
        self.pruned = 0  # anchors removed because their masks closed
        self.edits = 0  # times that the parameters began to change; see `gspc.train.fit`
        self.attributes = AttributeSource(self.model, schedule, recipe.schedule.noise)
        self.rate = RateLoss(self.model, recipe, schedule)
        self.steering = Steering(target_size, schedule.iterations)
        self.growth = growth_threshold(recipe.schedule)
        self._prunes_by_masks = recipe.schedule.prune_by_masks
        self._least_worth = recipe.schedule.least_worth
        self._growth_choice = recipe.schedule.growth_choice
        self._ssim_weight = recipe.schedule.ssim_weight
        self._root = recipe.schedule.picture_error == "root-mean-square"
        self._also_pictured = PICTURED_LEVELS[recipe.rate.accumulate]
        self._most_anchors = most_anchors(max_anchors, self.device)
        self._world: tuple[Tensor, Tensor] | None = None  # integer positions and where they lie
        self._one = torch.ones((), device=self.device)  # the loss's own gradient
        self._no_rows = torch.zeros(0, dtype=torch.int64, device=self.device)

    def step(self) -> StepReport:
        """One iteration: a view, a level, a gradient step; densification where the schedule has it."""
        phase = self.schedule.phase(self.iteration)
        coded = phase in (Phase.RATE, Phase.FINISH)
        self._begin(phase)
        levels = self.model.shape.levels
        level = whole_number(1, levels + 1, self.ranks.shared) if coded else levels
        shot = self._next_shot()
        self._set_learning_rates()
        picture, sample = self._show(shot, level, sampled=coded)
        self.gauges.add_picture(self.iteration, picture.loss, picture.squared_error)
        loss, bits = picture.loss, None
        if coded:
            standing = Standing(self.iteration, self.gauges.picture_loss, self.pruned)
            grid = self.attributes.grid_rows(sample.index, self.iteration)
            self.rate.steering = self.steering.factor
            rate, bits = self.rate.loss(level, sample, grid, standing)
            loss = loss + rate
            for other in self._also_pictured(level):
                loss = loss + self._show(shot, other, sampled=False)[0].loss
        total = loss.detach()
        self.gauges.add_loss(self.iteration, total)
        with gradients_in_place():
            loss.backward(self._one)
        self._keep_still()
        if self.schedule.gathers(self.iteration):
            self._gather(picture, shot.camera)
        self.ranks.average([p for group in self.optimizer.param_groups for p in group["params"]])
        picture_loss = self._of_all_ranks()
        self.edits += 1  # no rank is waited for from here on: one that is gone leaves no step half done
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._edit_anchors(coded, picture_loss)
        self.iteration += 1
        if self.steering.due(self.iteration):
            self.steering.update(self.estimated_bytes())
        return StepReport(phase, level, total, picture.squared_error, bits)

    def _begin(self, phase: Phase) -> None:
        """What happens once, in the first iteration of a phase."""
        if phase is Phase.FINISH and not self.model.quantized:
            self.calibrate(self.model)
        if self.schedule.starts_rate(self.iteration) and "context" not in self.frozen:
            self._center_scaling()
        if self._least_worth and self.schedule.weighs(self.iteration):
            self._weigh()

    def _weigh(self) -> None:
        """Removes the anchors that are not worth their bits to training views."""
        model = self.model
        found = torch.zeros(model.anchors, device=self.device)
        chance = torch.Generator().manual_seed(self.iteration)
        weighings = len(self.schedule.weighed_at)
        views = chosen_views(len(self.scene.train), self.schedule.iterations, weighings)
        for number in views[self.ranks.rank :: self.ranks.count]:
            shot = self.shots.take(number, self.iteration, scale=1.0, random_behind=False)
            visible, anchors = self._seen_by(shot.camera)
            if not len(visible):
                continue
            level = model.shape.levels
            with torch.no_grad():
                stored, _ = self.attributes.restored(visible, self._no_rows, self.iteration, level)
            present = torch.ones(len(visible), 1, device=self.device, requires_grad=True)
            shown = self._draw(shot, self._gaussians(shot.camera, anchors, _masked(stored, present)))
            compared = only_counting(shown.image.clamp(0, 1), shot.target, shot.mask)
            found[visible] += gains(*compared, present, chance) / len(views)
        self.ranks.mean([found])
        found *= self.ranks.count
        before = model.anchors
        self.statistics = prune_worthless(model, self.optimizer, self.statistics, found, self._least_worth)
        self.pruned += before - model.anchors

    def _keep_still(self) -> None:
        """Drops the gradients of what must not move in this iteration."""
        if not self.schedule.masks_learn(self.iteration):
            self.model.masks.grad = None
        if self.schedule.rounds(self.iteration):
            self.attributes.keep_lattice()

    def _of_all_ranks(self) -> Tensor:  # -> []
        """The smoothed loss of pictures; before anchors are edited it and the statistics are those of all
        ranks."""
        picture_loss = self.gauges.picture_loss
        if self.schedule.densifies(self.iteration):
            picture_loss = picture_loss.clone()
            self.ranks.mean([picture_loss, *self.statistics.tensors().values()])
        return picture_loss

    def _edit_anchors(self, coded: bool, picture_loss: Tensor) -> None:
        """Grows and removes anchors where the schedule has it; `picture_loss` [] is that of all ranks."""
        model, optimizer = self.model, self.optimizer
        if self.schedule.densifies(self.iteration):
            self.statistics = densify(
                model,
                optimizer,
                self.statistics,
                self.growth.at(float(picture_loss)),
                self.schedule.densify_every,
                self._most_anchors,
                self.ranks.shared,
                choice=self._growth_choice,
                judges_faint=self.schedule.judges_faint(self.iteration),
            )
        if coded and self._prunes_by_masks and self.schedule.prunes(self.iteration):
            before = model.anchors
            self.statistics = prune_closed(model, optimizer, self.statistics)
            self.pruned += before - model.anchors

    @torch.no_grad()
    def _center_scaling(self) -> None:
        """Starts the contexts' centers of log scales at their means over the anchors: they lie far from 0
        (fox and lego: twenty steps of six scales, sixty of one), where their Gaussians have no gradient that
        could lead there. Papers code scales after exp, where 0 is near."""
        base = self.model.shape.step_base.scaling
        self.model.context.start_scaling(self.model.log_scales.mean(0) / base)

    def _next_shot(self) -> Shot:
        """The next view at the size that the schedule gives it."""
        schedule, iteration = self.schedule, self.iteration
        shot = self.shots.take(
            self._next_view(),
            iteration,
            scale=schedule.view_scale(iteration),
            random_behind=schedule.random_behind(iteration),
        )
        if len(self.order) > self.ranks.rank:
            coming = self.order[-1 - self.ranks.rank]
            self.shots.photographs.expect(coming, alpha=schedule.random_behind(iteration + 1))
        return shot

    @torch.no_grad()
    def psnr_of(self, views: Sequence[View]) -> float:
        """Mean PSNR in dB of the last level's pictures of some views, on the scene's own background."""
        found = []
        for view in views:
            picture, _ = self._show(self.shots.whole(view), self.model.shape.levels, sampled=False)
            found.append(decibels(float(picture.squared_error)))
        return sum(found) / len(found)

    @torch.no_grad()
    def picture(self, view: View) -> Tensor:  # -> [H, W, 3] in 0 to 1, on the CPU
        """A view as the last level shows it now. Draws no random numbers of the run."""
        shot = self.shots.whole(view, masked=False)
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            shown, _ = self._show(shot, self.model.shape.levels, sampled=False)
        return shown.raster.image.clamp(0, 1).cpu()

    def estimated_bytes(self) -> int:
        """Size of the stream if the model were coded now."""
        return self.rate.estimated_bytes()

    def _next_view(self) -> int:
        """This rank's view; each rank has another one as long as there are enough."""
        count = self.ranks.count
        while len(self.order) < count:
            self.order = [*order(len(self.scene.train), self.ranks.shared), *self.order]
        taken = [self.order.pop() for _ in range(count)]
        return taken[self.ranks.rank]

    def _set_learning_rates(self) -> None:
        for group in self.optimizer.param_groups:
            rate = self.schedule.learning_rate(group["name"], self.iteration) * self.ranks.rate_scale
            if group["name"] in self.frozen:
                rate = 0.0
            group["lr"] = rate * self.schedule.mask_scale if group["name"] == "masks" else rate

    @torch.no_grad()
    def _positions(self) -> Tensor:  # -> [N, 3]
        """World positions of the anchors, which move only when densification edits them."""
        positions = self.model.positions
        if self._world is None or self._world[0] is not positions:
            self._world = positions, self.model.world()
        return self._world[1]

    def _seen_by(self, camera: Camera) -> tuple[Tensor, Tensor]:  # -> [v], [v, 3]
        """The anchors that may touch a picture, and their positions."""
        return visible_rows(self._positions(), self.model.log_scales, self.model.offsets, camera)

    def _show(self, shot: Shot, level: int, *, sampled: bool) -> tuple[Picture, RateSample]:
        """The scene as `level` shows it to a camera, compared with the photograph; and the sample of the
        iteration's rate, empty unless `sampled`."""
        visible, anchors = self._seen_by(shot.camera)
        index = self.rate.sample(visible) if sampled else self._no_rows
        attributes, rows = self.attributes.restored(visible, index, self.iteration, level)
        gaussians = self._gaussians(shot.camera, anchors, attributes)
        picture = self._compare(shot, visible, gaussians)
        return picture, RateSample(index, rows, attributes.open_masks, attributes.signs)

    def _gaussians(self, camera: Camera, anchors: Tensor, attributes: Attributes) -> NeuralGaussians:
        """The Gaussians of the visible anchors, which lie at `anchors` [v, 3]."""
        return neural_gaussians(
            attributes.features,
            attributes.log_scales,
            attributes.offsets,
            attributes.mask,
            anchors,
            center_of(camera),
            self.model.heads.to_draw(quantized=self.schedule.phase(self.iteration) is Phase.FINISH),
            predicted=attributes.predicted,
        )

    def _compare(self, shot: Shot, visible: Tensor, gaussians: NeuralGaussians) -> Picture:
        """Draws the Gaussians of the anchors `visible` [v] and compares with the photograph."""
        raster = self._draw(shot, gaussians)
        shown, wanted, weight = only_counting(raster.image, shot.target, shot.mask)
        loss, squared = picture_loss(shown, wanted, self._ssim_weight, weight, root=self._root)
        if len(gaussians.scales):
            loss = loss + mean_product(gaussians.scales, gaussians.count, SCALE_WEIGHT)
        opacities = gaussians.opacities.detach()
        return Picture(loss, squared, visible, gaussians.index, gaussians.count, opacities, raster)

    def _draw(self, shot: Shot, gaussians: NeuralGaussians) -> RasterOutput:
        return rasterize(self.backend, *gaussians.parts, shot.camera, shot.background)

    @torch.no_grad()
    def _gather(self, picture: Picture, camera: Camera) -> None:
        """Adds what densification wants to know of a picture to its statistics."""
        raster = picture.raster
        half = (camera.width / 2, camera.height / 2)  # pixels per normalized device unit
        self.statistics.add(
            picture.visible,
            picture.index,
            raster.radii,
            raster.means2d_grad,
            picture.opacities,
            half,
            picture.count,
        )
