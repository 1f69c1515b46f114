"""A CUDA device: our kernels beside torch's operations, gsplat, the heads in bfloat16, and training steps.

    python tests/bench/bench_cuda.py [--scene DIR] [--anchors 50000 200000] [--steps 40] [--json FILE]

Medians of wall milliseconds, the device waited for. The steps are those of bench_step.py, where rates are
learned, by torch's operations only and with our kernels, the heads in float32 and bfloat16.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_grid import reference_spec
from bench_raster import NAMES
from bench_step import ITERATION, ITERATIONS, make_model, make_scene
from raster_scene import garden_like

from gspc.ops import cuda
from gspc.ops.grid import cuda as grid_cuda
from gspc.ops.grid import definition as grid_definition
from gspc.ops.heads import neural_gaussians
from gspc.ops.ssim import cuda as ssim_cuda
from gspc.ops.ssim import definition as ssim_definition
from gspc.presets import GSPC
from gspc.rendering.rasterizer import choose_backend, rasterize
from gspc.scene import Camera, SceneData
from gspc.train.schedule import Schedule
from gspc.train.trainer import Trainer


def median_ms(run: Callable[[], object], repeats: int = 30) -> float:
    for _ in range(5):
        run()
    times = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


class Report:
    """Lines as they come, and figures for the file."""

    def __init__(self) -> None:
        self.figures: dict[str, float] = {}

    def add(self, name: str, milliseconds: float, base: str | None = None) -> None:
        self.figures[name] = milliseconds
        beside = f"  {self.figures[base] / milliseconds:.1f} x {base}" if base else ""
        print(f"cuda {name:58} {milliseconds:9.3f} ms{beside}", flush=True)


def bench_photometric(report: Report) -> None:
    torch.manual_seed(0)
    photo = torch.rand(540, 960, 3, device="cuda")
    target = (photo * 255).to(torch.uint8)
    image = (photo + 0.1 * torch.randn_like(photo)).requires_grad_()

    def by_kernel() -> None:
        ssim_cuda.photometric(image, target, 0.2)[1].backward()

    def by_torch() -> None:
        ssim_definition.photometric_loss(image, target, 0.2)[0].backward()

    report.add("photometric 960x540 fwd+bwd torch", median_ms(by_torch))
    report.add(
        "photometric 960x540 fwd+bwd kernels", median_ms(by_kernel), "photometric 960x540 fwd+bwd torch"
    )


def bench_grid(report: Report, points: int = 100_000) -> None:
    spec = reference_spec()
    rng = np.random.default_rng(0)
    positions = torch.from_numpy(
        rng.normal((1300, 1450, 1250), (150, 130, 180), (points, 3)).astype(np.int32)
    ).cuda()
    table = torch.from_numpy(rng.uniform(-1, 1, (spec.total_entries, 4)).astype(np.float32)).cuda()
    table.requires_grad_()
    grad = torch.randn(points, spec.context_size, device="cuda")
    for name, function in (("torch", grid_definition.grid_context), ("kernels", grid_cuda.grid_context)):
        milliseconds = median_ms(
            lambda function=function: torch.autograd.grad(function(positions, table, spec), table, grad), 15
        )
        base = None if name == "torch" else "grid 100k points fwd+bwd torch"
        report.add(f"grid 100k points fwd+bwd {name}", milliseconds, base)


def bench_raster(report: Report) -> None:
    scene: dict[str, Any] = garden_like(200_000, 960, 540)
    leaves = [torch.from_numpy(scene[name]).cuda().requires_grad_() for name in NAMES]
    backend = choose_backend("cuda")
    camera = Camera("bench", 960, 540, *scene["intrinsics"], scene["world_to_camera"])

    def run() -> None:
        rasterize(backend, *leaves, camera, (0.0, 0.0, 0.0)).image.sum().backward()

    report.add("gsplat 200k Gaussians 960x540 fwd+bwd", median_ms(run))


def bench_heads(report: Report, scene: SceneData, anchors: int) -> None:
    model = make_model(scene, anchors).cuda()
    shape, world = model.shape, model.world()
    center = torch.from_numpy(scene.train[0].camera.center.astype(np.float32)).cuda()
    mask = torch.ones(model.anchors, shape.offsets, device="cuda")
    predicted = torch.randn(model.anchors, shape.pool, device="cuda") if shape.pool else None
    scales = model.log_scales.expand(-1, 6)
    for kind in ("float32", "bf16"):
        model.heads.bf16 = kind == "bf16"

        def run() -> None:
            heads = model.heads.weights(quantized=False)
            drawn = neural_gaussians(
                model.features, scales, model.offsets, mask, world, center, heads, predicted=predicted
            )
            parts = (drawn.means, drawn.quats, drawn.scales, drawn.opacities, drawn.colors)
            sum((part.sum() for part in parts), start=torch.zeros((), device="cuda")).backward()

        name = f"heads {anchors} anchors fwd+bwd"
        report.add(f"{name} {kind}", median_ms(run), None if kind == "float32" else f"{name} float32")


def bench_steps(report: Report, scene: SceneData, anchors: int, steps: int) -> None:
    size = f"{scene.train[0].camera.width}x{scene.train[0].camera.height}"
    base = None
    for name, kernels, bf16 in (
        ("torch", "0", False),
        ("kernels", "1", False),
        ("torch bf16", "0", True),
        ("kernels bf16", "1", True),
    ):
        os.environ["GSPC_CUDA_KERNELS"] = kernels
        model = make_model(scene, anchors)
        model.heads.bf16 = bf16
        trainer = Trainer(scene, model, Schedule.of(GSPC, ITERATIONS), choose_backend("cuda"), GSPC)

        def step(trainer: Trainer = trainer) -> None:
            trainer.iteration = ITERATION
            trainer.step()

        label = f"step {scene.name} {size} {anchors} anchors"
        report.add(f"{label} {name}", median_ms(step, steps), base)
        base = base or f"{label} {name}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--anchors", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--scene", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("cuda: torch sees no CUDA device, nothing measured")
        return
    report = Report()
    with tempfile.TemporaryDirectory() as work:
        scene = make_scene(args.scene, Path(work))
        for view in scene.train:
            view.load()
        if cuda.why_not() is None:
            bench_photometric(report)
            bench_grid(report)
        bench_raster(report)
        for anchors in args.anchors:
            bench_heads(report, scene, anchors)
            bench_steps(report, scene, anchors, args.steps)
    if args.json:
        machine: dict[str, Any] = {
            "device": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
        }
        args.json.write_text(
            json.dumps({"machine": machine, "milliseconds": report.figures}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
