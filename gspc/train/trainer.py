"""One fit: from a scene to a trained anchor model (PCGS, with the schedule of `schedule.py`)."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gspc.model.anchors import AnchorModel
from gspc.model.calibrate import calibrate
from gspc.model.masks import gaussian_mask, mask_logits
from gspc.ops.heads import neural_gaussians
from gspc.ops.raster import RasterOutput
from gspc.ops.rows import mean_product, visible_rows
from gspc.ops.ssim import photometric_loss, squared_error
from gspc.presets import Recipe
from gspc.rendering.rasterizer import Backend, rasterize
from gspc.scene import Camera, SceneData, View
from gspc.train.attributes import AttributeSource
from gspc.train.densify import Statistics, densify, prune_closed
from gspc.train.initialize import scene_extent
from gspc.train.masking import only_counting
from gspc.train.optimizer import make_optimizer
from gspc.train.rate import POSITION_BITS, AnchorRows, Cost, LevelBits, estimate_bytes, level_bits
from gspc.train.schedule import Phase, Schedule

SSIM_WEIGHT = 0.2
SCALE_WEIGHT = 0.01  # on the mean product of the Gaussians' scales
RATE_SHARE = 0.05  # of the anchors are rate-evaluated per iteration
RATE_AT_LEAST = 2048
SMOOTHING = 0.98  # of the reported PSNR and of the pictures' loss
TYPICAL_LOSS = 0.025  # of pictures late in a run on photographs (fox), to which relative rate weights relate
TYPICAL_LOSS_WHILE_GROWING = 0.04  # the same in the run's second fifth


@dataclass(frozen=True)
class StepReport:
    """Figures of one iteration."""

    phase: Phase
    level: int
    loss: float
    psnr: float
    bits: float  # of the level drawn, all anchors; 0 outside the rate phases


@dataclass(frozen=True)
class Drawn:
    """What one iteration drew: indices of the visible anchors [v], of the Gaussians among them (n * K + k)
    [m]."""

    visible: Tensor
    index: Tensor
    opacities: Tensor  # [m]
    picture: RasterOutput
    sample: Tensor  # anchors whose rate is evaluated
    rows: AnchorRows  # their parameters
    alive: Tensor | None  # Gaussians of all anchors with open masks, with a gradient


class Trainer:
    """State of a fit between iterations; `step` advances it by one."""

    def __init__(
        self,
        scene: SceneData,
        model: AnchorModel,
        schedule: Schedule,
        backend: Backend,
        recipe: Recipe,
    ) -> None:
        self.scene = scene
        self.model = model.to(backend.device)
        self.schedule = schedule
        self.backend = backend
        self.recipe = recipe
        self.device = torch.device(backend.device)
        self.extent = scene_extent(scene)
        self.optimizer = make_optimizer(self.model, recipe.mask_momentum)
        self.statistics = Statistics.empty(self.model)
        self.order: list[int] = []
        self.iteration = 0
        self.psnr = 0.0
        self.picture_loss = 0.0  # smoothed, without the rate
        self.pruned = 0  # anchors removed because their masks closed
        self._world: tuple[Tensor, Tensor] | None = None  # integer positions and where they lie
        self.attributes = AttributeSource(self.model, schedule, recipe.noise)
        self._no_rows = torch.zeros(0, dtype=torch.int64, device=self.device)

    def step(self) -> StepReport:
        """One iteration: a view, a level, a gradient step; densification where the schedule has it."""
        phase = self.schedule.phase(self.iteration)
        coded = phase in (Phase.RATE, Phase.FINISH)
        if phase is Phase.FINISH and not self.model.quantized:
            calibrate(self.model)
        if self.schedule.starts_rate(self.iteration):
            self._center_scaling()
        levels = self.model.shape.levels
        level = int(torch.randint(1, levels + 1, ())) if coded else levels
        camera, target, mask = self._next_picture()
        self._set_learning_rates()
        loss, squared, draw = self._distortion(camera, target, level, coded, mask)
        self._note(float(loss.detach()), squared)
        bits = 0.0
        if coded:
            rate, bits = self._rate(level, draw)
            loss = loss + rate
            if self.recipe.accumulate == "rate-and-fidelity":
                for earlier in range(1, level):
                    loss = loss + self._distortion(camera, target, earlier, False, mask)[0]
        loss.backward()
        if not self.schedule.closes(self.iteration):
            self.model.masks.grad = None
        if self.schedule.rounds(self.iteration):
            self.attributes.keep_lattice()
        if self.schedule.gathers(self.iteration):
            self._gather(draw, camera)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.schedule.densifies(self.iteration):
            interval = self.schedule.densify_every
            self.statistics = densify(
                self.model, self.optimizer, self.statistics, self._densify_threshold(), interval
            )
        if coded and self.recipe.prune_by_masks and self.schedule.prunes(self.iteration):
            before = self.model.anchors
            self.statistics = prune_closed(self.model, self.optimizer, self.statistics)
            self.pruned += before - self.model.anchors
        self.iteration += 1
        return StepReport(phase, level, float(loss.detach()), -10 * math.log10(max(squared, 1e-10)), bits)

    @torch.no_grad()
    def _center_scaling(self) -> None:
        """Starts the contexts' center of a single log scale at its mean over the anchors: it lies far from 0
        (fox and lego: sixty steps), where its Gaussian has no gradient that could lead there. Each of six
        lies near enough, and starts at 0 as published."""
        shape = self.model.shape
        if shape.scales == 1:
            self.model.context.start_scaling(self.model.log_scales.mean(0) / shape.step_base.scaling)

    def _densify_threshold(self) -> float:
        """Gradient from which anchors grow. Gradients shrink with the loss: where pictures are easy, the same
        threshold grows too little."""
        threshold = self.recipe.densify_threshold
        if self.recipe.relative_growth:
            threshold *= math.sqrt(self.picture_loss / TYPICAL_LOSS_WHILE_GROWING)
        return threshold

    def _note(self, loss: float, squared: float) -> None:
        """Smoothed figures of the pictures."""
        psnr = -10 * math.log10(max(squared, 1e-10))
        keep = SMOOTHING if self.iteration else 0.0
        self.psnr = keep * self.psnr + (1 - keep) * psnr
        self.picture_loss = keep * self.picture_loss + (1 - keep) * loss

    def _next_picture(self) -> tuple[Camera, Tensor, Tensor | None]:
        """The next view at the size that the schedule gives it: camera, pixels, uint8 [H, W, 3], and which of
        them count, bool [H, W] or None for all."""
        view = self.scene.train[self._next_view()]
        camera, target = view.camera, _pixels(view).to(self.device)
        mask = None if view.mask is None else torch.from_numpy(view.mask().copy()).to(self.device)
        scale = self.schedule.view_scale(self.iteration)
        if scale < 1:
            width, height = (max(16, round(n * scale)) for n in (camera.width, camera.height))
            camera = camera.resized(width, height)
            image = target.permute(2, 0, 1)[None].float()
            image = F.interpolate(image, (height, width), mode="bilinear", align_corners=False)
            target = image[0].permute(1, 2, 0).round().clamp(0, 255).byte().contiguous()
            if mask is not None:  # a pixel counts when all that it covers does
                mask = F.adaptive_avg_pool2d(mask[None, None].float(), (height, width))[0, 0] > 0.999
        return camera, target, mask

    def estimated_bytes(self) -> int:
        """Size of the stream if the model were coded now."""
        return estimate_bytes(self.model)

    def _next_view(self) -> int:
        if not self.order:
            self.order = torch.randperm(len(self.scene.train)).tolist()
        return self.order.pop()

    def _set_learning_rates(self) -> None:
        scale = {"offsets": self.extent, "masks": self.schedule.mask_scale}
        for group in self.optimizer.param_groups:
            name = group["name"]
            group["lr"] = self.schedule.learning_rate(name, self.iteration) * scale.get(name, 1.0)

    @torch.no_grad()
    def _positions(self) -> Tensor:
        """World positions of the anchors, which move only when densification edits them."""
        positions = self.model.positions
        if self._world is None or self._world[0] is not positions:
            self._world = positions, self.model.world()
        return self._world[1]

    def _distortion(
        self, camera: Camera, target: Tensor, level: int, coded: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, float, Drawn]:
        """Scaffold-GS loss of one view, its squared error, and what densification and, if `coded`, the rate
        want to know."""
        model = self.model
        visible, anchors = visible_rows(self._positions(), model.log_scales.detach(), camera)
        sample = self._sample(visible) if coded else self._no_rows
        attributes, rows = self.attributes.draw(visible, sample, self.iteration, level)
        gaussians = neural_gaussians(
            attributes.features,
            attributes.log_scales,
            attributes.offsets,
            attributes.mask,
            anchors,
            torch.from_numpy(camera.center.astype(np.float32)).to(self.device),
            model.heads.weights(quantized=self.schedule.phase(self.iteration) is Phase.FINISH),
            predicted=attributes.predicted,
        )
        drawn = rasterize(
            self.backend,
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            gaussians.colors,
            camera,
            self.scene.background,
        )
        shown, target, weight = only_counting(drawn.image, target, mask)
        loss, _, _ = photometric_loss(shown, target, SSIM_WEIGHT)
        if mask is not None:
            loss = loss * weight
        if len(gaussians.scales):
            loss = loss + SCALE_WEIGHT * mean_product(gaussians.scales)
        squared = squared_error(shown, target) * weight
        opacities, alive = gaussians.opacities.detach(), attributes.alive
        return loss, squared, Drawn(visible, gaussians.index, opacities, drawn, sample, rows, alive)

    @torch.no_grad()
    def _sample(self, visible: Tensor) -> Tensor:
        """Anchors whose rate is evaluated in this iteration."""
        among = visible if self.recipe.rate_anchors == "visible" and len(visible) else None
        total = self.model.anchors if among is None else len(among)
        count = min(total, max(RATE_AT_LEAST, int(RATE_SHARE * total)))
        chosen = torch.randint(total, (count,), device=self.device)
        return chosen if among is None else among[chosen]

    def _rate(self, level: int, draw: Drawn) -> tuple[Tensor, float]:
        """Rate loss of PCGS Eq. 8 and the bits it stands for."""
        model, recipe = self.model, self.recipe
        scale = model.anchors / len(draw.sample)
        total = torch.zeros((), device=self.device)
        opening = torch.zeros((), device=self.device)
        grid = self.attributes.grid_rows(draw.sample, self.iteration)
        rows, by_mean = draw.rows, recipe.mask_costs == "mean"
        if by_mean:
            rows = replace(rows, masks=rows.masks.detach())
        for counted in range(1 if recipe.accumulate != "none" else level, level + 1):
            found = level_bits(model, draw.sample, counted, noisy=True, rows=rows, grid=grid)
            total = total + found.attributes
            if recipe.position_rate:
                total = total + found.positions
            if recipe.mask_rate:
                total = total + found.masks
            if by_mean and self.schedule.closes(self.iteration):
                opening = opening + self._opening(draw if counted == level else None, counted, found)
        bits = total * scale + opening
        # Anchors that are gone still count: a rate weight keeps its meaning while masks close.
        settled = self.schedule.settled(self.iteration)  # its bits are constant from then on and left out
        grid_bits = 0.0 if settled else model.grid.bits()
        per_value = (bits + grid_bits) / ((model.anchors + self.pruned) * model.values_per_anchor())
        weight = model.shape.rate_weights[level - 1]
        if recipe.relative_rate:
            weight *= self.picture_loss / TYPICAL_LOSS
        loss = weight * per_value
        if recipe.mask_loss:
            loss = loss + recipe.mask_loss * torch.sigmoid(mask_logits(draw.rows.masks, level)).mean()
        return loss, float(bits.detach())

    def _opening(self, draw: Drawn | None, level: int, found: LevelBits) -> Tensor:
        """Zero, with the gradient of the bits that all anchors' open masks cost at `level`, each at the
        sample's mean; `draw` is what was drawn of this level. An anchor is in the sample in one iteration of
        twenty, where its own bits would weigh twenty times as much: with a short run's haste a single such
        step closes a mask for good, whatever its Gaussian does for the pictures."""
        costs = [found.attributes_cost]
        if self.recipe.position_rate:
            costs.append(Cost(POSITION_BITS, 0.0))
        if self.recipe.mask_rate:
            costs.append(found.masks_cost)
        offsets = self.model.shape.offsets
        per_gaussian = sum(c.gaussian + c.anchor / offsets for c in costs)  # `anchor_mask`'s gradient
        alive = draw.alive if draw is not None else gaussian_mask(self.model.masks, level).sum()
        assert alive is not None
        return per_gaussian * (alive - alive.detach())

    @torch.no_grad()
    def _gather(self, drawn: Drawn, camera: Camera) -> None:
        picture = drawn.picture
        half = (camera.width / 2, camera.height / 2)  # pixels per normalized device unit
        self.statistics.add(
            drawn.visible, drawn.index, picture.radii, picture.means2d_grad, drawn.opacities, half
        )


def _pixels(view: View) -> Tensor:
    """A view's photograph; shared and read-only, which torch cannot express and warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(view.load())
