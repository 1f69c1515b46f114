"""Fused Gaussian heads: values and gradients against the reference, hostile input, threads."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from gspc.ops import arrays
from gspc.ops.heads import HeadTensors, NeuralGaussians, definition, neural_gaussians

ISAS = ("base", "v3", "v4")
OUTPUTS = ("means", "quats", "scales", "opacities", "colors")
SHAPES = (  # N, F, K, H
    (200, 32, 10, 50),
    (97, 25, 10, 50),
    (1, 1, 1, 1),
    (5, 3, 2, 7),
    (193, 50, 5, 33),
    (96, 17, 16, 16),
    (300, 12, 3, 70),
)


@dataclass
class Case:
    leaves: dict[str, Tensor]  # features, log_scales, offsets, mask, then the weights
    anchors: Tensor
    center: Tensor

    def heads(self) -> HeadTensors:
        return HeadTensors(*(self.leaves[name] for name in arrays.HEAD_WEIGHTS), 0.3)

    def run(self, function, **options) -> NeuralGaussians:
        inputs = [self.leaves[name] for name in ("features", "log_scales", "offsets", "mask")]
        return function(*inputs, self.anchors, self.center, self.heads(), **options)

    def copy(self, dtype: torch.dtype = torch.float32) -> Case:
        leaves = {
            name: leaf.detach().to(dtype, copy=True).requires_grad_() for name, leaf in self.leaves.items()
        }
        return Case(leaves, self.anchors.to(dtype), self.center.to(dtype))


def make_case(n: int, f: int, k: int, h: int, seed: int = 0) -> Case:
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return scale * torch.randn(shape, generator=rng)

    leaves = {
        "features": normal(n, f),
        "log_scales": normal(n, 6, scale=0.5) - 3,
        "offsets": normal(n, k, 3, scale=0.5),
        "mask": (torch.rand(n, k, generator=rng) < 0.8).float(),
        "w1": normal(3 * h, f + 4, scale=(f + 4) ** -0.5),
        "b1": normal(3 * h, scale=0.2),
    }
    for name, rows in (("opacity", k), ("color", 3 * k), ("cov", 7 * k)):
        leaves[f"w_{name}"] = normal(rows, h, scale=h**-0.5)
        leaves[f"b_{name}"] = normal(rows, scale=0.3)
    return Case(leaves, normal(n, 3, scale=3.0), torch.tensor([0.5, -1.0, 4.0])).copy()


def fields(outputs: NeuralGaussians) -> tuple[Tensor, ...]:
    return (outputs.index, *(getattr(outputs, name) for name in OUTPUTS))


def random_like(outputs: NeuralGaussians, seed: int = 1) -> list[Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(getattr(outputs, name).shape, generator=rng) for name in OUTPUTS]


def gradients(case: Case, outputs: NeuralGaussians, grads: list[Tensor]) -> dict[str, Tensor]:
    tensors = [getattr(outputs, name) for name in OUTPUTS]
    values = torch.autograd.grad(tensors, list(case.leaves.values()), grads, allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if value is None else value
        for (name, leaf), value in zip(case.leaves.items(), values, strict=True)
    }


def assert_close(actual: Tensor, expected: Tensor, name: str, tolerance: float = 2e-5) -> None:
    scale = float(expected.detach().abs().max()) if expected.numel() else 1.0
    torch.testing.assert_close(
        actual,
        expected.to(actual.dtype),
        rtol=tolerance,
        atol=tolerance * max(scale, 1e-6),
        msg=lambda m: f"{name}: {m}",
    )


@pytest.mark.parametrize("shape", [(130, 8, 3, 20), (1, 4, 1, 5), (0, 4, 2, 5)])
def test_one_log_scale_is_six_equal_ones(shape: tuple[int, ...], isa: str) -> None:
    """The same Gaussians, bit for bit, and the sum of the six gradients."""
    one = make_case(*shape)
    one.leaves["log_scales"] = one.leaves["log_scales"][:, :1].detach().clone().requires_grad_()
    six = one.copy()
    six.leaves["log_scales"] = one.leaves["log_scales"].detach().repeat(1, 6).requires_grad_()
    found = []
    for case, function in (
        (one, neural_gaussians),
        (six, neural_gaussians),
        (one, definition.neural_gaussians),
    ):
        outputs = case.run(function)
        found.append((fields(outputs), gradients(case, outputs, random_like(outputs))))
    for a, b in zip(found[0][0], found[1][0], strict=True):
        assert torch.equal(a, b)
    for name, gradient in found[0][1].items():
        expected = found[1][1][name]
        if name == "log_scales":
            expected = expected.sum(1, keepdim=True)
        assert_close(gradient, expected, name)
        assert_close(gradient, found[2][1][name], name)
    narrow = one.copy()
    narrow.leaves["log_scales"] = torch.zeros(shape[0], 3)
    with pytest.raises(ValueError, match="log_scales has shape"):
        narrow.run(neural_gaussians)


@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_equal_reference(shape: tuple[int, ...], isa: str) -> None:
    case = make_case(*shape)
    exact = case.copy(torch.float64)
    fast, slow = case.run(neural_gaussians), exact.run(definition.neural_gaussians)
    assert torch.equal(fast.index, slow.index)
    for name in OUTPUTS:
        assert getattr(fast, name).dtype == torch.float32
        assert_close(getattr(fast, name), getattr(slow, name), name)
    grads = random_like(fast)
    expected = gradients(exact, slow, [g.double() for g in grads])
    for name, value in gradients(case, fast, grads).items():
        assert_close(value, expected[name], name, 5e-5)


@pytest.mark.parametrize("only", OUTPUTS)
def test_gradient_of_one_output(only: str) -> None:
    case = make_case(120, 9, 4, 20)
    exact = case.copy(torch.float64)
    (getattr(case.run(neural_gaussians), only) ** 3).sum().backward()
    (getattr(exact.run(definition.neural_gaussians), only) ** 3).sum().backward()
    for name, leaf in case.leaves.items():
        expected = exact.leaves[name].grad
        assert leaf.grad is not None
        assert_close(leaf.grad, torch.zeros_like(leaf) if expected is None else expected, name, 5e-5)


def test_reference_gradients_by_finite_differences() -> None:
    case = make_case(6, 4, 3, 5).copy(torch.float64)
    names = tuple(case.leaves)

    def run(*leaves: Tensor) -> tuple[Tensor, ...]:
        moved = Case(dict(zip(names, leaves, strict=True)), case.anchors, case.center)
        return fields(moved.run(definition.neural_gaussians))[1:]

    assert torch.autograd.gradcheck(run, tuple(case.leaves.values()), eps=1e-7, atol=1e-6)


def test_kernel_gradients_by_finite_differences() -> None:
    """Directional derivatives of the double reference against the kernel's gradient."""
    case = make_case(40, 8, 5, 12)
    outputs = case.run(neural_gaussians)
    grads = random_like(outputs)
    gradient = gradients(case, outputs, grads)
    rng = torch.Generator().manual_seed(7)
    for name in case.leaves:
        direction = torch.randn(case.leaves[name].shape, generator=rng).double()
        values = []
        for step in (-1e-6, 1e-6):
            moved = case.copy(torch.float64)
            with torch.no_grad():
                moved.leaves[name] += step * direction
                out = moved.run(definition.neural_gaussians)
            assert torch.equal(out.index, outputs.index)
            values.append(
                sum((getattr(out, o) * g).sum().item() for o, g in zip(OUTPUTS, grads, strict=True))
            )
        slope = (values[1] - values[0]) / 2e-6
        assert slope == pytest.approx(
            (gradient[name].double() * direction).sum().item(), rel=1e-3, abs=1e-3
        ), name


