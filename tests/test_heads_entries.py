"""The heads' entries: numpy beside torch, what they refuse, and products in bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_heads import OUTPUTS, Case, make_case

from gspc.ops import arrays
from gspc.ops.heads import HeadTensors, neural_gaussians
from gspc.scene import Heads


def test_numpy_entry_equals_torch() -> None:
    case = make_case(130, 25, 10, 50)
    expected = case.run(neural_gaussians)
    leaves = {name: leaf.detach().numpy() for name, leaf in case.leaves.items()}
    heads = Heads(**{name: leaves[name] for name in arrays.HEAD_WEIGHTS}, distance_scale=0.3)
    inputs = [leaves[name] for name in ("features", "log_scales", "offsets")]
    index, gaussians = arrays.neural_gaussians(
        *inputs, leaves["mask"] > 0.5, case.anchors.numpy(), case.center.numpy(), heads
    )
    assert np.array_equal(index, expected.index.numpy())
    for name in OUTPUTS:
        assert np.array_equal(getattr(gaussians, name), getattr(expected, name).detach().numpy())


def test_wrong_arguments_are_refused() -> None:
    case = make_case(10, 5, 3, 8)
    for name, leaf in case.leaves.items():
        for bad in (leaf.detach().double(), leaf.detach()[..., None]):
            broken = Case({**case.leaves, name: bad}, case.anchors, case.center)
            with pytest.raises((ValueError, IndexError)):
                broken.run(neural_gaussians)
    with pytest.raises(ValueError, match="anchors"):
        Case(case.leaves, case.anchors[1:], case.center).run(neural_gaussians)
    with pytest.raises(ValueError, match="visible"):
        case.run(neural_gaussians, visible=torch.ones(10))
    leaves = {name: leaf.detach().numpy() for name, leaf in case.leaves.items()}
    heads = Heads(**{name: leaves[name] for name in arrays.HEAD_WEIGHTS}, distance_scale=0.3)
    with pytest.raises(ValueError, match="offsets"):
        arrays.neural_gaussians(
            leaves["features"], leaves["log_scales"], leaves["offsets"][1:], leaves["mask"],
            case.anchors.numpy(), case.center.numpy(), heads,
        )  # fmt: skip


def test_bf16_products_are_near_and_leave_the_rest_alone():
    case = make_case(200, 32, 10, 50, seed=4).copy()
    half = case.copy()
    weights = HeadTensors(*(half.leaves[name] for name in arrays.HEAD_WEIGHTS), 0.3, bf16=True)
    inputs = [half.leaves[name] for name in ("features", "log_scales", "offsets", "mask")]
    want, got = case.run(neural_gaussians), neural_gaussians(*inputs, half.anchors, half.center, weights)
    both = set(want.index.tolist()) & set(got.index.tolist())
    assert len(both) > 0.98 * len(want.index)  # opacities about 0 may fall on either side
    for name in OUTPUTS:
        old, new = getattr(want, name).detach(), getattr(got, name).detach()
        assert new.dtype == torch.float32
        rows = [[i for i, n in enumerate(result.index.tolist()) if n in both] for result in (want, got)]
        difference = (old[rows[0]] - new[rows[1]]).abs()
        assert float(difference.mean()) < 0.02
        if name == "means":
            assert float(difference.max()) < 1e-6
        else:
            assert float(difference.max()) > 1e-5  # it is another arithmetic
    for function in (want, got):
        sum(getattr(function, name).square().sum() for name in OUTPUTS).backward()
    for name, leaf in half.leaves.items():
        assert leaf.grad.dtype == torch.float32
        error = (leaf.grad - case.leaves[name].grad).norm() / case.leaves[name].grad.norm()
        assert error < 0.1, name
