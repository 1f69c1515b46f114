"""The heads by tinycudann's networks, against a stand-in of the same interface."""

from __future__ import annotations

import sys
from pathlib import Path

import fake_tinycudann
import pytest
import torch
from train_scenes import POOLED, Quiet, gradients, noise_scene, trainer

from gspc.config import FitOptions
from gspc.errors import BackendError, UsageError
from gspc.model.heads import GaussianHeads
from gspc.ops.heads.definition import logits
from gspc.ops.heads.tinycudann import FusedHeads, fused_heads, load
from gspc.train import fit


@pytest.mark.parametrize(("hidden", "residual"), [(7, 0), (31, 0), (64, 0), (12, 9)])
def test_they_equal_ours(hidden: int, residual: int) -> None:
    """Values and gradients, biases included, whatever has to be laid into a larger network."""
    torch.manual_seed(0)
    heads = GaussianHeads(6, 5, 10, hidden, 0.3, residual)
    inputs, results = torch.randn(40, 15), []
    for fused in (True, False):
        x = inputs.clone().requires_grad_()
        weights = heads.weights(quantized=False)
        units = len(weights.w1) // 3
        compute = FusedHeads(15, units, 10, fake_tinycudann) if fused else logits
        heads.zero_grad()
        found = compute(x, weights)
        sum((part * part).sum() for part in found).backward()
        results.append([*found, x.grad, *(p.grad for p in heads.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_step_takes_them_until_heads_are_integers() -> None:
    found = []
    for at in (40, 95):
        for fused in (True, False):
            made = trainer(noise_scene(), POOLED, at)
            weights, calls = made.model.heads.weights(quantized=False), []
            compute = FusedHeads(weights.w1.shape[1], len(weights.w1) // 3, 10, fake_tinycudann)

            def counted(
                *arguments: object, compute: FusedHeads = compute, calls: list[int] = calls
            ) -> object:
                calls.append(1)
                return compute(*arguments)  # type: ignore[arg-type]

            made.model.heads.logits = counted if fused else None  # type: ignore[assignment]
            found.append((gradients(made), len(calls)))
    assert [calls for _, calls in found] == [1, 0, 0, 0]
    for name, grad in found[0][0].items():
        torch.testing.assert_close(grad, found[1][0][name], rtol=1e-3, atol=1e-5, msg=name)


def test_sizes_that_no_fused_network_has() -> None:
    with pytest.raises(BackendError, match=r"128 hidden units and one for biases .*head_hidden=127"):
        FusedHeads(20, 128, 10, fake_tinycudann)


def test_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tinycudann", None)
    with pytest.raises(BackendError, match="tinycudann is not installed; build it"):
        load()


def test_where_it_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CUDA its import raises EnvironmentError."""
    (tmp_path / "tinycudann.py").write_text("raise EnvironmentError('unknown compute capability')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendError, match=r"does not load \(unknown compute capability\)"):
        fused_heads(20, 64, 10)


def test_who_may_ask_for_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--heads-backend other: give one of auto, gspc, tinycudann"):
        FitOptions(heads_backend="other")  # type: ignore[arg-type]
    options = FitOptions(iterations=5, device="cpu", heads_backend="tinycudann")
    with pytest.raises(BackendError, match="--heads-backend tinycudann needs a CUDA device"):
        fit(noise_scene(), tmp_path / "m.pt", options, Quiet())
