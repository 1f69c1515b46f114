"""The CUDA kernels of the rate, run on the host, against the definition in float64: values and gradients to
1e-5 of their size, or, where float32 itself is coarser, as close as the CPU kernels are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cuda_close
import pytest
import torch
from test_rate import BASE, appearance, derived, gaussian_trits, outputs_of, tensors_of, weights_of
from torch import Tensor

from gspc.ops import place, rate
from gspc.ops.rate import (
    BY_CPU,
    BY_CUDA,
    Appearing,
    AttributeRows,
    GaussianTrits,
    ThreeWay,
    definition,
    structures,
)

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


def by_all(monkeypatch: pytest.MonkeyPatch, given: list[Tensor], run: Callable[..., list[Tensor]]) -> None:
    """What the kernels find agrees with what a CPU and the definition find."""
    found = []
    for where, dtype in (("cuda", torch.float32), ("cpu", torch.float32), ("torch", torch.float64)):
        with monkeypatch.context() as patch:
            patch.setattr(place, "of", lambda tensor, where=where: where)
            found.append(cuda_close.derived(given, dtype, run))
    agree(*found)


def test_all_of_a_level(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attributes with their trits in one go; all that their bits depend on gets its gradient."""
    n = 270
    features = [*tensors_of(n, 7), *outputs_of(n, (2, 3))]
    trits = torch.randint(-1, 2, (n, 7), generator=torch.Generator().manual_seed(1)).float()
    outputs = torch.randn(n, 14, generator=torch.Generator().manual_seed(2)) * 5
    given = [*features, outputs, *tensors_of(n, 1), *tensors_of(n, 6), weights_of(n, 1), weights_of(n, 3)]

    def run(*all_of: Tensor) -> list[Tensor]:
        first, chunks, logits = AttributeRows(*all_of[:4], BASE), all_of[4:6], all_of[6]
        second, third = AttributeRows(*all_of[7:11], BASE), AttributeRows(*all_of[11:15], BASE)
        one, of_gaussians = all_of[15:]
        jobs = [
            [Appearing(first, 3, one, chunks, 7), ThreeWay(logits, trits.to(logits), one)],
            [Appearing(second, 3, one, (), 8), GaussianTrits(second, 3, 9, 1, one)],
            [Appearing(third, 3, of_gaussians, (), 9), GaussianTrits(third, 3, 9, 0, of_gaussians)],
        ]
        total, groups = rate.all_bits(jobs)
        return [total, *groups]

    by_all(monkeypatch, given, run)


def test_what_does_not_fit_in_one_call(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """More jobs than there is room for, and bits that are known already."""
    given = [*tensors_of(30, 4), weights_of(30, 1)]

    def run(*all_of: Tensor) -> list[Tensor]:
        rows, weights = AttributeRows(*all_of[:4], BASE), all_of[4]
        appearing = [[Appearing(rows, 3, weights, (), seed)] for seed in range(7)]
        few = rate.all_bits([[*appearing[0], weights.sum()], appearing[1]])
        return [rate.all_bits(appearing)[0], few[0], *few[1]]

    by_all(monkeypatch, given, run)


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

    for change in ({"groups": 0}, {"groups": 2}, {"width": 0}, {"beside": 1}):
        rows = structures.Rows(width=change.get("width", 3))
        own = {"groups": 1, "beside": -1, **{k: v for k, v in change.items() if k != "width"}}
        call = structures.Call(n=1, jobs=1)
        call.job[0] = structures.Job(rows=rows, **own)
        assert host_library.gspc_rate_bits(ctypes.byref(call), 0) == 1
    for call in (structures.Call(n=1), structures.Call(n=1, jobs=7), structures.Call(n=1, jobs=1, chunks=33)):
        call.job[0] = structures.Job(rows=structures.Rows(width=1), groups=1, beside=-1)
        assert host_library.gspc_rate_bits(ctypes.byref(call), 0) == 1
    chunks = structures.Chunks(n=1, chunks=33, rows=structures.Rows(width=1))
    assert host_library.gspc_rate_chunk_inputs(ctypes.byref(chunks), 0) == 1
    assert host_library.gspc_rate_trits(ctypes.byref(structures.Trits(n=1)), 0) == 1
