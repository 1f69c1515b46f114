"""Rate of attributes: the kernels against the readable definition and exact probabilities, derivatives
against finite differences, hostile values, any number of threads, and what is refused."""

import functools
import itertools
import math

import mpmath
import pytest
import torch

from gspc.format import units
from gspc.model import quantization as quant
from gspc.ops import rate, steps
from gspc.ops.kernels import kernels
from gspc.ops.mlp import rounding
from gspc.ops.rate import AttributeRows, appearance_bits, chunk_inputs, definition, three_way_bits, trits

BASE = 0.25


def tensors_of(n, width, spread=6.0):
    """Values up to some standard deviations off, scales and steps as the stream's tables hold them and a few
    beyond; values [n, width] of their own, the others part of wider rows."""
    rng = torch.Generator().manual_seed(1000 * n + width)
    wide = torch.randn(n, 2 * width + 3, generator=rng)
    center, r = wide[:, 1 : width + 1], wide[:, :1].mul_(1.2)
    octaves = torch.rand(n, width + 5, generator=rng)[:, 2 : width + 2].mul_(11).sub_(0.3)
    sigma = BASE / 8 * torch.exp2(octaves)
    values = BASE * center + sigma * (torch.rand(n, width, generator=rng) - 0.5) * spread
    return [values, center, octaves, r]


def outputs_of(n, widths):
    """Second components of the chunks' mixtures: means, octaves and logits."""
    rng = torch.Generator().manual_seed(n)
    found = []
    for own in widths:
        outputs = torch.randn(n, 3 * own, generator=rng) * 3
        outputs[:, own : 2 * own] = torch.rand(n, own, generator=rng) * 11 - 0.3
        found.append(outputs)
    return found


def derived(function, tensors, weights, dtype):
    """The weighted sum, the sums by group, and the gradients of tensors and weights."""
    leaves = [tensor.to(dtype).detach().requires_grad_() for tensor in [*tensors, weights]]
    total, sums = function(*leaves)
    (0.5 * total).backward()
    return [total.detach(), sums, *(leaf.grad if leaf.grad is not None else 0 * leaf for leaf in leaves)]


def appearance(module, seed=None, refinement=3):
    def run(values, center, octaves, r, *rest):
        *chunks, weights = rest
        rows = AttributeRows(values, center, octaves, r, BASE)
        return module.appearance_bits(rows, refinement, weights, chunks, seed)

    return run


noisy = functools.partial(appearance, seed=5)


def gaussian_trits(module):
    def run(values, center, octaves, r, weights):
        rows = AttributeRows(values, center, octaves, r, BASE)
        return module.gaussian_trit_bits(rows, 3, 9, 1, weights)

    return run


def weights_of(n, groups):
    return torch.linspace(0, 2, n * groups).reshape(n, groups)  # the first one is 0


def agree(found, want):
    for i, (got, exact) in enumerate(zip(found, want, strict=True)):
        assert got.dtype == torch.float32
        loose = {"rtol": 1e-3, "atol": 2e-4} if i > 1 else {"rtol": 1e-5, "atol": 1e-3}
        torch.testing.assert_close(got, exact.float(), **loose)


LAYOUTS = {  # values in a row, groups of weights, channels of the chunks
    "one scale": (1, 1, []),
    "offsets": (30, 10, []),
    "features": (16, 1, [4, 4, 4]),
    "uneven": (7, 7, [2, 3]),
    "only mixtures": (5, 1, [5]),
    "wide": (256, 2, [100, 100]),
}


@pytest.mark.parametrize("seed", [None, 77])
@pytest.mark.parametrize("n", [1, 67])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_appearance_is_the_definition(isa, layout, n, seed):
    width, groups, chunks = LAYOUTS[layout]
    tensors = [*tensors_of(n, width), *outputs_of(n, chunks)]
    weights = weights_of(n, groups)
    found = derived(appearance(rate, seed), tensors, weights, torch.float32)
    agree(found, derived(appearance(definition, seed), tensors, weights, torch.float64))
    assert found[1].shape == (n, groups) and not found[1].requires_grad
    torch.testing.assert_close(found[-1], 0.5 * found[1])
    moved = bool(found[2].any()) or bool(found[3].any())
    assert moved == (seed is not None and bool(weights.any()))  # rounded values stay where they are


