"""One training step by part, after densification unless told otherwise: CPU and wall milliseconds, medians
over steps; one line per figure.

    python tests/bench/bench_step.py [--anchors 10000 50000 200000] [--threads 1 2] [--steps 9]
    [--iteration 2000] [--scene DIR] [--json FILE]

The scene is fox at half size when its photographs are there, else the generated demo scene at about that
size. Anchors are its points, repeated with jitter; heads are set so that a trained model's share of Gaussians
is drawn. CPU time counts every thread, also those that wait for others.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import resource
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gspc.cli.process import keep_freed_memory
from gspc.config import DataOptions
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.model.anchors import AnchorModel, ModelShape
from gspc.ops.grid import cpu as grid_ops
from gspc.ops.heads import cpu as heads_ops
from gspc.ops.kernels import kernels
from gspc.ops.mlp import cpu as mlp_ops
from gspc.ops.rate import autograd as rate_ops
from gspc.ops.rows import cpu as rows_ops
from gspc.ops.ssim import cpu as ssim_ops
from gspc.presets import GSPC
from gspc.rendering.rasterizer import choose_backend
from gspc.scene import SceneData
from gspc.train import trainer as trainer_module
from gspc.train.attributes import AttributeSource
from gspc.train.densify import densify
from gspc.train.initialize import initial_model
from gspc.train.rate import RateLoss
from gspc.train.schedule import Schedule
from gspc.train.trainer import Trainer

FOX = Path(__file__).resolve().parents[3] / "shared" / "data" / "fox"
DRAWN = 0.23  # share of the Gaussians that a trained fox draws
ITERATIONS = 3000
# A long training's memory has stopped growing; in the first steps the system gives new pages, which cost ten
# times what filling them does, to whichever part asks next.
FEW_FAULTS, SETTLED_STEPS, MOST_WARM_UP = 100, 3, 40
ITERATION = 2000  # rates are learned, densification is over; before 1500 it gathers and the grid still moves

# Milliseconds of the prototype that design/kernels.md lists for fox with two threads (wall, Zen 5), and what
# they grow with. It had 46k anchors and 156k Gaussians; its optimizer, with densification, 68 values an
# anchor.
PROTOTYPE = {
    "heads": (2.0, "anchors"),
    "heads backward": (5.0, "anchors"),
    "projection": (9.0, "Gaussians"),
    "projection backward": (17.0, "Gaussians"),
    "sorting and binning": (6.0, "Gaussians"),
    "blending": (17.0, "Gaussians"),
    "blending backward": (23.0, "Gaussians"),
    "SSIM and loss": (5.0, ""),
    "optimizer": (3.0, "parameters"),
}
PROTOTYPE_COUNTS = {"": 1, "anchors": 46_000, "Gaussians": 156_000, "parameters": 46_000 * 68}
# Where a part above a tenth of the step is expected; the others make up the bar.
LARGE = ("heads", "projection", "sorting", "binning", "blending", "grid", "SSIM and loss")


class Clock:
    """Exclusive time per part: what a part calls is not counted in it."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self.stack: list[list[float]] = []

    def wrap(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*args: Any, **keywords: Any) -> Any:
            self.stack.append([0.0, 0.0])
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return function(*args, **keywords)
            finally:
                spent = time.perf_counter() - wall, time.process_time() - cpu
                inner = self.stack.pop()
                self.wall[part] += spent[0] - inner[0]
                self.cpu[part] += spent[1] - inner[1]
                if self.stack:
                    self.stack[-1][0] += spent[0]
                    self.stack[-1][1] += spent[1]

        return timed

    def patch(self, owner: Any, name: str, part: str) -> None:
        static = isinstance(vars(owner).get(name), staticmethod)
        function = self.wrap(part, getattr(owner, name))
        setattr(owner, name, staticmethod(function) if static else function)

    def take(self) -> dict[str, tuple[float, float]]:
        parts = {part: (self.cpu[part], self.wall[part]) for part in self.wall}
        self.wall.clear()
        self.cpu.clear()
        return parts


