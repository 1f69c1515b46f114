"""Gaussian heads, kernel beside the torch reference: one line per figure (median of runs, ms)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from timing import median_ms

from gspc import _kernels
from gspc.ops.heads import HeadTensors, NeuralGaussians, definition, neural_gaussians

OUTPUTS = ("means", "quats", "scales", "opacities", "colors")


# N, F, K, H and the share of open masks, half of which draw, or 60 % with F = 48: the prototype's sizes, and
# the default preset's with the 2.5 drawn Gaussians an anchor of a trained scene.
SETTINGS = ((30_000, 32, 10, 50, 0.9), (30_000, 48, 10, 64, 0.42))


def make_inputs(
    n: int, f: int, k: int, h: int, share: float
) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor, HeadTensors]:
    """Leaves, anchors, center and heads; `share` of the masks are open, half of those draw."""
    rng = torch.Generator().manual_seed(0)

    def normal(*shape: int, scale: float = 1.0) -> torch.Tensor:
        return (scale * torch.randn(shape, generator=rng)).requires_grad_()

    leaves = [
        normal(n, f),
        normal(n, 6),
        normal(n, k, 3),
        (torch.rand(n, k, generator=rng) < share).float().requires_grad_(),
    ]
    weights = [normal(3 * h, f + 4, scale=(f + 4) ** -0.5), normal(3 * h, scale=0.1)]
    for rows in (k, 3 * k, 7 * k):
        weights += [normal(rows, h, scale=h**-0.5), normal(rows, scale=0.1)]
    return (
        leaves,
        torch.randn(n, 3, generator=rng),
        torch.tensor([0.0, 0.0, -5.0]),
        HeadTensors(*weights, 0.1),
    )


def measure(n: int, f: int, k: int, h: int, share: float) -> None:
    leaves, anchors, center, heads = make_inputs(n, f, k, h, share)
    grads: list[torch.Tensor] = []

    def forward(function: Callable[..., NeuralGaussians]) -> None:
        with torch.no_grad():
            function(*leaves, anchors, center, heads)

    def both(function: Callable[..., NeuralGaussians]) -> None:
        out = function(*leaves, anchors, center, heads)
        tensors = [getattr(out, name) for name in OUTPUTS]
        if not grads or len(grads[0]) != len(tensors[0]):
            grads[:] = [torch.randn_like(tensor) for tensor in tensors]
        torch.autograd.grad(tensors, [*leaves, *heads[:8]], grads)

    for threads in (1, 2):
        torch.set_num_threads(threads)
        setting = f"anchors={n} F={f} K={k} H={h} open={share} threads={threads}"
        for name, function, repeats in (
            ("kernel", neural_gaussians, 15),
            ("reference", definition.neural_gaussians, 5),
        ):
            for isa in ("base", "v3", "v4") if name == "kernel" else ("-",):
                if isa != "-":
                    _kernels.set_isa(isa)
                    if _kernels.active_isa() != isa:
                        continue
                one = median_ms(lambda f=function: forward(f), repeats)
                two = median_ms(lambda f=function: both(f), repeats)
                print(f"heads forward          {setting} {name:9} {isa:4} {one:8.1f} ms")
                print(f"heads forward+backward {setting} {name:9} {isa:4} {two:8.1f} ms")


if __name__ == "__main__":
    for chosen in SETTINGS:
        measure(*chosen)