@pytest.mark.parametrize("n", [1, 67])
@pytest.mark.parametrize("width", [1, 16, 30, 256])
def test_gaussian_trits_are_the_definition(isa, n, width):
    tensors, weights = tensors_of(n, width), weights_of(n, 1) + 0.1
    found = derived(gaussian_trits(rate), tensors, weights, torch.float32)
    agree(found, derived(gaussian_trits(definition), tensors, weights, torch.float64))
    assert not found[2].any() and not found[3].any() and found[4].any() and found[5].any()


@pytest.mark.parametrize("ends", [(4, 8, 12, 16), (1, 2), (3, 10)])
def test_chunk_inputs_are_the_definition(isa, ends):
    tensors = tensors_of(67, ends[-1], spread=40.0)
    tensors[1][::3] *= 60  # centers beyond the networks' range
    results = []
    for module, dtype in ((None, torch.float32), (definition, torch.float64)):
        leaves = [tensor.to(dtype).detach().requires_grad_() for tensor in tensors]
        rows = AttributeRows(*leaves, BASE)
        inputs = (chunk_inputs if module is None else module.chunk_inputs)(rows, 3, ends)
        sum((x * torch.linspace(-1, 2, x.numel()).reshape(x.shape)).sum() for x in inputs).backward()
        results.append([*(x.detach() for x in inputs), *(leaf.grad for leaf in leaves[1:])])
        assert leaves[0].grad is None or not leaves[0].grad.any()
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want.float(), rtol=1e-4, atol=1e-4)
    for (first, end), x in zip(itertools.pairwise(ends), results[0], strict=False):
        assert x.shape == (67, 2 * end - first)


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_trits_rebuild_every_level_from_the_one_before(isa, levels):
    """Of values in double precision, whose symbols at every level follow from the finest ones, or from the
    values themselves."""
    _, center, octaves, r = (t.double() for t in tensors_of(300, 16))
    values = BASE * (center + 4 * torch.randn(center.shape, generator=torch.Generator().manual_seed(0)))
    exact = AttributeRows(values, center, octaves, r, BASE)
    rows = AttributeRows(*(t.float() for t in exact.tensors), BASE)
    first = quant.step(BASE, r)
    finest = 3 ** (levels - 1)
    for level in range(2, levels + 1):
        so_far, found = trits(rows, finest, levels - level)
        want = definition.trits(exact, finest, levels - level)
        clear = (found == want[1]) & (want[0].abs() < 3.9)  # a float32 lies on the other side of an edge
        assert clear.float().mean() > 0.95
        torch.testing.assert_close(so_far[clear], want[0][clear].float(), rtol=1e-5, atol=1e-5)
        above = want[0] * 8 * BASE / first * 3 ** (level - 2)
        symbols = torch.floor((values - BASE * center) / first * 3 ** (level - 1) + 0.5)
        torch.testing.assert_close((3 * above + want[1])[clear], symbols[clear])
        assert set(found.unique().tolist()) == {-1.0, 0.0, 1.0}
        assert so_far.abs().max() <= 2047 / 512


def test_ties_go_to_the_right(isa):
    rows = AttributeRows(
        torch.tensor([[-1.5, -0.5, 0.5, 1.5, 2.5]]), *[torch.zeros(1, 5)] * 2, torch.zeros(1, 1), 1.0
    )
    so_far, found = trits(rows, 3, 0)  # steps of 1/3: symbols -4, -1, 2, 5, 8 after rounding -4.5, -1.5, ...
    assert (so_far * 8).tolist() == [[-1.0, 0.0, 1.0, 2.0, 3.0]]
    assert found.tolist() == [[-1.0, -1.0, -1.0, -1.0, -1.0]]


def three_way_tensors(n, width):
    rng = torch.Generator().manual_seed(n)
    outputs = torch.randn(n, 2 * width + 1, generator=rng)[:, 1:] * 5
    return outputs, torch.randint(-1, 2, (n, width), generator=rng).float()


@pytest.mark.parametrize(("n", "width", "groups"), [(1, 1, 1), (67, 16, 1), (40, 30, 10), (3, 256, 1)])
def test_three_way_bits_are_the_definition(isa, n, width, groups):
    outputs, trit = three_way_tensors(n, width)
    weights = weights_of(n, groups) + 0.1
    assert n == 1 or (outputs[:, :width].abs().max() > 8 and outputs[:, width:].abs().max() > 4)
    found = derived(lambda x, w: three_way_bits(x, trit, w), [outputs], weights, torch.float32)
    want = derived(
        lambda x, w: definition.three_way_bits(x, trit.double(), w), [outputs], weights, torch.float64
    )
    agree(found, want)


