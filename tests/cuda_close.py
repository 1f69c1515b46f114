"""What the tests of CUDA kernels share: the same operation by a CUDA device, a CPU and the definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from gspc.ops import place

CLOSE = 1e-5  # of the size of values and gradients


def close(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> None:
    """Values to `CLOSE` of their norm."""
    for number, (got, want) in enumerate(zip(found, wanted, strict=True)):
        assert got.shape == want.shape, number
        error = float((got.double() - want.double()).norm())
        size = float(want.double().norm())
        assert error <= CLOSE * size + 1e-12, f"{number}: {error:.1e} of {size:.1e}"


def derived(
    tensors: Sequence[Tensor], dtype: torch.dtype, run: Callable[..., Sequence[Tensor]]
) -> list[Tensor]:
    """Outputs of `run` and, of a weighted sum of them, the gradients by `tensors`; 0 where there is none."""
    given = [t.detach().to(dtype, copy=True).requires_grad_() for t in tensors]
    outputs = run(*given)
    weighted = [
        (y * torch.linspace(-1, 2, y.numel(), dtype=dtype, device=y.device).view(y.shape)).sum()
        for y in outputs
        if y.requires_grad
    ]
    if weighted:
        sum(weighted[1:], weighted[0]).backward()
    grads = [torch.zeros_like(t) if t.grad is None else t.grad for t in given]
    return [*(y.detach() for y in outputs), *grads]


def by_each(
    monkeypatch: pytest.MonkeyPatch,
    tensors: Sequence[Tensor],
    run: Callable[..., Sequence[Tensor]],
    exact: Callable[..., Sequence[Tensor]] | None = None,
) -> list[Tensor]:
    """What a CUDA device finds, which is close to what a CPU and the definition in float64 find; `exact` is
    `run` for the definition where the two differ."""
    results = []
    for where, dtype in (("cuda", torch.float32), ("cpu", torch.float32), ("torch", torch.float64)):
        with monkeypatch.context() as patch:
            patch.setattr(place, "of", lambda tensor, where=where: where)
            function = exact if exact is not None and where == "torch" else run
            results.append(derived(tensors, dtype, function))
    close(results[0], results[2])
    close(results[0], results[1])
    return results[0]


def near_a_grid(rows: int, columns: int, most: int) -> Tensor:
    """Weights near multiples of 1/64, the largest of each row on one: sums of what they are rounded to are
    exact in any order, so that whoever computes them rounds hidden units alike."""
    generator = torch.Generator().manual_seed(rows)
    whole = torch.randint(-most + 1, most, (rows, columns), generator=generator)
    found = whole + 0.6 * (torch.rand(rows, columns, generator=generator) - 0.5)
    found[:, 0] = most
    return found / 64
