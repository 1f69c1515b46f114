"""Context grid, kernel beside the torch reference: one line per figure (median of runs, ms)."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from timing import median_ms

from gspc import _kernels
from gspc.format.grid import GridPlane, GridSpec
from gspc.ops.grid import definition, grid_context

RESOLUTIONS_3D = (18, 24, 33, 44, 59, 80, 108, 148, 201, 275, 376, 514)
RESOLUTIONS_2D = (130, 258, 514, 1026)


def reference_spec() -> GridSpec:
    """The grid of the reference settings: 12 3D planes and 3 x 4 2D planes, 96 context values."""
    planes = [GridPlane(0, r, 13) for r in RESOLUTIONS_3D]
    planes += [GridPlane(dims, r, 15) for dims in (1, 2, 3) for r in RESOLUTIONS_2D]
    return GridSpec((1000, 1200, 900), (600, 500, 700), tuple(planes))


def main(points: int = 100_000) -> None:
    spec = reference_spec()
    rng = np.random.default_rng(0)
    positions = torch.from_numpy(
        rng.normal((1300, 1450, 1250), (150, 130, 180), (points, 3)).astype(np.int32)
    )
    embeddings = torch.from_numpy(
        rng.uniform(-1, 1, (spec.total_entries, 4)).astype(np.float32)
    ).requires_grad_()
    grad = torch.randn(points, spec.context_size)

    def both(function: Callable[..., torch.Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(function(positions, embeddings, spec), embeddings, grad)

    def forward(function: Callable[..., torch.Tensor]) -> Callable[[], object]:
        def run() -> object:
            with torch.no_grad():
                return function(positions, embeddings, spec)

        return run

    for threads in (1, 2):
        torch.set_num_threads(threads)
        setting = f"points={points} context={spec.context_size} threads={threads}"
        for name, function, repeats in (
            ("kernel", grid_context, 9),
            ("reference", definition.grid_context, 2),
        ):
            isas = ("base", "v3", "v4") if name == "kernel" else ("-",)
            for isa in isas:
                if isa != "-":
                    _kernels.set_isa(isa)
                    if _kernels.active_isa() != isa:
                        continue
                one, two = median_ms(forward(function), repeats), median_ms(both(function), repeats)
                print(f"grid forward          {setting} {name:9} {isa:4} {one:8.1f} ms")
                print(f"grid forward+backward {setting} {name:9} {isa:4} {two:8.1f} ms")


if __name__ == "__main__":
    main(*(int(value) for value in sys.argv[1:]))
