"""Every CUDA kernel of a training step beside the definition in float64: on a GPU where there is one, and on
the host by the emulation, so that these checks are sound when a GPU is at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from cuda_close import close, derived, near_a_grid
from torch import Tensor

from gspc.format.grid import GridPlane, GridSpec
from gspc.model.heads import GaussianHeads
from gspc.ops import cuda, grid, mlp, place, presence, rate, rows, weigh
from gspc.ops.grid import definition as grid_definition
from gspc.ops.heads import neural_gaussians
from gspc.ops.optimizer import Adam
from gspc.ops.rows import definition as rows_definition
from gspc.scene import Camera

N, SAMPLE = 700, 90


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def chosen(device: torch.device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(4)
    index = torch.randperm(N, generator=generator)[:400].sort().values
    return index.to(device), torch.randint(N, (SAMPLE,), generator=generator).to(device)


def networks(x: Tensor, *given: Tensor) -> Sequence[Tensor]:
    gain = mlp.LevelFactors(given[8], given[9], torch.ones_like(given[8]), given[10], given[11], 2)
    first, second = mlp.TwoLayerWeights(*given[:4], gain), mlp.TwoLayerWeights(*given[4:8])
    return mlp.two_layers(x, [first, second])


def integers(x: Tensor, *given: Tensor) -> Sequence[Tensor]:
    gain = mlp.LevelFactors(given[4], given[5], torch.ones_like(given[4]), given[6], given[7], 2)
    rounding = mlp.Rounding(torch.tensor(512.0).to(x), 64)
    return mlp.two_layers(x, [mlp.TwoLayerWeights(*given[:4], gain, rounding)])


def grid_that_learns(table: Tensor) -> Sequence[Tensor]:
    spec = GridSpec((100, -50, 0), (1000, 2000, 500), (GridPlane(0, 18, 10), GridPlane(2, 130, 9)))
    positions = torch.arange(3 * N, dtype=torch.int32, device=table.device).view(N, 3)
    by = grid_definition if table.dtype == torch.float64 else grid
    return by.grid_rows(positions, table, spec, *chosen(table.device))


def lattice(features: Tensor, scales: Tensor, centers: Tensor, center: Tensor) -> list[Tensor]:
    index, also = chosen(features.device)
    steps = [torch.full((N,), step).to(features) for step in (0.5, 0.25)]
    given = list(zip((features, scales), (centers.detach(), center.detach()), steps, strict=True))
    if features.dtype == torch.float64:
        pairs = [rows_definition.rounded_rows(v, index, also, c, s, 9, 1) for v, c, s in given]
    else:
        values, means, widths = zip(*given, strict=True)
        pairs = rows.rounded_attributes(values, index, also, means, widths, [(9, 1)] * 2)
    return [t for pair in pairs for t in pair]


def noise(features: Tensor, scales: Tensor, r: Tensor) -> list[Tensor]:
    index, also = chosen(features.device)
    if features.dtype == torch.float64:
        steps = [rate.relative_step(column) for column in r.unbind(1)]
        found: list[Tensor] = []
        for values, step, scale, seed in zip((features, scales), steps, (1.0, 0.1), (3, 4), strict=True):
            found += rows_definition.noisy_rows(values, index, also, step, scale, seed)
        return found
    pairs = rows.noisy_attributes((features, scales), index, also, r, (1.0, 0.1), (3, 4))
    return [t for pair in pairs for t in pair]


def masks(given: Tensor) -> Sequence[Tensor]:
    index, also = chosen(given.device)
    by = rows_definition if given.dtype == torch.float64 else rows
    return by.mask_rows(given, index, also, 2)


def heads(features: Tensor, log_scales: Tensor, offsets: Tensor, anchors: Tensor) -> list[Tensor]:
    torch.manual_seed(3)
    made = GaussianHeads(0, 8, 5, 20, 0.25).to(features)
    with torch.no_grad():
        made.second["opacity"].weight.mul_(5)
    mask = torch.ones(len(features), 5, device=features.device, dtype=features.dtype)
    center = torch.tensor([0.1, 0.2, 0.3]).to(features)
    drawn = neural_gaussians(
        features, log_scales, offsets, mask, anchors.detach(), center, made.to_draw(quantized=False)
    )
    count = len(drawn.index) if drawn.count is None else int(drawn.count)
    parts = drawn.index, *drawn.parts
    return [part[:count] for part in parts]


def appearance(values: Tensor, center: Tensor, octaves: Tensor, r: Tensor, chunk: Tensor) -> list[Tensor]:
    weights = torch.ones(len(values), 1, device=values.device, dtype=values.dtype)
    of = rate.AttributeRows(values, center, octaves + 3, r, 0.5)
    return [rate.appearance_bits(of, 3, weights, [chunk], 9)[0]]


def level_bits(outputs: Tensor, *given: Tensor) -> list[Tensor]:
    """Trits by a network; values that appear, and their trits by the same Gaussians."""
    ones = torch.ones(len(outputs), 1, device=outputs.device, dtype=outputs.dtype)
    trits = (torch.arange(outputs.shape[1] // 2).to(outputs) % 3 - 1).expand(len(outputs), -1)
    of = rate.AttributeRows(given[0], given[1], given[2] + 3, given[3], 0.5)
    values = [rate.Appearing(of, 3, ones, (), 5), rate.GaussianTrits(of, 3, 9, 0, ones)]
    total, (sums, more) = rate.all_bits([values, [rate.ThreeWay(outputs, trits, ones)]])
    return [total, sums, more]


def loss_of_bits(bits: Tensor, opened: Tensor, share: Tensor) -> Sequence[Tensor]:
    openings = [weigh.Opening([(2.0, 3.0)], 5, opened)]
    return weigh.weighed(weigh.Bits([bits], 4.0, openings, weigh.Signs(share, 99), 7), weigh.Weight(1, 0.5))


def levels(given: Tensor) -> list[Tensor]:
    anchors, gaussians, tally = (
        presence.presence if given.dtype == torch.float32 else presence.definition.presence
    )(given.detach(), 2)
    return [anchors.appears, gaussians.refined, tally.mask_bits, tally.gaussian_cost]


def adam(*given: Tensor) -> list[Tensor]:
    parameters = [torch.nn.Parameter(t.detach().clone()) for t in given]
    optimizer = (torch.optim.Adam if given[0].dtype == torch.float64 else Adam)(parameters, lr=0.1)
    for _ in range(3):
        for parameter in parameters:
            parameter.grad = parameter.detach() * 2 + 1
        optimizer.step()
    return [parameter.detach() for parameter in parameters]


WEIGHTS = [random(*shape, seed=5) / 4 for shape in ((40, 30), (40,), (66, 40), (66,))]
CASES: dict[str, tuple[Callable[..., Any], list[Tensor]]] = {
    "networks": (
        networks,
        [random(N, 30), *WEIGHTS, *WEIGHTS, *(random(*s, seed=6) for s in ((3,), (3,), (40, 1), (40,)))],
    ),
    "simulated integers": (
        integers,
        [
            torch.arange(N * 30).view(N, 30) * 7 % 1025 / 512 - 1,
            *(near_a_grid(40, 30, 16), torch.arange(40) / 32, near_a_grid(66, 40, 16), torch.arange(66) / 32),
            *(torch.zeros(3), torch.zeros(3), torch.arange(40)[:, None] / 64, torch.ones(40)),
        ],
    ),
    "grid that learns": (grid_that_learns, [random(1536, 4)]),
    "lattice": (lattice, [random(N, 6), random(N, 1, seed=1), random(N, 6, seed=2), random(N, 1, seed=3)]),
    "noise": (noise, [random(N, 6), random(N, 1, seed=1), random(400, 2, seed=2)]),
    "masks": (masks, [random(N, 4, 3) * 3 - 3]),
    "heads": (
        heads,
        [random(N, 8), random(N, 1, seed=1) - 2, random(N, 5, 3, seed=2), random(N, 3, seed=3) * 3],
    ),
    "appearance": (appearance, [random(N, 6, seed=i) for i in range(3)] + [random(N, 1), random(N, 9)]),
    "level bits": (
        level_bits,
        [random(N, 10) * 3, *(random(N, 4, seed=i) for i in range(3)), random(N, 1)],
    ),
    "loss of bits": (loss_of_bits, [torch.tensor(700.0), torch.tensor(30.0), torch.tensor(0.4)]),
    "levels": (levels, [random(N, 4, 3) * 3 - 3]),
    "adam": (adam, [random(N, 3), random(5), random(1)]),
}


def agree(monkeypatch: pytest.MonkeyPatch, name: str, device: str) -> None:
    run, tensors = CASES[name]
    found = []
    for where, dtype, at in (("cuda", torch.float32, device), ("torch", torch.float64, "cpu")):
        with monkeypatch.context() as patch:
            patch.setattr(place, "of", lambda tensor, where=where: where)
            results = derived([t.to(at) for t in tensors], dtype, run)
            found.append([result.cpu() for result in results])
    close(*found)


@pytest.mark.parametrize("name", CASES)
def test_on_the_host(on_host: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    agree(monkeypatch, name, "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
@pytest.mark.parametrize("name", CASES)
def test_on_a_device(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    reason = cuda.why_not()
    if reason is not None:
        pytest.skip(reason)
    agree(monkeypatch, name, "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_what_is_visible_on_a_device() -> None:
    camera = Camera("a.png", 64, 48, 50.0, 55.0, 30.0, 25.0, np.eye(4))
    given = random(90_000, 3) * 3, random(90_000, 1, seed=1) - 2, random(90_000, 4, 3, seed=2)
    found = rows.visible_rows(*(t.cuda() for t in given), camera)[0].cpu().tolist()
    wanted = rows.visible_rows(*given, camera)[0].tolist()
    assert len(set(found) ^ set(wanted)) < 5 and found == sorted(found)  # some lie on the frustum's sides