def test_definitions_have_the_derivatives_of_their_values():
    """In double precision, where nothing is bounded."""
    values, center, octaves, r = (t.double() for t in tensors_of(6, 5, spread=2.0))
    leaves = [t.detach().contiguous().requires_grad_() for t in (values, center, octaves.clamp(2, 8), r)]
    chunks = [c.double().clamp(2, 8).requires_grad_() for c in outputs_of(6, [2, 1])]
    weights = (weights_of(6, 1) + 0.1).double().requires_grad_()
    check = functools.partial(torch.autograd.gradcheck, rtol=1e-4, atol=1e-5)

    def total(function):
        return lambda *tensors: function(*tensors)[0]

    assert check(total(noisy(definition)), [*leaves, *chunks, weights])
    assert check(total(appearance(definition)), [*leaves, *chunks, weights])
    assert check(total(gaussian_trits(definition)), [*leaves, weights])
    # What comes after the own channels' scales and means is rounded.
    assert check(lambda *t: definition.chunk_inputs(AttributeRows(*t, BASE), 3, (2, 4))[0][:, :4], leaves)
    outputs, trit = three_way_tensors(6, 5)
    inside = outputs.double().clamp(-3.5, 3.5).requires_grad_()
    assert check(lambda x, w: definition.three_way_bits(x, trit.double(), w)[0], [inside, weights])


# Of values, centers, octaves and steps: without noise all but octaves move values across edges: a jump.
@pytest.mark.parametrize("make, moving", [(appearance, [2]), (gaussian_trits, [2]), (noisy, [0, 1, 2, 3])])
def test_kernels_against_finite_differences(isa, make, moving):
    """Slopes of the float32 kernels, each followed uphill by the definition in double precision."""
    tensors, weights = [t.clone() for t in tensors_of(20, 3, spread=2.0)], torch.ones(20, 1)
    tensors[2].clamp_(3, 8)
    _, _, *slopes = derived(make(rate), tensors, weights, torch.float32)
    ends = [t.double() for t in (*tensors, weights)]
    for i in moving:
        way = 1e-6 * slopes[i].double().sign()
        low, high = (make(definition)(*ends[:i], ends[i] + w, *ends[i + 1 :])[0] for w in (-way, way))
        want = 0.5 * float(high - low) / 2e-6
        assert float(slopes[i].double().abs().sum()) == pytest.approx(want, rel=1e-3) and want > 1


def rows_at(distance, scale, n=1):
    """Values that many steps from the center, with a standard deviation of `scale` steps."""
    of = functools.partial(torch.full, (n, 1))
    return AttributeRows(of(float(distance)), of(0.0), of(math.log2(scale) + 3), torch.zeros(n, 1), 1.0)


def bits_at(distance, scale, chunks=()):
    return appearance_bits(rows_at(distance, scale), 1, torch.ones(1, 1), chunks)[0].item()


@pytest.mark.parametrize(("distance", "scale"), [(0, 0.125), (1, 0.3), (-2, 3.0), (5, 1.0), (90, 190.0)])
def test_bits_are_exact_where_probabilities_are_not_tiny(isa, distance, scale):
    with mpmath.workdps(40):
        edges = [(sign * 0.5 - abs(distance)) / mpmath.mpf(scale) for sign in (1, -1)]
        want = float(-mpmath.log(mpmath.ncdf(edges[0]) - mpmath.ncdf(edges[1]), 2))
    assert bits_at(distance, scale) == pytest.approx(want, abs=2e-4)
    same = torch.tensor([[0.0, math.log2(scale) + 3, 0.7]])
    assert bits_at(distance, scale, [same]) == pytest.approx(want, abs=2e-4)
    other = torch.tensor([[3.0, math.log2(2.0) + 3, 0.0]])
    for logit, certain in ((-80.0, bits_at(distance, scale)), (80.0, bits_at(distance - 3, 2.0))):
        other[0, 2] = logit
        assert bits_at(distance, scale, [other]) == pytest.approx(certain, rel=1e-6)