def test_bit_equal_for_any_number_of_threads(isa: str) -> None:
    case = make_case(20_000, 8, 3, 10)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            copy = case.copy()
            outputs = copy.run(neural_gaussians)
            results.append((*fields(outputs), *gradients(copy, outputs, random_like(outputs)).values()))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_visible_equals_a_subset(isa: str) -> None:
    case = make_case(400, 6, 4, 9)
    visible = torch.rand(400, generator=torch.Generator().manual_seed(3)) < 0.4
    outputs = case.run(neural_gaussians, visible=visible)
    every = case.copy().run(neural_gaussians)
    chosen = visible[every.index // 4]
    for actual, expected in zip(fields(outputs), fields(every), strict=True):
        assert torch.equal(actual, expected[chosen])
    exact = case.copy(torch.float64)
    grads = random_like(outputs)
    expected = gradients(
        exact, exact.run(definition.neural_gaussians, visible=visible), [g.double() for g in grads]
    )
    for name, value in gradients(case, outputs, grads).items():
        assert_close(value, expected[name], name, 5e-5)
    assert (
        gradients(case, case.run(neural_gaussians, visible=visible), grads)["features"][~visible] == 0
    ).all()


@pytest.mark.parametrize("predicted", [1, 5, 8])
def test_predicted_channels_may_lie_apart(predicted: int, isa: str) -> None:
    """Bit for bit what one array of features gives, gradients too; also where nothing else is left."""
    case = make_case(150, 8, 4, 20)
    whole = case.run(neural_gaussians)
    grads = random_like(whole)
    expected = gradients(case, whole, grads)
    apart = case.copy()
    first = case.leaves["features"].detach()[:, :predicted].clone().requires_grad_()
    apart.leaves["features"] = case.leaves["features"].detach()[:, predicted:].clone().requires_grad_()
    outputs = apart.run(neural_gaussians, predicted=first)
    assert all(torch.equal(a, b) for a, b in zip(fields(outputs), fields(whole), strict=True))
    apart.leaves["predicted"] = first
    found = gradients(apart, outputs, grads)
    joined = torch.cat([found.pop("predicted"), found.pop("features")], 1)
    assert torch.equal(joined, expected.pop("features"))
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name
    with pytest.raises(ValueError, match="predicted has shape"):
        apart.run(neural_gaussians, predicted=first[1:])


@pytest.mark.parametrize("kind", ["no anchors", "all masked", "none visible", "all closed"])
def test_nothing_to_draw(kind: str, isa: str) -> None:
    case = make_case(0 if kind == "no anchors" else 250, 5, 3, 8)
    visible = None
    with torch.no_grad():
        if kind == "all masked":
            case.leaves["mask"].zero_()
        if kind == "all closed":
            case.leaves["b_opacity"].fill_(-100)
    if kind == "none visible":
        visible = torch.zeros(250, dtype=torch.bool)
    outputs = case.run(neural_gaussians, visible=visible)
    assert [tuple(value.shape) for value in fields(outputs)] == [(0,), (0, 3), (0, 4), (0, 3), (0,), (0, 3)]
    for name, value in gradients(case, outputs, random_like(outputs)).items():
        assert value.shape == case.leaves[name].shape and (value == 0).all(), name


def test_hostile_values_stay_where_they_are(isa: str) -> None:
    """NaN anchors draw nothing, nobody harms another; an anchor at the camera is finite."""
    case = make_case(300, 6, 4, 9)
    with torch.no_grad():
        case.leaves["features"][10] = torch.nan
        case.leaves["features"][150, 2] = -torch.inf
        case.leaves["log_scales"][20] = 1e4
        case.leaves["log_scales"][21] = -1e4
        case.leaves["mask"][22] = torch.nan
        case.leaves["mask"][23] = 0.5
        case.leaves["features"][24] = 1e-42
    case.anchors[30] = case.center
    outputs = case.run(neural_gaussians)
    rows = outputs.index // 4
    clean = make_case(300, 6, 4, 9)
    clean.anchors[30] = case.center
    expected = clean.run(neural_gaussians)
    touched = torch.tensor([10, 150, 20, 21, 22, 23, 24])
    for hostile in (10, 22, 23):
        assert not (rows == hostile).any()
    assert (rows == 30).any()
    for name in OUTPUTS:
        value = getattr(outputs, name)
        assert torch.isfinite(value[~torch.isin(rows, torch.tensor([150, 20]))]).all(), name
        others = value[~torch.isin(rows, touched)]
        assert torch.equal(others, getattr(expected, name)[~torch.isin(expected.index // 4, touched)]), name
    assert torch.isfinite(outputs.scales).all() or not torch.isfinite(case.leaves["features"][150]).all()
    grads = random_like(outputs)
    for grad in grads:
        grad[torch.isin(rows, touched)] = 0
    result = gradients(case, outputs, grads)
    assert torch.isfinite(result["features"][30]).all()
    assert (result["features"][10] == 0).all() and (result["mask"][22] == 0).all()


def test_zero_quaternion_stays_zero(isa: str) -> None:
    case = make_case(10, 3, 2, 4)
    with torch.no_grad():
        for name in ("w_cov", "b_cov"):
            case.leaves[name].zero_()
    exact = case.copy(torch.float64)
    fast, slow = case.run(neural_gaussians), exact.run(definition.neural_gaussians)
    assert (fast.quats == 0).all()
    assert_close(fast.scales, slow.scales, "scales")
    fast.scales.sum().backward()
    slow.scales.sum().backward()
    assert_close(case.leaves["w_cov"].grad, exact.leaves["w_cov"].grad, "w_cov")


def test_functions_over_their_range(isa: str) -> None:
    """sigmoid, tanh and exp through the heads, one anchor per argument, within 1e-6 of the exact value."""
    x = torch.cat([torch.linspace(-40, 40, 2001), torch.logspace(-20, -1, 300), torch.zeros(1)])
    zero = torch.zeros
    heads = HeadTensors(
        torch.cat([torch.eye(5)[:1], -torch.eye(5)[:1]] * 3), zero(6), torch.tensor([[1.0, -1.0]]), zero(1),
        torch.tensor([[1.0, -1.0], [0, 0], [0, 0]]), zero(3), torch.tensor([[1.0, -1.0]] + [[0.0, 0.0]] * 6),
        torch.tensor([0.0, 0, 0, 1, 0, 0, 0]), 0.0,
    )  # fmt: skip
    n = len(x)
    log_scales = x[:, None].repeat(1, 6)
    mask = torch.ones(n, 1)
    inputs = (x[:, None], log_scales, torch.ones(n, 1, 3), mask, zero(n, 3), zero(3), heads)
    out = neural_gaussians(*inputs)
    kept = x[out.index].double()
    assert torch.equal(out.index, (x > 0).nonzero()[:, 0])
    torch.testing.assert_close(out.opacities.double(), torch.tanh(kept), rtol=1e-6, atol=0)
    torch.testing.assert_close(out.means[:, 0].double(), torch.exp(kept), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        out.scales[:, 0].double(), torch.exp(kept) * torch.sigmoid(kept), rtol=1e-6, atol=0
    )
    shifted = heads._replace(b_opacity=torch.full((1,), 50.0))
    out = neural_gaussians(*inputs[:-1], shifted)
    chosen = x[out.index].double()
    torch.testing.assert_close(out.colors[:, 0].double(), torch.sigmoid(chosen), rtol=1e-6, atol=0)


def test_frozen_weights_get_no_gradient() -> None:
    case = make_case(50, 5, 3, 8)
    for name in arrays.HEAD_WEIGHTS:
        case.leaves[name].requires_grad_(False)
    case.run(neural_gaussians).colors.sum().backward()
    assert case.leaves["features"].grad is not None and case.leaves["w1"].grad is None