def instrument(clock: Clock, timings: Any) -> None:
    """Names of parts for the functions that make up a step; the rasterizer's own parts go to `timings`."""
    clock.patch(Trainer, "step", "rest")
    clock.patch(trainer_module, "visible_rows", "culling")
    clock.patch(RateLoss, "loss", "rate")
    clock.patch(Trainer, "_gather", "densification")
    clock.patch(torch.Tensor, "backward", "rate backward")
    for owner, part in (
        (rows_ops._Noisy, "gather"),
        (rows_ops._Rounded, "gather"),
        (rows_ops._Masks, "gather"),
        (grid_ops._GridContext, "grid"),
        (heads_ops._NeuralGaussians, "heads"),
        (mlp_ops._TwoLayer, "networks"),
        (rate_ops._Summed, "bits of symbols"),
        (rate_ops._ChunkInputs, "bits of symbols"),
    ):
        clock.patch(owner, "forward", part)
        clock.patch(owner, "backward", part + " backward")
    clock.patch(ssim_ops._Compare, "forward", "SSIM and loss")
    for name in ("raster_forward", "raster_backward"):
        timed = functools.partial(getattr(kernels(), name), timings=timings)
        setattr(kernels(), name, clock.wrap("raster", timed))
    clock.patch(AttributeSource, "grid_rows", "grid")
    clock.patch(trainer_module, "_pixels", "photographs")


def make_scene(source: Path | None, work: Path) -> SceneData:
    if source is None and FOX.is_dir():
        source = FOX
    if source is not None:
        return load_scene(source, DataOptions(resolution=2))
    write_demo_scene(work / "demo", views=12, width=400, height=314, points=5000)
    return load_scene(work / "demo", DataOptions())