@pytest.mark.parametrize("scale", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("before", [0, 1, -2, 4])
def test_shares_of_three_bins_are_exact(isa, before, scale):
    masses = []
    with mpmath.workdps(40):
        for t in (-1, 0, 1):
            away = abs(3 * before + t)
            masses.append(
                mpmath.ncdf((0.5 - away) / mpmath.mpf(scale)) - mpmath.ncdf((-0.5 - away) / mpmath.mpf(scale))
            )
        want = [float(m / sum(masses)) for m in masses]
    if min(masses) < 2**-24:
        pytest.skip("bounded")
    for t, share in zip((-1, 0, 1), want, strict=True):
        # Values of step 1 / 3 at the finer level, so many of them from the center.
        octaves = torch.tensor([[math.log2(scale / 3) + 3]])
        values = torch.tensor([[(3 * before + t) / 3]])
        rows = AttributeRows(values, torch.zeros(1, 1), octaves, torch.zeros(1, 1), 1.0)
        bits = rate.gaussian_trit_bits(rows, 3, 3, 0, torch.ones(1, 1))[0].item()
        assert bits == pytest.approx(-math.log2(share), abs=3e-4)


def test_probabilities_sum_to_one(isa):
    k = torch.arange(-150.0, 151.0)[:, None]
    flat = torch.zeros_like(k)
    bits = appearance_bits(AttributeRows(k, flat, flat + math.log2(7) + 3, flat, 1.0), 1, flat + 1)[1]
    assert torch.exp2(-bits[bits < 23.9]).sum().item() == pytest.approx(1.0, abs=1e-5)
    logits = torch.tensor([[0.4, -1.1]]).expand(3, 2)
    p = torch.exp2(-three_way_bits(logits, torch.tensor([[-1.0], [0.0], [1.0]]), torch.ones(3, 1))[1])[:, 0]
    assert p.sum().item() == pytest.approx(1.0, abs=1e-6)
    assert p[1].item() == pytest.approx(1 / (1 + math.exp(-0.4)), abs=1e-6)
    assert (p[2] / (p[0] + p[2])).item() == pytest.approx(1 / (1 + math.exp(1.1)), abs=1e-6)


@pytest.mark.parametrize("module", [rate, definition])
def test_far_off_values_cost_24_bits_and_still_pull_back(module):
    values = torch.tensor([[8.0], [-8.0]], requires_grad=True)
    octaves = torch.full((2, 1), 3.0, requires_grad=True)
    rows = AttributeRows(values, torch.zeros(2, 1), octaves, torch.zeros(2, 1), 1.0)
    total, sums = module.appearance_bits(rows, 1, torch.ones(2, 1), (), 3)
    total.backward()
    assert sums.flatten().tolist() == [24.0, 24.0]
    assert values.grad[0] > 0 > values.grad[1] and bool((octaves.grad < 0).all())


HOSTILE = [0.0, -0.0, 0.5, -0.5, 1e-30, 1e-7, 30.0, 1e30, -1e30]


def test_hostile_values_have_finite_bits_and_derivatives(isa):
    a, b, c = (v.reshape(-1, 1) for v in torch.meshgrid(*[torch.tensor(HOSTILE)] * 3, indexing="ij"))
    mixtures = torch.cat([b, c, a], 1)
    weights = torch.ones_like(a)
    for seed, chunks in itertools.product((None, 9), ([], [mixtures])):
        tensors = [a, b.clamp(-1e28, 1e28), c, a.flip(0), *chunks]
        found = derived(appearance(rate, seed), tensors, weights, torch.float32)
        assert all(bool(torch.isfinite(part).all()) for part in found)
        want = appearance(definition, seed)(*tensors, weights)[1]
        torch.testing.assert_close(found[1], want, rtol=1e-5, atol=2e-3)
    found = derived(gaussian_trits(rate), [a.clamp(-1e4, 1e4), 0 * b, c, a.flip(0)], weights, torch.float32)
    assert all(bool(torch.isfinite(part).all()) for part in found)
    outputs = torch.cat([a, b], 1)
    for trit in (-1.0, 0.0, 1.0):
        of = functools.partial(three_way_bits, trits=torch.full_like(a, trit))
        found = derived(lambda x, w, of=of: of(x, weights=w), [outputs], weights, torch.float32)
        assert all(bool(torch.isfinite(part).all()) for part in found) and found[2].abs().max() < 1.45


def test_not_a_number_is_not_hidden(isa):
    tensors = [*tensors_of(37, 5), *outputs_of(37, [2])]
    for i, seed in itertools.product(range(5), (None, 4)):
        spoiled = [t.clone() for t in tensors]
        spoiled[i][5, 4 if i < 3 else 0] = float("nan")
        sums = appearance(rate, seed)(*spoiled, torch.ones(37, 1))[1]
        assert sums.isnan().nonzero()[:, 0].tolist() == [5]
    outputs = torch.ones(8, 2)
    outputs[3, 1] = float("nan")
    sums = three_way_bits(outputs, torch.ones(8, 1), torch.ones(8, 1))[1]
    assert sums.isnan().nonzero()[:, 0].tolist() == [3]


def test_same_for_any_number_of_threads(isa):
    tensors, weights = [*tensors_of(901, 16), *outputs_of(901, [4, 4])], weights_of(901, 4)
    outputs, trit = three_way_tensors(901, 16)
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found = derived(appearance(rate, 8), tensors, weights, torch.float32)
        found += derived(gaussian_trits(rate), tensors[:4], weights, torch.float32)
        found += derived(lambda x, w: three_way_bits(x, trit, w), [outputs], weights, torch.float32)
        rows = AttributeRows(*tensors[:4], BASE)
        results.append([*found, *chunk_inputs(rows, 3, (4, 8, 16)), *trits(rows, 9, 1)])
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_layouts_and_unneeded_gradients():
    tensors, weights = tensors_of(20, 6), weights_of(20, 2)
    want = appearance(rate, 1)(*tensors, weights)
    assert not want[0].requires_grad
    for layout in (torch.Tensor.contiguous, lambda t: t.T.contiguous().T):
        found = appearance(rate, 1)(*(layout(t) for t in tensors), layout(weights))
        assert all(torch.equal(a, b) for a, b in zip(found, want, strict=True))
    other = appearance(rate, 2)(*tensors, weights)
    assert not torch.equal(want[1], other[1])  # another seed is another noise
    tensors[2] = tensors[2].detach().requires_grad_()
    appearance(rate, 1)(*tensors, weights)[0].backward()
    assert tensors[2].grad is not None and tensors[0].grad is None
    for n, width in ((0, 3), (4, 0)):
        empty = derived(appearance(rate, 1), tensors_of(n, width), torch.ones(n, 1), torch.float32)
        assert empty[0] == 0 and not any(bool(part.any()) for part in empty[1:])


def test_limits_are_those_of_the_streams_tables():
    assert steps._LOWEST_R == -units.STEP_CENTER / units.STEP_RESOLUTION
    assert steps._HIGHEST_R == (units.STEP_COUNT - 1 - units.STEP_CENTER) / units.STEP_RESOLUTION
    ends = quant.clamp_log2_scale_in_steps(torch.tensor([-50.0, 50.0], dtype=torch.float64))
    assert ends.tolist() == [definition._LOWEST_LOG2, pytest.approx(definition._HIGHEST_LOG2)]
    assert rounding.ACTIVATION_LIMIT / rounding.INPUT_UNITS == definition._SO_FAR_LIMIT
    r = torch.linspace(-5, 5, 101, dtype=torch.float64)
    torch.testing.assert_close(BASE * definition.relative_step(r), quant.step(BASE, r))


def test_arguments_that_do_not_fit_are_refused():
    values, center, octaves, r = tensors_of(4, 6)
    rows = AttributeRows(values, center, octaves, r, BASE)
    with pytest.raises(ValueError, match=r"center has shape \(4, 5\), expected \(4, 6\)"):
        AttributeRows(values, center[:, :5], octaves, r, BASE)
    with pytest.raises(ValueError, match=r"r is torch\.float64 on cpu"):
        AttributeRows(values, center, octaves, r.double(), BASE)
    with pytest.raises(ValueError, match="4 weights for 6 values"):
        appearance_bits(rows, 1, torch.ones(4, 4))
    with pytest.raises(ValueError, match="chunks of 7 channels, there are 6"):
        appearance_bits(rows, 1, torch.ones(4, 1), outputs_of(4, [4, 3]))
    with pytest.raises(ValueError, match=r"chunk 0 has shape \(3, 6\)"):
        appearance_bits(rows, 1, torch.ones(4, 1), outputs_of(3, [2]))
    for ends in ((3,), (4, 4), (0, 2)):
        with pytest.raises(ValueError, match="must ascend"):
            chunk_inputs(rows, 1, ends)
    with pytest.raises(ValueError, match="of 6 channels"):
        chunk_inputs(rows, 1, (2, 7))
    with pytest.raises(ValueError, match="nothing 2 levels above"):
        trits(rows, 3, 1)
    with pytest.raises(ValueError, match=r"outputs has shape \(4, 5\)"):
        three_way_bits(torch.ones(4, 5), torch.ones(4, 3), torch.ones(4, 1))
    sums, arrays = torch.ones(4, 1).numpy(), [t.numpy() for t in rows.tensors]
    with pytest.raises(ValueError, match="a positive base"):
        kernels().rate_appearance((*arrays, 0.0, 1.0), None, torch.ones(4, 1).numpy(), [], sums, None)
    with pytest.raises(ValueError, match="G a divisor"):
        kernels().rate_appearance((*arrays, 1.0, 1.0), None, torch.ones(4, 4).numpy(), [], sums, None)
