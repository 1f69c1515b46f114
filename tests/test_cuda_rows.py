"""The CUDA kernels of rows, masks and statistics, run on the host, against the definition in float64 and the
CPU kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from cuda_close import by_each, close
from torch import Tensor

from gspc.ops import place, rows
from gspc.ops.rows import definition, structures
from gspc.ops.steps import relative_step
from gspc.scene import Camera

N = 300


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def some(seed: int = 1, also: int = 500) -> tuple[Tensor, Tensor]:
    """Rows in order, and rows again and again."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(N, generator=generator)[:130].sort().values
    return index, torch.randint(N, (also,), generator=generator)


@pytest.fixture
def as_cuda(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "of", lambda tensor: "cuda")


@pytest.mark.parametrize("also", [0, 500])
@pytest.mark.parametrize("stepped", [True, False])
def test_noise(on_host: None, monkeypatch: pytest.MonkeyPatch, stepped: bool, also: int) -> None:
    index, plain = some(also=also)
    leaves = [random(N, 7), random(N, 1, seed=1), random(N, 3, 2, seed=2)]
    leaves += [random(len(index), 3, seed=3) * 3] if stepped else []
    scales, seeds = (1.0, 0.08, 0.3), (5, 1 << 61, 7)

    def run(*given: Tensor) -> list[Tensor]:
        r = given[3] if stepped else None
        return [t for pair in rows.noisy_attributes(given[:3], index, plain, r, scales, seeds) for t in pair]

    def exact(*given: Tensor) -> list[Tensor]:
        steps = relative_step(given[3]).unbind(1) if stepped else [None] * 3
        found: list[Tensor] = []
        for values, step, scale, seed in zip(given[:3], steps, scales, seeds, strict=True):
            found += definition.noisy_rows(values, index, plain, step, scale, seed)
        return found

    by_each(monkeypatch, leaves, run, exact)


def test_noise_of_one_parameter(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    index, also = some()
    tensors = [random(N, 5), random(len(index), seed=3).abs()]
    run: Callable[..., Any] = lambda values, step: rows.noisy_rows(values, index, also, step, 0.5, 3)  # noqa: E731
    exact: Callable[..., Any] = lambda values, step: definition.noisy_rows(values, index, also, step, 0.5, 3)  # noqa: E731
    by_each(monkeypatch, tensors, run, exact)


@pytest.mark.parametrize(("finest", "coarser"), [(1, 0), (9, 0), (9, 2)])
def test_rounding(on_host: None, monkeypatch: pytest.MonkeyPatch, finest: int, coarser: int) -> None:
    index, also = some()
    center, step = random(N, 6, seed=4), random(N, seed=5).abs() + 0.1

    def of(module: Any) -> Callable[..., Sequence[Tensor]]:
        return lambda values: module.rounded_rows(
            values, index, also, center.to(values), step.to(values), finest, coarser
        )

    by_each(monkeypatch, [random(N, 2, 3)], of(rows), of(definition))


@pytest.mark.parametrize("level", [1, 3])
def test_masks(on_host: None, monkeypatch: pytest.MonkeyPatch, level: int) -> None:
    index, also = some()
    masks = random(N, 4, 3) * 4 - 4
    found = by_each(
        monkeypatch,
        [masks],
        lambda given: rows.mask_rows(given, index, also, level),
        lambda given: definition.mask_rows(given, index, also, level),
    )
    assert 0 < float(found[2]) < N * 4


def test_gradients_repeat(as_cuda: None) -> None:
    """Whatever the order of threads, which the emulation turns with every launch."""
    index, also = some()
    masks, values = (random(N, *shape).requires_grad_() for shape in ((4, 3), (5,)))
    found = []
    for _ in range(3):
        parts = [*rows.mask_rows(masks, index, also, 2), *rows.noisy_rows(values, index, also, None, 1.0, 3)]
        total = sum((part.square().sum() for part in parts), torch.zeros(()))
        found.append(torch.autograd.grad(total, [masks, values]))
    for first, second, third in zip(*found, strict=True):
        assert torch.equal(first, second) and torch.equal(first, third)


@pytest.mark.parametrize("scales", [1, 6])
@pytest.mark.parametrize("count", [0, 1, 900])
def test_what_is_visible(as_cuda: None, count: int, scales: int) -> None:
    pose = np.eye(4)
    pose[:3, 3] = 0.1, -0.2, 0.3
    camera = Camera("a.png", 64, 48, 50.0, 55.0, 30.0, 25.0, pose)
    given = random(count, 3) * 3, random(count, scales, seed=1) - 3, random(count, 3, 3, seed=2)
    index, where = rows.visible_rows(*given, camera)
    wanted, positions = definition.visible_rows(*given, camera)
    assert torch.equal(index, wanted) and torch.equal(where, positions)
    assert count < 900 or 100 < len(index) < 800


@pytest.mark.parametrize("counted", [True, False])
def test_statistics(as_cuda: None, counted: bool) -> None:
    """Rows beyond the count are not there, whatever they hold."""
    k, (visible, _) = 4, some()
    generator = torch.Generator().manual_seed(2)
    index = torch.randperm(len(visible) * k, generator=generator)[:333].sort().values
    given = (
        torch.randint(0, 3, (333,), dtype=torch.int32, generator=generator),
        random(333, 2),
        random(333, seed=1).abs(),
    )
    results = []
    for add in (rows.add_statistics, definition.add_statistics):
        sums = random(N * k, seed=6), random(N * k, seed=7), random(N, seed=8), random(N, seed=9)
        more = {}
        parts = index, *given
        if counted and add is rows.add_statistics:
            more = {"count": torch.tensor([333])}
            parts = tuple(torch.cat([t, t.new_full((50, *t.shape[1:]), 1 << 20)]) for t in parts)
        add(sums, visible, *parts, (16.0, 12.0), **more)  # type: ignore[arg-type, operator]
        results.append(sums)
    close(*results)


@pytest.mark.parametrize("count", [None, 0, 3, 700])
def test_mean_of_products(as_cuda: None, count: int | None) -> None:
    values = random(700, 3)
    ours = values.clone().requires_grad_()
    mean = rows.mean_product(ours, None if count is None else torch.tensor([count]))
    mean.backward(torch.tensor(2.0))
    exact = values.double().requires_grad_()
    if count == 0:
        assert float(mean.detach()) == 0.0 and not bool(ours.grad.any())
        return
    wanted = definition.mean_product(exact[:count])
    wanted.backward(torch.tensor(2.0, dtype=torch.float64))
    close([mean.detach(), ours.grad], [wanted.detach(), exact.grad])


def test_what_is_refused(host_library: Any) -> None:
    for change in ({"attributes": 5}, {"n": 1 << 30}, {"count": 2}):
        call = structures.Rows(**{"n": 1, "attributes": 1, **change})
        assert host_library.gspc_rows_taken(ctypes.byref(call), 0) == 1
    masks = structures.Masks(offsets=1, planes=2, level=3)
    assert host_library.gspc_rows_masks(ctypes.byref(masks), 0) == 1
