"""The CUDA kernels of small networks, run on the host, against the definition in float64 and the CPU kernel:
values and gradients to 1e-5 of their size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import torch
from cuda_close import by_each, close, derived, near_a_grid
from torch import Tensor

from gspc.ops import mlp, place
from gspc.ops.mlp import LevelFactors, Rounding, TwoLayerWeights


def leaves(*shapes: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) / max(shape[-1], 1) ** 0.5 for shape in shapes]


def shapes_of(inputs: int, hidden: int, outputs: int) -> list[tuple[int, ...]]:
    return [(hidden, inputs), (hidden,), (outputs, hidden), (outputs,)]


@pytest.mark.parametrize("n", [0, 1, 65, 530])
def test_networks_of_the_same_rows(on_host: None, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """Three, the last of which shares the first layer of the one before and has a gain."""
    tensors = leaves(
        (n, 30), *shapes_of(30, 17, 3), *shapes_of(30, 70, 66), (5, 70), (5,), (3,), (3,), (70, 1), (70,)
    )
    rates = torch.tensor([4.0, 1.0, 0.25])

    def run(x: Tensor, *given: Tensor) -> Sequence[Tensor]:
        gain = LevelFactors(given[10], given[11], rates.to(x), given[12], given[13], 2)
        steps, trunk = TwoLayerWeights(*given[:4]), TwoLayerWeights(*given[4:8])
        return mlp.two_layers(x, [steps, trunk, TwoLayerWeights(*given[4:6], *given[8:10], gain)])

    by_each(monkeypatch, tensors, run)


def test_networks_of_rows_of_their_own(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that some of them share, wider rows, a limited exponent, and more than one launch takes."""
    sizes = [(12, 8, 4), (9, 24, 6), (12, 5, 2)] * 3
    tensors = leaves(
        (40, 9), (40, 3), *(shape for size in sizes for shape in shapes_of(*size)), (2,), (2,), (8, 1), (8,)
    )
    tensors[-3] += 9

    def run(x: Tensor, extra: Tensor, *given: Tensor) -> Sequence[Tensor]:
        wide = torch.cat([x, x[:, :1]], 1)[:, :9]
        inputs: list[mlp.Inputs] = [(x, extra), wide, (extra, x)] * 3
        gain = LevelFactors(given[-4], given[-3], torch.ones(2).to(x), given[-2], given[-1], 1)
        nets = [TwoLayerWeights(*given[4 * i : 4 * i + 4]) for i in range(9)]
        nets[0] = nets[0]._replace(gain=gain)
        return mlp.two_layers_each(inputs, nets)

    by_each(monkeypatch, tensors, run)


@pytest.mark.parametrize("kind", ["networks", "pool", "heads"])
def test_simulated_integers(on_host: None, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Weights and hidden units on the grids of the stream, some units saturated, a row whose bias alone sets
    its scale; the last network has a gain."""
    most = 70 if kind == "heads" else 16
    x = torch.randint(-512, 513, (300, 30), generator=torch.Generator().manual_seed(1)) / 512
    shapes = ((17, 30), (3, 17), (70, 30), (66, 70))
    layers = [(near_a_grid(*shape, most), torch.arange(shape[0]) / 32 - 0.5) for shape in shapes]
    gain = [torch.zeros(3), torch.zeros(3), torch.arange(70)[:, None] / 128, torch.ones(70)]
    tensors = [x, *(part for layer in layers for part in layer), *gain]
    tensors[4][2] = 3000.0
    rounding = Rounding(None if kind == "heads" else torch.tensor(512.0), 64 if kind == "pool" else None)

    def run(rounding: Rounding | None, x: Tensor, *given: Tensor) -> Sequence[Tensor]:
        last = LevelFactors(given[8], given[9], torch.ones(3), given[10], given[11], 2)
        gain = None if kind == "heads" else last
        first = TwoLayerWeights(*given[:4], None, rounding)
        return mlp.two_layers(x, [first, TwoLayerWeights(*given[4:8], gain, rounding)])

    found = []
    for where in ("cuda", "torch"):
        monkeypatch.setattr(place, "of", lambda tensor, where=where: where)
        found.append(derived(tensors, torch.float32, partial(run, rounding)))
    close(*found)
    unrounded = run(None, *tensors)[1]
    assert float((found[0][1] - unrounded).abs().max()) > 1e-2


def test_rows_of_an_index(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    x, index = leaves((50, 7))[0], torch.tensor([3, 3, 49, 0, 7])
    run = lambda *given: mlp.two_layers(x.to(given[0]), [TwoLayerWeights(*given)], index)  # noqa: E731
    by_each(monkeypatch, leaves(*shapes_of(7, 6, 5), seed=1), run)


def test_what_needs_no_gradient_gets_none(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "of", lambda tensor: "cuda")
    x, *weights = leaves((20, 4), *shapes_of(4, 6, 5))
    weights[3].requires_grad_()
    (y,) = mlp.two_layers(x, [TwoLayerWeights(*weights)])
    y.sum().backward()
    assert x.grad is None and weights[0].grad is None
    assert torch.equal(weights[3].grad, torch.full((5,), 20.0))


def test_they_repeat(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the order of threads, which the emulation turns with every launch."""
    monkeypatch.setattr(place, "of", lambda tensor: "cuda")
    x, *weights = (t.requires_grad_() for t in leaves((530, 20), *shapes_of(20, 33, 9)))
    found = []
    for _ in range(3):
        (y,) = mlp.two_layers(x, [TwoLayerWeights(*weights)])
        found.append([y.detach(), *torch.autograd.grad(y.square().sum(), [x, *weights])])
    for first, second, third in zip(*found, strict=True):
        assert torch.equal(first, second) and torch.equal(first, third)


def test_nan_passes(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "of", lambda tensor: "cuda")
    x, *weights = leaves((3, 4), *shapes_of(4, 6, 5))
    x[1, 2] = torch.nan
    (y,) = mlp.two_layers(x, [TwoLayerWeights(*weights)])
    assert bool(y[1].isnan().all()) and not bool(y[[0, 2]].isnan().any())


def test_what_is_refused(host_library) -> None:
    import ctypes

    from gspc.ops.mlp import cuda

    for change in ({"networks": 0}, {"networks": 9}, {"n": 1 << 30}, {"networks": 1}):
        call = cuda._Call(**{"n": 1, "networks": 1, **change})
        assert host_library.gspc_mlp_forward(ctypes.byref(call), 0) == 1
