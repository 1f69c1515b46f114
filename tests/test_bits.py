"""Bits of symbols: the kernels against the readable definition and exact probabilities, derivatives
against finite differences, hostile values, any number of threads, and what is refused."""

import mpmath
import pytest
import torch

from gspc.ops import reference
from gspc.ops.arrays import kernels
from gspc.ops.bits import gaussian_bits, mixture_bits, trit_bits


@pytest.fixture(params=["base", "v3", "v4"])
def isa(request):
    kernels().set_isa(request.param)
    if kernels().active_isa() != request.param:
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    kernels().set_isa(kernels().supported_isa())


def arguments(count, mixture, shape=None):
    """Distances up to 9 standard deviations off, scales as the stream's tables hold them."""
    rng = torch.Generator().manual_seed(count)
    scales = [torch.exp2(torch.rand(count, generator=rng) * 10.5 - 3) for _ in range(2)]
    distance = scales[0] * (torch.rand(count, generator=rng) * 18 - 9)
    found = [distance, scales[0]]
    if mixture:
        near = distance + scales[1] * (torch.rand(count, generator=rng) * 12 - 6)
        found += [near, scales[1], torch.randn(count, generator=rng) * 4]
    return [value.reshape(shape or (count,)) for value in found]


def run(function, values, dtype):
    leaves = [value.to(dtype).detach().requires_grad_() for value in values]
    bits = function(*leaves)
    weights = torch.linspace(0.5, 2.0, bits.numel(), dtype=dtype).reshape(bits.shape)
    (bits * weights).sum().backward()
    return [bits.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("mixture", [False, True])
@pytest.mark.parametrize("count", [1, 15, 16, 40_007])
def test_kernels_are_the_definition(isa, mixture, count):
    function = mixture_bits if mixture else gaussian_bits
    definition = reference.mixture_bits if mixture else reference.gaussian_bits
    values = arguments(count, mixture)
    found, want = run(function, values, torch.float32), run(definition, values, torch.float64)
    assert all(part.dtype == torch.float32 for part in found)
    torch.testing.assert_close(found[0], want[0].float(), rtol=1e-5, atol=3e-4)
    for got, exact in zip(found[1:], want[1:], strict=True):
        torch.testing.assert_close(got, exact.float(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mixture", [False, True])
def test_definition_has_the_derivatives_of_its_values(mixture):
    values = [value.double().requires_grad_() for value in arguments(200, mixture)]
    inside = reference.mixture_bits(*values) if mixture else reference.gaussian_bits(*values)
    values = [value.detach()[inside < 23].requires_grad_() for value in values]  # unbounded, so exact
    assert len(values[0]) > 100
    function = mixture_bits if mixture else gaussian_bits
    assert torch.autograd.gradcheck(function, values, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mixture", [False, True])
def test_kernels_against_finite_differences(isa, mixture):
    """Of the float32 kernel itself: steps large enough for its rounding."""
    function = mixture_bits if mixture else gaussian_bits
    values = [torch.tensor([v]) for v in ((1.3, 0.9, -1.1, 2.0, 0.4) if mixture else (1.3, 0.9))]
    slopes = run(function, values, torch.float32)[1:]
    for i, slope in enumerate(slopes):
        ends = [[v + (way if j == i else 0) for j, v in enumerate(values)] for way in (-0.01, 0.01)]
        low, high = (run(function, end, torch.float32)[0] for end in ends)
        assert 0.5 * float(slope) == pytest.approx(0.5 * float((high - low) / 0.02) / 2, rel=1e-2)


@pytest.mark.parametrize(
    ("distance", "scale"), [(0.0, 0.125), (0.3, 0.2), (-2.0, 3.0), (5.0, 1.0), (90.0, 190.0)]
)
def test_bits_are_exact_where_probabilities_are_not_tiny(isa, distance, scale):
    with mpmath.workdps(40):
        edges = [(sign * 0.5 - abs(distance)) / mpmath.mpf(scale) for sign in (1, -1)]
        want = float(-mpmath.log(mpmath.ncdf(edges[0]) - mpmath.ncdf(edges[1]), 2))
    got = gaussian_bits(torch.tensor(distance), torch.tensor(scale)).item()
    assert got == pytest.approx(want, abs=2e-4)
    same = mixture_bits(*(torch.tensor(v) for v in (distance, scale, 0.0, scale, 0.7))).item()
    assert same == pytest.approx(want, abs=2e-4)


def test_a_weight_at_its_end_leaves_one_component(isa):
    values = [torch.tensor([v, v]) for v in (1.7, 0.8, 3.0, 2.0)]
    mixed = mixture_bits(*values, torch.tensor([-80.0, 80.0]))
    want = [gaussian_bits(values[0], values[1])[0], gaussian_bits(values[0] - values[2], values[3])[0]]
    torch.testing.assert_close(mixed, torch.stack(want), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("function", [gaussian_bits, reference.gaussian_bits])
def test_far_off_values_cost_24_bits_and_still_pull_back(function):
    bits, by_distance, by_scale = run(function, [torch.tensor([7.0, -7.0]), torch.ones(2)], torch.float32)
    assert bits.tolist() == [24.0, 24.0]
    assert by_distance[0] > 0 > by_distance[1] and bool((by_scale < 0).all())


HOSTILE = [0.0, -0.0, 0.5, -0.5, 1e-30, 1e-7, 30.0, 1e30, -1e30, float("inf"), -float("inf")]


def test_hostile_values_have_finite_bits_and_derivatives(isa):
    a, b, c = (v.flatten() for v in torch.meshgrid(*[torch.tensor(HOSTILE)] * 3, indexing="ij"))
    b, c = b.abs().clamp(max=1e30), c.clamp(-1e30, 1e30)
    for function, definition, values in (
        (gaussian_bits, reference.gaussian_bits, [a, b]),
        (mixture_bits, reference.mixture_bits, [a, b, c, b, c]),
    ):
        found = run(function, values, torch.float32)
        assert all(bool(torch.isfinite(part).all()) for part in found)
        torch.testing.assert_close(found[0], definition(*values), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("mixture", [False, True])
def test_not_a_number_is_not_hidden(isa, mixture):
    function, values = (mixture_bits if mixture else gaussian_bits), arguments(37, mixture)
    for argument in values:
        kept = argument[5].clone()
        argument[5] = float("nan")
        bits = function(*values)
        assert bits.isnan().nonzero().flatten().tolist() == [5]
        argument[5] = kept


@pytest.mark.parametrize("mixture", [False, True])
def test_same_bits_for_any_number_of_threads(isa, mixture):
    function, results = (mixture_bits if mixture else gaussian_bits), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(run(function, arguments(9_001, mixture), torch.float32))
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_shapes_views_and_unneeded_gradients():
    distance, scale = arguments(60, False, (6, 10))
    want = gaussian_bits(distance, scale)
    assert want.shape == (6, 10) and not want.requires_grad
    assert torch.equal(gaussian_bits(distance.T, scale.T), want.T)
    assert gaussian_bits(torch.zeros(0, 3), torch.ones(0, 3)).shape == (0, 3)
    scale.requires_grad_()
    gaussian_bits(distance, scale).sum().backward()
    assert scale.grad is not None and distance.grad is None


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"scale is torch\.float32 \(3,\)"):
        gaussian_bits(torch.zeros(2), torch.zeros(3))
    with pytest.raises(ValueError, match=r"weight_logit is torch\.float64"):
        mixture_bits(*[torch.ones(2)] * 4, torch.ones(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="one size"):
        kernels().bits_gaussian(
            [torch.zeros(2).numpy(), torch.zeros(3).numpy()], torch.zeros(2).numpy(), None
        )


def trit_arguments(count):
    rng = torch.Generator().manual_seed(count)
    logits = [torch.randn(count, generator=rng) * 6 for _ in range(2)]
    return [*logits, torch.randint(-1, 2, (count,), generator=rng).float()]


@pytest.mark.parametrize("count", [1, 17, 20_005])
def test_trits_are_the_definition(isa, count):
    values = trit_arguments(count)
    found = []
    for function, dtype in ((trit_bits, torch.float32), (reference.trit_bits, torch.float64)):
        zero, sign = (value.to(dtype).detach().clone().requires_grad_() for value in values[:2])
        bits = function(zero, sign, values[2].to(dtype))
        (bits * torch.linspace(0.5, 2, count, dtype=dtype)).sum().backward()
        found.append((bits.detach(), zero.grad, sign.grad))
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want.float(), rtol=1e-5, atol=1e-6)


def test_hostile_trits(isa):
    a, b = (v.flatten() for v in torch.meshgrid(*[torch.tensor(HOSTILE)] * 2, indexing="ij"))
    finite = [v.clamp(-1e30, 1e30).requires_grad_() for v in (a, b)]
    for trit in (-1.0, 0.0, 1.0):
        bits = trit_bits(*finite, torch.full_like(a, trit))
        torch.testing.assert_close(bits, reference.trit_bits(*finite, torch.full_like(a, trit)))
        grads = torch.autograd.grad(bits.sum(), finite)
        assert all(bool(torch.isfinite(grad).all()) and grad.abs().max() < 1.45 for grad in grads)
    nan = torch.tensor([float("nan"), 1.0])
    assert trit_bits(nan, nan.flip(0), torch.ones(2)).isnan().all()


def test_trits_of_any_number_of_threads_and_bad_ones():
    values, results = trit_arguments(9_001), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(trit_bits(*values))
    torch.set_num_threads(1)
    assert torch.equal(*results)
    with pytest.raises(ValueError, match=r"trits is torch\.float32 \(3,\).*zero_logit"):
        trit_bits(torch.zeros(2), torch.zeros(2), torch.zeros(3))
