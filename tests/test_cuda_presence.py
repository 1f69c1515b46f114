"""The CUDA kernels of presence, run on the host, against the definition and what a CPU computes."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
import torch
from cuda_close import by_each, close
from train_scenes import SMALL, noise_scene, rows_of, trainer

from gspc.ops import place, presence, weigh
from gspc.ops.presence import Presence, Tally, cuda, definition
from gspc.train.rate.sample import level_sample
from gspc.train.rate.terms import POSITION_BITS, MasksTerm, PositionsTerm


def tensors_of(found: tuple[Presence, Presence, Tally]) -> list[torch.Tensor]:
    anchors, gaussians, tally = found
    weights = [t for of in (anchors, gaussians) for t in (of.appears, of.refined, of.alive)]
    return [*weights, tally.appearing, tally.mask_bits, tally.anchor_cost, tally.gaussian_cost]


@pytest.mark.parametrize("level", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [0, 1, 300])
def test_presence(on_host: None, monkeypatch: pytest.MonkeyPatch, n: int, level: int) -> None:
    """Levels beyond the planes show what the last one does."""
    masks = torch.randn(n, 4, 3, generator=torch.Generator().manual_seed(n)) * 4 - 4
    exact = tensors_of(definition.presence(masks.double(), min(level, 4)))
    monkeypatch.setattr(place, "of", lambda tensor: "cuda")
    close(tensors_of(presence.presence(masks, level)), exact)


def test_it_is_what_the_terms_compute(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trainer(noise_scene(), SMALL, 40).model
    with torch.no_grad():
        model.masks.normal_(std=4.0).sub_(4.0)
        found = []
        for where in ("cpu", "cuda"):
            rows = rows_of(model, torch.arange(model.anchors))
            grid = model.grid(model.positions)
            with monkeypatch.context() as patch:
                patch.setattr(place, "of", lambda tensor, where=where: where)
                at = level_sample(model, rows, grid, 2, noisy=False)
            assert (at.tally is None) == (where == "cpu")
            positions, masks = PositionsTerm().price(at), MasksTerm(model.shape.offsets).price(at)
            numbers = [positions.bits, masks.bits, masks.cost.anchor, masks.cost.gaussian]
            found.append(
                [*(torch.as_tensor(number) for number in numbers), at.anchors.refined, at.gaussians.alive]
            )
    close(*found)
    assert float(found[0][0]) % POSITION_BITS == 0


def test_means(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    values = [torch.randn(shape, generator=generator) for shape in ((700, 3), (1,), (0, 4))]
    weights = [(torch.rand(v.shape, generator=generator) > 0.4).float() for v in values]
    weights[1].zero_()
    exact = definition.means([v.double() for v in values], [w.double() for w in weights])
    monkeypatch.setattr(place, "of", lambda tensor: "cuda")
    close([presence.means(values, weights)], [exact])
    assert float(exact[0]) != 0 and exact[1:].tolist() == [0, 0]


def test_what_is_refused(host_library: Any) -> None:
    with pytest.raises(ValueError, match="masks are"):
        presence.presence(torch.zeros(3, 2), 1)
    with pytest.raises(ValueError, match="do not fit"):
        presence.means([torch.zeros(3)], [torch.zeros(2)])
    for change in ({"offsets": 0}, {"level": 0}, {"planes": 0}, {"n": 1 << 30}):
        call = cuda._Call(**{"n": 1, "offsets": 1, "planes": 1, "level": 1, **change})
        assert host_library.gspc_presence(ctypes.byref(call), 0) == 1


@pytest.mark.parametrize("relative", [None, 0.03])
def test_the_rate_in_the_loss(on_host: None, monkeypatch: pytest.MonkeyPatch, relative: float | None) -> None:
    costs = [(torch.tensor(7.5, dtype=torch.float64), torch.tensor(3.0, dtype=torch.float64)), (0.0, 8.0)]
    loss_so_far = None if relative is None else torch.tensor(relative, dtype=torch.float64)

    def run(first: torch.Tensor, second: torch.Tensor, opened: torch.Tensor, grid: torch.Tensor) -> Any:
        openings = [weigh.Opening(costs, 4, opened), weigh.Opening(costs[1:], 4, opened * 2)]
        signs = weigh.Signs(grid / 1000, 5000)
        bits = weigh.Bits([first, second, first.detach()], 3.5, openings, signs, 1000)
        return weigh.weighed(bits, weigh.Weight(1.25, 2e-3, loss_so_far, 0.025))

    by_each(monkeypatch, [torch.tensor(float(number)) for number in (300, 41, 12, 555)], run)


def test_the_rate_in_the_loss_of_more_than_a_launch_takes(
    on_host: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [torch.tensor(float(number)) for number in range(30)]
    by_each(
        monkeypatch,
        numbers,
        lambda *given: weigh.weighed(weigh.Bits(given, 2.0, [], None, 10), weigh.Weight(1.0, 1e-3)),
    )
