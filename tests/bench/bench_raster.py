"""Rasterizer, 200,000 Gaussians of garden-like statistics at 960x540: kernel beside the torch definition.

CPU time on one thread, medians; wall time for two threads. The reference runs on every 40th tile, scaled up
(its blending takes half a minute otherwise). One line per figure.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from raster_scene import garden_like
from timing import median_ms

from gspc.ops import arrays
from gspc.ops.kernels import kernels as load
from gspc.ops.raster import definition

NAMES = ("means", "quats", "scales", "opacities", "colors")
EVERY = 40  # tiles of the reference


def reference_seconds(scene: dict[str, np.ndarray], camera: tuple) -> float:
    """CPU seconds of the reference, forward and backward, extrapolated from a sample of tiles."""
    matrix, intrinsics, width, height = camera
    params = {name: torch.from_numpy(scene[name]).requires_grad_() for name in NAMES}
    start = time.process_time()
    projected = definition.project(
        *(params[name] for name in NAMES[:4]), torch.from_numpy(matrix).float(), intrinsics, width, height
    )
    order = torch.argsort(projected.depths.detach(), stable=True)
    order = order[projected.half_sizes[order, 0] > 0]
    plane = [projected.means2d, projected.conics, params["opacities"], params["colors"]]
    leaves = [tensor.detach().requires_grad_() for tensor in plane]
    center, half = leaves[0].detach()[order], projected.half_sizes[order] + 1
    once = time.process_time() - start
    corners = [(x, y) for y in range(0, height, definition.TILE) for x in range(0, width, definition.TILE)]
    start = time.process_time()
    for left, top in corners[::EVERY]:
        right, bottom = min(left + definition.TILE, width), min(top + definition.TILE, height)
        low, high = center - half, center + half
        hit = (high[:, 0] > left) & (low[:, 0] < right) & (high[:, 1] > top) & (low[:, 1] < bottom)
        ids = order[hit]
        pixels = definition.pixel_centers(left, top, right, bottom, leaves[0])
        chosen = [leaf[ids].detach().requires_grad_() for leaf in leaves]
        image, _ = definition.blend(*chosen, pixels)
        image.sum().backward()
    tiles = (time.process_time() - start) * len(corners) / len(corners[::EVERY])
    start = time.process_time()
    torch.autograd.backward(plane[:2], [torch.ones_like(tensor) for tensor in plane[:2]])
    return once + tiles + time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--no-reference", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    kernels = load()
    scene = garden_like(options.count)
    gaussians = [scene[name] for name in NAMES]
    camera = (scene["world_to_camera"], scene["intrinsics"], scene["width"], scene["height"])
    weights = np.random.default_rng(0).standard_normal((camera[3], camera[2], 3)).astype(np.float32)
    label = f"raster {options.count // 1000}k {camera[2]}x{camera[3]}"

    def forward() -> arrays.Raster:
        return arrays.rasterize(*gaussians, *camera)

    def step() -> None:
        arrays.rasterize_backward(forward(), *gaussians, weights)

    baseline = None if options.no_reference else reference_seconds(scene, camera)
    if baseline is not None:
        print(f"{label} torch reference fwd+bwd 1 thread {baseline:8.3f} s cpu (1 tile in {EVERY})")
    levels = ("base", "v3", "v4")
    for isa in levels[: levels.index(kernels.supported_isa()) + 1]:
        kernels.set_isa(isa)
        kernels.set_threads(1)
        ahead = median_ms(forward, options.repeats, time.process_time) / 1000
        both = median_ms(step, options.repeats, time.process_time) / 1000
        ratio = "" if baseline is None else f", {baseline / both:.0f} x reference"
        print(f"{label} {isa:4} fwd+bwd 1 thread {both:8.3f} s cpu (forward {ahead:.3f}){ratio}")
        alone = median_ms(step, options.repeats, time.perf_counter) / 1000
        kernels.set_threads(2)
        paired = median_ms(step, options.repeats, time.perf_counter) / 1000
        print(f"{label} {isa:4} wall, 1 -> 2 threads {alone:.3f} -> {paired:.3f} s: {alone / paired:.2f} x")
    state = forward().state
    print(f"{label} pairs: {state.pairs} Gaussian-tile, {state.contributions} contributing Gaussian-block")


if __name__ == "__main__":
    main()
