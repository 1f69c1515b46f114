"""A CUDA device: the parts of a training step and whole steps, by torch's operations and by our kernels.

    python tests/bench/bench_cuda.py [--scene DIR] [--anchors 50000 200000] [--steps 40] [--json FILE]
                                     [--device cpu]

Medians of wall milliseconds, the device waited for; a part is its forward and backward pass. The steps are
those of bench_step.py, where rates are learned, the heads in float32 and bfloat16, and of the finish phase.
On a CPU, to try the script out, our kernels are those of the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from bench_raster import NAMES
from bench_step import ITERATION, ITERATIONS, make_model, make_scene
from raster_scene import garden_like
from torch import Tensor

from gspc.model.anchors import AnchorModel
from gspc.ops import place
from gspc.ops.heads import neural_gaussians
from gspc.ops.rows import mask_rows, noisy_attributes, rounded_attributes, visible_rows
from gspc.ops.ssim import picture_loss
from gspc.presets import GSPC
from gspc.rendering.rasterizer import choose_backend, rasterize
from gspc.scene import Camera, SceneData
from gspc.train.optimizer import make_optimizer
from gspc.train.rate.attributes import AttributesTerm
from gspc.train.rate.sample import AnchorRows, level_sample
from gspc.train.rate.terms import MasksTerm, PositionsTerm
from gspc.train.schedule import Schedule
from gspc.train.trainer import Trainer

FINISH = 2900  # an iteration of the finish phase, which rounds
SAMPLE = 0.05  # of the anchors, whose rate a step evaluates


@contextmanager
def kernels(ours: bool, device: str) -> Iterator[None]:
    """Our kernels or torch's operations compute inside."""
    environment = {"GSPC_CUDA_KERNELS": "1" if ours else "0"}
    with mock.patch.dict(os.environ, environment):
        if device == "cuda" or ours:
            yield
        else:
            with mock.patch.object(place, "of", lambda tensor: "torch"):
                yield


def median_ms(run: Callable[[], object], repeats: int, device: str) -> float:
    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(min(5, repeats)):
        run()
    times = []
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


class Report:
    """Lines as they come, and figures for the file."""

    def __init__(self, device: str, repeats: int) -> None:
        self.device, self.repeats = device, repeats
        self.figures: dict[str, float] = {}

    def add(self, name: str, run: Callable[[], object], base: str | None = None) -> None:
        self.figures[name] = milliseconds = median_ms(run, self.repeats, self.device)
        beside = f"  {self.figures[base] / milliseconds:.1f} x {base}" if base else ""
        print(f"{self.device} {name:58} {milliseconds:9.3f} ms{beside}", flush=True)

    def both(self, name: str, run: Callable[[], object]) -> None:
        """By torch's operations, then by our kernels."""
        for ours in (False, True):
            with kernels(ours, self.device):
                self.add(f"{name} {'kernels' if ours else 'torch'}", run, f"{name} torch" if ours else None)


def backward(*parts: Tensor) -> None:
    sum((part.sum() for part in parts if part.requires_grad), start=parts[0].new_zeros(())).backward()


def photometric(device: str) -> Callable[[], object]:
    torch.manual_seed(0)
    photo = torch.rand(540, 960, 3, device=device)
    target = (photo * 255).to(torch.uint8)
    image = (photo + 0.1 * torch.randn_like(photo)).requires_grad_()
    return lambda: backward(picture_loss(image, target, 0.3, root=True)[0])


def raster(device: str) -> Callable[[], object]:
    scene: dict[str, Any] = garden_like(200_000 if device == "cuda" else 500, 960, 540)
    leaves = [torch.from_numpy(scene[name]).to(device).requires_grad_() for name in NAMES]
    backend = choose_backend(device)
    camera = Camera("bench", 960, 540, *scene["intrinsics"], scene["world_to_camera"])
    return lambda: backward(rasterize(backend, *leaves, camera, (0.0, 0.0, 0.0)).image)


