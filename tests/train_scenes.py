"""A tiny scene of noise, small recipes and trainers at any iteration, for the tests of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gspc.model.anchors import AnchorModel, ModelShape
from gspc.presets import GSPC
from gspc.recipe import Recipe
from gspc.rendering.rasterizer import choose_backend
from gspc.scene import Camera, SceneData, View
from gspc.train.initialize import initial_model
from gspc.train.rate import AnchorRows, RateLoss, RateSample, Standing
from gspc.train.rate.loss import LOSS_UNIT
from gspc.train.rate.sample import LevelSample, level_sample
from gspc.train.schedule import Schedule
from gspc.train.shots import Shot
from gspc.train.trainer import Trainer

SMALL = GSPC.changed(
    features=6,
    pool=0,
    pool_grid="shared",
    residual_hidden=0,
    chunks=0,
    grid="scene",
    refine_until=0,
    progressive_offsets=False,
    trits="learned",
    accumulate="none",
    relative_rate=False,
    position_rate=False,
    mask_rate=False,
    mask_loss=0.0,
    downsampling="none",
)
POOLED = SMALL.changed(features=4, pool=5, pool_alone=0.5)
VOXEL = 0.1118147374754682  # half the median distance between neighboring points of `noise_scene`
ITERATIONS = 100  # rate from 34, finish from 90


def noise_scene() -> SceneData:
    """Points in front of three cameras whose photographs are noise."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (150, 3)) + np.array([0.0, 0.0, 4.0])
    views = []
    for i in range(3):
        pose = np.eye(4)
        pose[0, 3] = 0.3 * (i - 1)
        camera = Camera(f"{i}.png", 32, 24, 30.0, 30.0, 16.0, 12.0, pose)
        pixels = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        views.append(View(camera, lambda pixels=pixels: pixels))
    colors = rng.integers(0, 255, points.shape, dtype=np.uint8)
    return SceneData("noise", tuple(views), (), points, colors, (0.0, 0.0, 0.0))


def trainer(scene: SceneData, recipe: Recipe, at: int, levels: int = 3) -> Trainer:
    """A trainer about to do iteration `at`."""
    torch.manual_seed(0)
    weights = tuple(1e-3 / 2**i for i in range(levels))
    model = initial_model(scene, ModelShape.of(recipe, levels, weights), VOXEL)
    with torch.no_grad():
        model.features.normal_(std=0.5)
        model.offsets.normal_(std=0.5)
    made = Trainer(scene, model, Schedule.of(recipe, ITERATIONS), choose_backend("cpu"), recipe)
    made.iteration = at
    return made


def gradients(made: Trainer) -> dict[str, torch.Tensor]:
    """Gradients of one step, which is not taken."""
    found: dict[str, torch.Tensor] = {}

    def keep() -> None:
        for name, parameter in made.model.named_parameters():
            found[name] = torch.zeros(1) if parameter.grad is None else parameter.grad.clone()

    made.optimizer.step = keep  # type: ignore[assignment, method-assign]
    made.step()
    return found


def rows_of(model: AnchorModel, index: torch.Tensor) -> AnchorRows:
    """Parameters of some anchors."""
    return AnchorRows(
        model.features[index], model.log_scales[index], model.offsets[index], model.masks[index]
    )


def at_level(model: AnchorModel, index: torch.Tensor, level: int, *, noisy: bool) -> LevelSample:
    """Some anchors at a level, as the terms of the rate see them."""
    grid = model.grid(model.positions[index])
    return level_sample(model, rows_of(model, index), grid, level, noisy=noisy)


def sampled(made: Trainer, level: int, seed: int = 3) -> RateSample:
    """The sample of an iteration that trains `level` on the first view."""
    view = made.scene.train[0]
    torch.manual_seed(seed)
    shot = Shot(view.camera, torch.from_numpy(view.load().copy()), None, made.scene.background)
    return made._show(shot, level, sampled=True)[1]


def rate_of(made: Trainer, recipe: Recipe, level: int, sample: RateSample, **standing: Any) -> Any:
    """The rate loss that a recipe makes of a trainer's sample, and its bits."""
    grid = made.attributes.grid_rows(sample.index, made.iteration)
    where = Standing(**{"iteration": made.iteration, "picture_loss": LOSS_UNIT, "pruned": 0, **standing})
    torch.manual_seed(5)
    return RateLoss(made.model, recipe, made.schedule).loss(level, sample, grid, where)


class Quiet:
    """An observer of a fit that only remembers."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.rows: list[Any] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def progress(self, progress: Any) -> None:
        self.rows.append(progress)
