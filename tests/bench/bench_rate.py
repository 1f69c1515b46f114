"""Two-layer networks of the entropy model and the bits of symbols, kernels beside torch: one line per figure
(median of runs, CPU ms)."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from gspc.ops import arrays, bits, mlp, reference

NETWORKS = {"steps": (40_000, (96, 32, 3)), "trits": (2_500, (128, 64, 64))}
SYMBOLS = 170_000  # of the 5 % sample of 50k anchors


def median_ms(run: Callable[[], object], repeats: int = 11) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def both(function: Callable[..., Tensor], values: list[Tensor], grad: Tensor) -> None:
    torch.autograd.grad(function(*values), [value for value in values if value.requires_grad], grad)


def compare(name: str, of: Callable[..., Tensor], by: Callable[..., Tensor], values: list[Tensor]) -> None:
    grad = torch.ones_like(of(*values).detach())
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for label, function in (("kernel", of), ("torch", by)):
            forward = median_ms(functools.partial(function, *values))
            whole = median_ms(functools.partial(both, function, values, grad))
            setting = f"{name} threads={threads} {label:6}"
            print(f"{setting} forward {forward:7.2f} ms cpu, with backward {whole:7.2f} ms cpu", flush=True)


def network(x: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
    return mlp.two_layers(x, [mlp.TwoLayerWeights(*weights)])[0]


def main() -> None:
    arrays.keep_freed_memory()
    for name, (rows, (inputs, hidden, outputs)) in NETWORKS.items():
        shapes = ((rows, inputs), (hidden, inputs), (hidden,), (outputs, hidden), (outputs,))
        values = [torch.randn(shape).requires_grad_() for shape in shapes]
        label = f"{name} network rows={rows} {inputs}-{hidden}-{outputs}"
        compare(label, network, reference.two_layer, values)
    normal = [torch.randn(SYMBOLS).requires_grad_() for _ in range(3)]
    scales = [torch.rand(SYMBOLS).add_(0.2).requires_grad_() for _ in range(2)]
    trits = torch.randint(-1, 2, (SYMBOLS,)).float()
    mixture = [normal[0], scales[0], normal[1], scales[1], normal[2]]
    compare(f"Gaussian bits n={SYMBOLS}", bits.gaussian_bits, reference.gaussian_bits, mixture[:2])
    compare(f"mixture bits n={SYMBOLS}", bits.mixture_bits, reference.mixture_bits, mixture)
    compare(f"trit bits n={SYMBOLS}", bits.trit_bits, reference.trit_bits, [*normal[:2], trits])


if __name__ == "__main__":
    main()
