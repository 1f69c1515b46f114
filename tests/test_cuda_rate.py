"""The CUDA kernels of the rate, run on the host, against the definition in float64: values and gradients to
1e-5 of their size, or, where float32 itself is coarser, as close as the CPU kernels are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_rate import BASE, appearance, derived, gaussian_trits, outputs_of, tensors_of, weights_of
from torch import Tensor

from gspc.ops.rate import BY_CPU, BY_CUDA, AttributeRows, cuda, definition

CLOSE = 1e-5


def agree(found: list[Tensor], by_cpu: list[Tensor], exact: list[Tensor]) -> None:
    for number, (got, other, want) in enumerate(zip(found, by_cpu, exact, strict=True)):
        assert got.dtype == torch.float32 and got.shape == want.shape
        error, error_of_cpu = (float((x.double() - want.double()).detach().norm()) for x in (got, other))
        size = float(want.detach().double().norm())
        assert error <= max(CLOSE * size, 1.5 * error_of_cpu) + 1e-12, f"{number}: {error / size:.1e}"


def compare(
    function: Callable[[Any], Callable[..., Any]], tensors: list[Tensor], weights: Tensor
) -> list[Tensor]:
    """What the kernels give, equal to what the other two give."""
    found = derived(function(BY_CUDA), tensors, weights, torch.float32)
    by_cpu = derived(function(BY_CPU), tensors, weights, torch.float32)
    agree(found, by_cpu, derived(function(definition), tensors, weights, torch.float64))
    return found


@pytest.mark.parametrize("seed", [None, 7, (1 << 62) + 12345])
@pytest.mark.parametrize(("n", "width", "groups"), [(1, 1, 1), (300, 6, 1), (40, 30, 10)])
def test_appearance(on_host: None, n: int, width: int, groups: int, seed: int | None) -> None:
    found = compare(lambda module: appearance(module, seed), tensors_of(n, width), weights_of(n, groups))
    assert found[2].any() == (seed is not None and n > 1)  # rounded values have no gradient


@pytest.mark.parametrize("widths", [(4,), (2, 3, 1), (1,) * 8])
def test_appearance_of_chunks(on_host: None, widths: tuple[int, ...]) -> None:
    n, width = 280, sum(widths) + 3
    tensors = [*tensors_of(n, width), *outputs_of(n, widths)]
    compare(lambda module: appearance(module, 3), tensors, weights_of(n, 1))


def test_gaussian_trits(on_host: None) -> None:
    compare(gaussian_trits, tensors_of(270, 6), weights_of(270, 2))


def three_way(module: Any) -> Callable[..., Any]:
    generator = torch.Generator().manual_seed(1)
    trits = torch.randint(-1, 2, (270, 5), generator=generator).float()
    return lambda outputs, weights: module.three_way_bits(outputs, trits.to(outputs.dtype), weights)


def test_three_way(on_host: None) -> None:
    outputs = torch.randn(270, 10, generator=torch.Generator().manual_seed(2)) * 5
    compare(three_way, [outputs], weights_of(270, 5))


@pytest.mark.parametrize(("finest", "coarser"), [(3, 0), (9, 0), (9, 1)])
def test_trits(on_host: None, finest: int, coarser: int) -> None:
    rows = AttributeRows(*tensors_of(300, 7), BASE)
    found, by_cpu, exact = (list(m.trits(rows, finest, coarser)) for m in (BY_CUDA, BY_CPU, definition))
    agree(found, by_cpu, exact)
    assert set(found[1].unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_chunk_inputs(on_host: None) -> None:
    results = []
    for module, dtype in ((BY_CUDA, torch.float32), (BY_CPU, torch.float32), (definition, torch.float64)):
        leaves = [t.to(dtype).detach().requires_grad_() for t in tensors_of(300, 9)]
        inputs = module.chunk_inputs(AttributeRows(*leaves, BASE), 3, [2, 5, 9])
        sum((x * x).sum() for x in inputs).backward()
        assert leaves[0].grad is None
        results.append([*(x.detach() for x in inputs), *(leaf.grad for leaf in leaves[1:])])
    agree(*results)


def test_no_rows_and_no_gradients(on_host: None) -> None:
    rows = AttributeRows(*(t[:0] for t in tensors_of(3, 4)), BASE)
    total, sums = BY_CUDA.appearance_bits(rows, 1, weights_of(3, 1)[:0], [], 5)
    assert float(total) == 0 and sums.shape == (0, 1)
    rows = AttributeRows(*tensors_of(30, 4), BASE)
    total, _ = BY_CUDA.appearance_bits(rows, 1, weights_of(30, 1), [], 5)
    assert not total.requires_grad
    assert float(total) == pytest.approx(float(BY_CPU.appearance_bits(rows, 1, weights_of(30, 1), [], 5)[0]))


def test_they_repeat(on_host: None) -> None:
    """Whatever the order of threads, which the emulation turns with every launch."""
    tensors = tensors_of(700, 5)
    first, second, third = (
        derived(appearance(BY_CUDA, 4), tensors, weights_of(700, 1), torch.float32) for _ in range(3)
    )
    for a, b, c in zip(first, second, third, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


def test_what_they_refuse(host_library: Any) -> None:
    import ctypes

    for change in ({"groups": 0}, {"groups": 2}, {"chunks": 33}, {"width": 0}):
        call = cuda._Call(**{"n": 1, "width": 3, "groups": 1, **change})
        assert host_library.gspc_rate_trits(ctypes.byref(call), 0) == 1
