"""One fit: from a scene to a trained anchor model (PCGS, with the schedule of `schedule.py`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gspc.model import quantization as quant
from gspc.model.anchors import AnchorModel
from gspc.model.calibrate import calibrate
from gspc.model.masks import gaussian_mask
from gspc.ops.heads import neural_gaussians
from gspc.ops.raster import RasterOutput
from gspc.ops.ssim import photometric_loss
from gspc.rendering.rasterizer import Backend, rasterize
from gspc.scene import Camera, SceneData
from gspc.train.densify import Statistics, densify
from gspc.train.initialize import scene_extent
from gspc.train.optimizer import make_optimizer
from gspc.train.rate import estimate_bytes, level_bits
from gspc.train.schedule import Phase, Schedule

SSIM_WEIGHT = 0.2
SCALE_WEIGHT = 0.01  # on the mean product of the Gaussians' scales
RATE_SHARE = 0.05  # of the anchors are rate-evaluated per iteration
RATE_AT_LEAST = 2048
SMOOTHING = 0.98  # of the reported PSNR


@dataclass(frozen=True)
class StepReport:
    """Figures of one iteration."""

    phase: Phase
    level: int
    loss: float
    psnr: float
    bits: float  # of the level drawn, all anchors; 0 outside the rate phases


@dataclass(frozen=True)
class Attributes:
    """Attributes of the visible anchors as one level would restore them."""

    features: Tensor
    log_scales: Tensor
    offsets: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Drawn:
    """What one iteration drew: indices of the visible anchors [v], of the Gaussians among them (n * K + k)
    [m]."""

    visible: Tensor
    index: Tensor
    opacities: Tensor  # [m]
    picture: RasterOutput


class Trainer:
    """State of a fit between iterations; `step` advances it by one."""

    def __init__(
        self,
        scene: SceneData,
        model: AnchorModel,
        schedule: Schedule,
        backend: Backend,
        densify_threshold: float,
    ) -> None:
        self.scene = scene
        self.model = model.to(backend.device)
        self.schedule = schedule
        self.backend = backend
        self.densify_threshold = densify_threshold
        self.device = torch.device(backend.device)
        self.extent = scene_extent(scene)
        self.optimizer = make_optimizer(self.model)
        self.statistics = Statistics.empty(self.model)
        self.order: list[int] = []
        self.iteration = 0
        self.psnr = 0.0

    def step(self) -> StepReport:
        """One iteration: a view, a level, a gradient step; densification where the schedule has it."""
        phase = self.schedule.phase(self.iteration)
        coded = phase in (Phase.RATE, Phase.FINISH)
        if phase is Phase.FINISH and not self.model.quantized:
            calibrate(self.model)
        levels = self.model.shape.levels
        level = int(torch.randint(1, levels + 1, ())) if coded else levels
        view = self.scene.train[self._next_view()]
        target = torch.from_numpy(view.load()).to(self.device)
        self._set_learning_rates()
        loss, squared, draw = self._distortion(view.camera, target, phase, level)
        bits = 0.0
        if coded:
            rate, bits = self._rate(level)
            loss = loss + rate
        loss.backward()
        if self.schedule.gathers(self.iteration):
            self._gather(draw, view.camera)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.schedule.densifies(self.iteration):
            interval = self.schedule.densify_every
            self.statistics = densify(
                self.model, self.optimizer, self.statistics, self.densify_threshold, interval
            )
        psnr = -10 * math.log10(max(squared, 1e-10))
        self.psnr = psnr if self.iteration == 0 else SMOOTHING * self.psnr + (1 - SMOOTHING) * psnr
        self.iteration += 1
        return StepReport(phase, level, float(loss.detach()), psnr, bits)

    def estimated_bytes(self) -> int:
        """Size of the stream if the model were coded now."""
        return estimate_bytes(self.model)

    def _next_view(self) -> int:
        if not self.order:
            self.order = torch.randperm(len(self.scene.train)).tolist()
        return self.order.pop()

    def _set_learning_rates(self) -> None:
        scale = {"offsets": self.extent, "masks": self.schedule.mask_haste}
        for group in self.optimizer.param_groups:
            name = group["name"]
            group["lr"] = self.schedule.learning_rate(name, self.iteration) * scale.get(name, 1.0)

    @torch.no_grad()
    def _visible(self, camera: Camera, world: Tensor) -> Tensor:
        """Indices of the anchors whose Gaussians may touch the picture: in front, and near the frustum."""
        pose = torch.from_numpy(np.asarray(camera.world_to_camera, dtype=np.float32)).to(self.device)
        local = world @ pose[:3, :3].T + pose[:3, 3]
        z = local[:, 2]
        # Offsets reach about exp(l[:3]), the Gaussians three standard deviations of exp(l[3:]) further.
        reach = torch.exp(self.model.log_scales.detach())
        margin = 2 * reach[:, :3].amax(1) + 3 * reach[:, 3:].amax(1)
        left, right = camera.cx / camera.fx, (camera.width - camera.cx) / camera.fx
        top, bottom = camera.cy / camera.fy, (camera.height - camera.cy) / camera.fy
        inside = (local[:, 0] > -left * z - margin) & (local[:, 0] < right * z + margin)
        inside &= (local[:, 1] > -top * z - margin) & (local[:, 1] < bottom * z + margin)
        return ((z > 0.01) & inside).nonzero().squeeze(1)

    def _distortion(
        self, camera: Camera, target: Tensor, phase: Phase, level: int
    ) -> tuple[Tensor, float, Drawn]:
        """Scaffold-GS loss of one view, its squared error, and what densification wants to know."""
        model = self.model
        world = model.world()
        visible = self._visible(camera, world)
        attributes = self._attributes(visible, phase, level)
        gaussians = neural_gaussians(
            attributes.features,
            attributes.log_scales,
            attributes.offsets,
            attributes.mask,
            world[visible],
            torch.from_numpy(camera.center.astype(np.float32)).to(self.device),
            model.heads.weights(quantized=phase is Phase.FINISH),
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
        loss, _, _ = photometric_loss(drawn.image, target, SSIM_WEIGHT)
        if len(gaussians.scales):
            loss = loss + SCALE_WEIGHT * gaussians.scales.prod(1).mean()
        with torch.no_grad():
            squared = float(((drawn.image.clamp(0, 1) - target.float() / 255) ** 2).mean())
        return loss, squared, Drawn(visible, gaussians.index, gaussians.opacities.detach(), drawn)

    def _attributes(self, visible: Tensor, phase: Phase, level: int) -> Attributes:
        """Attributes with the noise that stands for quantization at `level` (method sections 2 and 6)."""
        model, base = self.model, self.model.shape.step_base
        features, log_scales = model.features[visible], model.log_scales[visible]
        offsets = model.offsets[visible]
        if phase is Phase.WARMUP:
            return Attributes(features, log_scales, offsets, features.new_ones(offsets.shape[:2]))
        if phase is Phase.NOISE:
            finer = quant.refinement(level)
            return Attributes(
                _noisy(features, base.features / finer),
                _noisy(log_scales, base.scaling / finer),
                _noisy(offsets, base.offsets),
                features.new_ones(offsets.shape[:2]),
            )
        r = model.context.step_parameters(model.grid(model.positions[visible]))
        finer = quant.refinement(level)
        return Attributes(
            _noisy(features, quant.step(base.features, r[:, 0:1]) / finer),
            _noisy(log_scales, quant.step(base.scaling, r[:, 1:2]) / finer),
            _noisy(offsets, quant.step(base.offsets, r[:, 2:3])[:, None]),
            gaussian_mask(model.masks[visible], level),
        )

    def _rate(self, level: int) -> tuple[Tensor, float]:
        """Rate loss of PCGS Eq. 8 and the bits it stands for."""
        model = self.model
        count = min(model.anchors, max(RATE_AT_LEAST, int(RATE_SHARE * model.anchors)))
        index = torch.randint(model.anchors, (count,), device=self.device)
        bits = level_bits(model, index, level, noisy=True).total * (model.anchors / count)
        per_value = (bits + model.grid.bits()) / (model.anchors * model.values_per_anchor())
        return model.shape.rate_weights[level - 1] * per_value, float(bits.detach())

    @torch.no_grad()
    def _gather(self, drawn: Drawn, camera: Camera) -> None:
        k = self.model.shape.offsets
        seen = drawn.picture.radii > 0
        to_ndc = torch.tensor([camera.width / 2, camera.height / 2], device=self.device)
        gradient = (drawn.picture.means2d_grad[seen] * to_ndc).norm(dim=1)
        index = drawn.index[seen]
        opacity = torch.zeros(len(drawn.visible), device=self.device)
        opacity.index_add_(0, drawn.index // k, drawn.opacities)
        self.statistics.add(gradient, drawn.visible[index // k] * k + index % k, drawn.visible, opacity)


def _noisy(values: Tensor, step: Tensor | float) -> Tensor:
    return values + (torch.rand_like(values) - 0.5) * step