def make_model(scene: SceneData, anchors: int) -> AnchorModel:
    """About `anchors` of them around the scene's points."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    shape = ModelShape.of(GSPC, 3, GSPC.rate.weights(3))
    voxel = initial_model(scene, shape, None).voxel_size / 4
    points = scene.points[rng.integers(0, len(scene.points), anchors)]
    points = points + rng.normal(size=points.shape) * voxel * 6
    model = initial_model(replace(scene, points=points), shape, voxel)
    with torch.no_grad():
        model.features.normal_()
        model.offsets.normal_(std=0.5)
        model.masks.add_(torch.randn_like(model.masks))
        head = model.heads.second["opacity"]
        head.weight.mul_(4)
        first = model.heads.first["opacity"]
        view = torch.nn.functional.normalize(torch.randn(4096, 4))
        inputs = torch.cat([torch.randn(4096, first.in_features - 4), view], 1)
        logits = head(torch.relu(first(inputs)))
        head.bias -= torch.quantile(logits.flatten(), 1 - DRAWN)
    return model


def measure(
    scene: SceneData, anchors: int, threads: int, steps: int, iteration: int, clock: Clock, timings: Any
) -> dict[str, Any]:
    torch.set_num_threads(threads)
    kernels().set_threads(threads)
    model = make_model(scene, anchors)
    schedule = Schedule.of(GSPC, ITERATIONS)
    trainer = Trainer(scene, model, schedule, choose_backend("cpu"), GSPC)
    trainer.optimizer.step = clock.wrap("optimizer", trainer.optimizer.step)  # type: ignore[method-assign]
    trainer.optimizer.zero_grad = clock.wrap("optimizer", trainer.optimizer.zero_grad)  # type: ignore[method-assign]
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    settled = measured = 0
    for step in itertools.count():
        trainer.iteration = iteration
        if schedule.densifies(iteration) or schedule.prunes(iteration):
            raise SystemExit("this iteration densifies or prunes; choose another")
        before = timings.parts
        clock.take()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        trainer.step()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
        settled = settled + 1 if faults < FEW_FAULTS else 0
        parts = clock.take()
        raster = parts.pop("raster", (0.0, 0.0))
        for (name, wall, cpu), (_, wall_before, cpu_before) in zip(timings.parts, before, strict=True):
            parts[name] = (cpu - cpu_before, wall - wall_before)
            raster = (raster[0] - cpu + cpu_before, raster[1] - wall + wall_before)
        rest = parts["rest"]
        parts["rest"] = (rest[0] + raster[0], rest[1] + raster[1])
        parts["step"] = tuple(sum(part[i] for part in parts.values()) for i in range(2))  # type: ignore[assignment]
        if settled >= SETTLED_STEPS or step >= MOST_WARM_UP:
            for name, spent in parts.items():
                rows[name].append(spent)
            measured += 1
        if measured == steps:
            break
    result = {
        name: [1e3 * statistics.median(row[i] for row in spent) for i in range(2)]
        for name, spent in rows.items()
    }
    if schedule.gathers(iteration):
        cpu, wall = time.process_time(), time.perf_counter()
        densify(
            trainer.model,
            trainer.optimizer,
            trainer.statistics,
            GSPC.schedule.densify_threshold,
            schedule.densify_every,
            most=10**7,
        )
        share = 1e3 / schedule.densify_every
        result["densification"][0] += (time.process_time() - cpu) * share
        result["densification"][1] += (time.perf_counter() - wall) * share
    counts = {
        "": 1,
        "anchors": model.anchors,
        "Gaussians": model.anchors * model.shape.offsets * DRAWN,
        "parameters": sum(p.numel() for group in trainer.optimizer.param_groups for p in group["params"]),
    }
    return {
        "anchors": model.anchors,
        "threads": threads,
        "prototype_wall_ms": {
            part: milliseconds * counts[what] / PROTOTYPE_COUNTS[what]
            for part, (milliseconds, what) in PROTOTYPE.items()
        },
        "parts": {k: {"cpu_ms": v[0], "wall_ms": v[1]} for k, v in result.items()},
    }


def report(label: str, result: dict[str, Any]) -> None:
    """One line per part, and the largest of those that the bar is about."""
    parts = dict(result["parts"])
    whole = parts["step"]
    share = {name: 100 * spent["cpu_ms"] / whole["cpu_ms"] for name, spent in parts.items()}
    beside = dict(result["prototype_wall_ms"]) if result["threads"] == 2 else {}
    sorting = beside.pop("sorting and binning", None)
    for part, spent in sorted(parts.items(), key=lambda item: -item[1]["cpu_ms"]):
        line = f"{label} {part:27} {spent['cpu_ms']:8.2f} ms cpu {spent['wall_ms']:8.2f} ms wall "
        line += f"{share[part]:5.1f} %"
        if part in beside:
            line += f"  prototype {beside[part]:.1f} ms wall for as many"
        print(line, flush=True)
    if sorting is not None:
        both = parts["sorting"]["wall_ms"] + parts["binning"]["wall_ms"]
        print(f"{label} sorting and binning {both:.2f} ms wall  prototype {sorting:.1f} ms wall for as many")
    small = {name: value for name, value in share.items() if name != "step" and not name.startswith(LARGE)}
    largest = max(small, key=lambda name: small[name])
    print(f"{label} largest part besides rasterizer, heads, grid and SSIM: {largest} {small[largest]:.1f} %")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--anchors", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--iteration", type=int, default=ITERATION, help=f"of {ITERATIONS}")
    parser.add_argument("--scene", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    keep_freed_memory()
    clock, timings = Clock(), kernels().RasterTimings()
    results = []
    with tempfile.TemporaryDirectory() as work:
        scene = make_scene(args.scene, Path(work))
        for view in scene.train:
            view.load()  # decoded and kept, as after the first pass of a fit
        instrument(clock, timings)
        camera = scene.train[0].camera
        for threads in args.threads:
            for anchors in args.anchors:
                result = measure(scene, anchors, threads, args.steps, args.iteration, clock, timings)
                results.append(result)
                size = f"{camera.width}x{camera.height}"
                report(f"step {scene.name} {size} anchors={anchors} threads={threads}", result)
    if args.json:
        args.json.write_text(json.dumps({"scene": scene.name, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
