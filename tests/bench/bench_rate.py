"""The two-layer network of the entropy model, kernel beside torch: one line per figure (median of runs, CPU
ms)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from gspc.ops import arrays, reference
from gspc.ops.mlp import two_layer


def median_ms(run: Callable[[], object], repeats: int = 11) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def main() -> None:
    arrays.keep_freed_memory()
    for name, rows, sizes in (("steps", 40_000, (96, 32, 3)), ("trits", 2_500, (128, 64, 64))):
        inputs, hidden, outputs = sizes
        shapes = ((rows, inputs), (hidden, inputs), (hidden,), (outputs, hidden), (outputs,))
        values = [torch.randn(shape).requires_grad_() for shape in shapes]
        grad = torch.randn(rows, outputs)
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for label, function in (("kernel", two_layer), ("torch", reference.two_layer)):

                def forward(function: Callable[..., torch.Tensor] = function) -> torch.Tensor:
                    return function(*values)

                def both(function: Callable[..., torch.Tensor] = function) -> None:
                    torch.autograd.grad(function(*values), values, grad)

                setting = f"mlp {name} rows={rows} {inputs}-{hidden}-{outputs} threads={threads} {label:6}"
                print(f"{setting} forward          {median_ms(forward):7.2f} ms cpu")
                print(f"{setting} forward+backward {median_ms(both):7.2f} ms cpu", flush=True)


if __name__ == "__main__":
    main()
