"""The CUDA kernels of the heads, run on the host, against the definition in float64 and the CPU kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from cuda_close import by_each
from torch import Tensor

from gspc.model.heads import GaussianHeads
from gspc.ops import place
from gspc.ops.heads import NeuralGaussians, cuda, neural_gaussians

OFFSETS, HIDDEN, PREDICTED, FEATURES = 5, 12, 6, 4
CENTER = (0.1, -0.2, 0.3)


def made(residual: int, predicted: int = PREDICTED) -> GaussianHeads:
    torch.manual_seed(3)
    heads = GaussianHeads(predicted, FEATURES, OFFSETS, HIDDEN, 0.25, residual)
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return heads


def inputs(n: int, scales: int, predicted: int = PREDICTED) -> list[Tensor]:
    generator = torch.Generator().manual_seed(n)
    shapes = (n, FEATURES), (n, scales), (n, OFFSETS, 3), (n, predicted)
    tensors = [torch.randn(shape, generator=generator) for shape in shapes]
    return [*tensors[:3], (torch.rand(n, OFFSETS, generator=generator) > 0.3).float(), tensors[3]]


def outputs_of(drawn: NeuralGaussians) -> list[Tensor]:
    """The Gaussians that are there."""
    count = len(drawn.index) if drawn.count is None else int(drawn.count)
    parts = drawn.index, *drawn.parts
    assert not bool(drawn.opacities[count:].any())
    assert all(bool(part[count:].isfinite().all()) for part in parts)
    return [part[:count] for part in parts]


def moved(heads: GaussianHeads, names: Sequence[str], weights: Sequence[Tensor]) -> None:
    """Makes `weights` the parameters of the heads, so that gradients flow to them."""
    for name, weight in zip(names, weights, strict=True):
        *path, last = name.split(".")
        owner: Any = heads.get_submodule(".".join(path))
        owner._parameters.pop(last, None)
        setattr(owner, last, weight)


@pytest.mark.parametrize(
    ("n", "scales", "residual", "quantized"),
    [(0, 6, 0, False), (1, 1, 0, False), (300, 1, 8, False), (70, 6, 0, True), (70, 6, 8, True)],
)
def test_gaussians(
    on_host: None, monkeypatch: pytest.MonkeyPatch, n: int, scales: int, residual: int, quantized: bool
) -> None:
    heads = made(residual)
    anchors = torch.randn(n, 3, generator=torch.Generator().manual_seed(1))
    visible = torch.rand(n, generator=torch.Generator().manual_seed(2)) > 0.2
    leaves = inputs(n, scales)
    names = [name for name, _ in heads.named_parameters()]
    weights = [parameter.detach() for parameter in heads.parameters()]

    def run(*given: Tensor) -> list[Tensor]:
        features, log_scales, offsets, mask, predicted, *theirs = given
        moved(heads, names, theirs)
        return outputs_of(
            neural_gaussians(
                features,
                log_scales,
                offsets,
                mask,
                anchors.to(features),
                torch.tensor(CENTER).to(features),
                heads.to_draw(quantized),
                visible,
                predicted,
            )
        )

    found = by_each(monkeypatch, [*leaves, *weights], run)
    assert n < 2 or 0 < len(found[0]) < n * OFFSETS


def test_features_alone_and_no_gradient(on_host: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pool and `visible`; every Gaussian of a view may be closed."""
    heads = made(0, predicted=0)
    features, log_scales, offsets, mask, _ = inputs(40, 6)
    anchors = torch.zeros(40, 3)
    anchors[0] = torch.tensor(CENTER)  # direction 0 there
    for gate in (mask, torch.zeros_like(mask)):
        found = []
        for where in ("cuda", "cpu"):
            monkeypatch.setattr(place, "of", lambda tensor, where=where: where)
            with torch.no_grad():
                drawn = neural_gaussians(
                    features, log_scales, offsets, gate, anchors, CENTER, heads.to_draw(False)
                )
            found.append(outputs_of(drawn))
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert len(found[0][0]) == 0


def test_what_is_refused(host_library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ({"scales": 2}, {"offsets": 0}, {"n": 1 << 31}):
        call = cuda._Call(**{"n": 1, "offsets": 1, "scales": 1, **change})
        assert host_library.gspc_heads_forward(ctypes.byref(call), 0) == 1
    monkeypatch.setattr(place, "of", lambda tensor: "cuda")
    features, log_scales, offsets, mask, predicted = inputs(4, 6)
    with pytest.raises(ValueError, match="predicted has shape"):
        neural_gaussians(
            features,
            log_scales,
            offsets,
            mask,
            torch.zeros(4, 3),
            CENTER,
            made(0).to_draw(False),
            None,
            predicted[1:],
        )