def parts_of(scene: SceneData, model: AnchorModel) -> dict[str, Callable[[], object]]:
    """The parts of a step that are not the rasterizer's or the loss's, with all anchors visible."""
    shape, world, device = model.shape, model.world(), model.features.device
    camera = scene.train[0].camera
    every = torch.arange(model.anchors, device=device)
    sample = torch.randint(model.anchors, (max(1, int(SAMPLE * model.anchors)),), device=device)
    center = tuple(camera.center.astype(np.float32).tolist())
    mask = torch.ones(model.anchors, shape.offsets, device=device)
    parameters = model.features, model.log_scales, model.offsets
    grid = model.grid(model.positions).detach()
    optimizer = make_optimizer(model)

    def grid_that_learns() -> None:
        rows, others, signs = model.grid.rows(model.positions, every, sample)
        backward(rows, others, signs.share)

    def lattice() -> None:
        centers = [torch.zeros(len(t), t[0].numel(), device=device) for t in parameters]
        steps = [torch.ones(model.anchors, device=device)] * 3
        found = rounded_attributes(parameters, every, sample, centers, steps, [(9, 1)] * 3)
        backward(*(t for pair in found for t in pair))

    def pool() -> None:
        backward(*(t for t in model.predicted_and_steps(grid, every, steps=True) if t is not None))

    def heads() -> None:
        predicted = torch.randn(model.anchors, shape.pool, device=device) if shape.pool else None
        drawn = neural_gaussians(
            *(*parameters, mask, world, center, model.heads.to_draw(quantized=False)), predicted=predicted
        )
        backward(*drawn.parts)

    def rows() -> None:
        r = torch.zeros(model.anchors, 3, device=device)
        found = noisy_attributes(parameters, every, sample, r, (1.0, 1.0, 1.0), (1, 2, 3))
        backward(*(t for pair in found for t in pair))

    def rates() -> None:
        taken = [t.index_select(0, sample) for t in (*parameters, model.masks.detach())]
        at = level_sample(model, AnchorRows(*taken), grid.index_select(0, sample), 2, noisy=True)
        terms = AttributesTerm(model), PositionsTerm(), MasksTerm(shape.offsets)
        backward(*(term.price(at).bits for term in terms))

    def adam() -> None:
        for parameter in model.parameters():
            parameter.grad = parameter.detach()
        optimizer.step()
        optimizer.zero_grad()

    return {
        "grid": lambda: backward(model.grid(model.positions)),
        "grid that learns": grid_that_learns,
        "visible rows": lambda: visible_rows(world, model.log_scales, model.offsets, camera),
        "pool and steps": pool,
        "rows": rows,
        "rounded rows": lattice,
        "masks": lambda: backward(*mask_rows(model.masks, every, sample, 2)),
        "heads": heads,
        "rate": rates,
        "adam": adam,
    }


def bench_steps(report: Report, scene: SceneData, anchors: int) -> None:
    size = f"{scene.train[0].camera.width}x{scene.train[0].camera.height}"
    for kind, at in (("heads in float32", ITERATION), ("heads in bf16", ITERATION), ("finish", FINISH)):
        model = make_model(scene, anchors)
        model.heads.bf16 = "bf16" in kind
        backend = choose_backend(report.device)
        trainer = Trainer(scene, model, Schedule.of(GSPC, ITERATIONS), backend, GSPC)

        def step(trainer: Trainer = trainer, at: int = at) -> None:
            trainer.iteration = at
            trainer.step()

        report.both(f"step {scene.name} {size} {anchors} anchors, {kind}", step)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--anchors", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--scene", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("cuda: torch sees no CUDA device, nothing measured")
        return
    report = Report(args.device, args.steps)
    with tempfile.TemporaryDirectory() as work:
        scene = make_scene(args.scene, Path(work))
        for view in scene.train:
            view.load()
        report.both("photometric 960x540", photometric(args.device))
        report.add("rasterizer 960x540", raster(args.device))
        for anchors in args.anchors:
            model = make_model(scene, anchors).to(args.device)
            for name, run in parts_of(scene, model).items():
                report.both(f"{name}, {anchors} anchors", run)
            bench_steps(report, scene, anchors)
    if args.json:
        title = torch.cuda.get_device_name() if args.device == "cuda" else "CPU"
        machine = {"device": title, "torch": torch.__version__, "cuda": torch.version.cuda}
        args.json.write_text(
            json.dumps({"machine": machine, "milliseconds": report.figures}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
