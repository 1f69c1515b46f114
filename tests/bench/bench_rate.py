"""Two-layer networks of the entropy model and the rate of attributes, kernels beside torch: one line per
figure (median of runs, CPU ms)."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from timing import median_ms
from torch import Tensor

from gspc.cli.process import keep_freed_memory
from gspc.ops import mlp, rate
from gspc.ops.mlp.definition import two_layer
from gspc.ops.rate import AttributeRows, definition

NETWORKS = {"steps": (40_000, (96, 32, 3)), "trits": (2_500, (128, 64, 64))}
ROWS = 2_500  # the 5 % sample of 50k anchors


def both(function: Callable[..., Tensor], values: list[Tensor], grad: Tensor) -> None:
    torch.autograd.grad(function(*values), values, grad, allow_unused=True)


def compare(name: str, of: Callable[..., Tensor], by: Callable[..., Tensor], values: list[Tensor]) -> None:
    grad = torch.ones_like(of(*values).detach())
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for label, function in (("kernel", of), ("torch", by)):
            forward = median_ms(functools.partial(function, *values), 11, time.process_time)
            whole = median_ms(functools.partial(both, function, values, grad), 11, time.process_time)
            setting = f"{name} threads={threads} {label:6}"
            print(f"{setting} forward {forward:7.2f} ms cpu, with backward {whole:7.2f} ms cpu", flush=True)


def network(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
    return mlp.two_layers(x, [mlp.TwoLayerWeights(*weights)])[0]


def appearing(module: Any) -> Callable[..., Tensor]:
    def total(values: Tensor, center: Tensor, octaves: Tensor, r: Tensor, *chunks: Tensor) -> Tensor:
        rows = AttributeRows(values, center, octaves, r, 0.25)
        found: Tensor = module.appearance_bits(rows, 3, torch.ones(len(r), 1), chunks, 1)[0]
        return found

    return total


def gaussian_trits(module: Any) -> Callable[..., Tensor]:
    def total(values: Tensor, center: Tensor, octaves: Tensor, r: Tensor) -> Tensor:
        rows = AttributeRows(values.detach(), center.detach(), octaves, r, 0.25)
        found: Tensor = module.gaussian_trit_bits(rows, 3, 3, 0, torch.ones(len(r), 1))[0]
        return found

    return total


def main() -> None:
    keep_freed_memory()
    for name, (rows, (inputs, hidden, outputs)) in NETWORKS.items():
        shapes = ((rows, inputs), (hidden, inputs), (hidden,), (outputs, hidden), (outputs,))
        values = [torch.randn(shape).requires_grad_() for shape in shapes]
        label = f"{name} network rows={rows} {inputs}-{hidden}-{outputs}"
        compare(label, network, two_layer, values)
    for name, width, chunks in (("features", 16, (4, 4, 4)), ("offsets", 30, ())):
        tensors = [torch.randn(ROWS, columns).requires_grad_() for columns in (width, width, width, 1)]
        tensors += [torch.randn(ROWS, 3 * own).requires_grad_() for own in chunks]
        label = f"{name} appearing, {ROWS} rows of {width}"
        compare(label, appearing(rate), appearing(definition), tensors)
    compare(f"Gaussian trits, {ROWS} rows of 30", gaussian_trits(rate), gaussian_trits(definition), tensors)
    outputs = torch.randn(ROWS, 32).requires_grad_()
    trits, weights = torch.randint(-1, 2, (ROWS, 16)).float(), torch.ones(ROWS, 1)
    compare(
        f"three-way trits, {ROWS} rows of 16",
        lambda x: rate.three_way_bits(x, trits, weights)[0],
        lambda x: definition.three_way_bits(x, trits, weights)[0],
        [outputs],
    )


if __name__ == "__main__":
    main()
