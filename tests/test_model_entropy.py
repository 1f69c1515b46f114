"""Bits of symbols against exact probabilities."""

import math

import mpmath
import pytest
import torch

from gspc.model.entropy import gaussian_bits, sign_bits, trit_bits


@pytest.mark.parametrize("distance", [0.0, 0.3, -2.0, 5.0])
@pytest.mark.parametrize(("step", "scale"), [(1.0, 0.2), (1.0, 3.0), (0.1, 20.0)])
def test_gaussian_bits_are_exact_where_probabilities_are_not_tiny(distance, step, scale):
    low, high = (distance - step / 2) / scale, (distance + step / 2) / scale
    with mpmath.workdps(40):
        p = mpmath.ncdf(high) - mpmath.ncdf(low) if high < 0 else mpmath.ncdf(-low) - mpmath.ncdf(-high)
        want = float(-mpmath.log(p, 2))
    got = gaussian_bits(torch.tensor(distance), torch.tensor(step), torch.tensor(scale)).item()
    assert got == pytest.approx(min(want, 24.0), rel=2e-3)


def test_gaussian_bits_of_all_bins_sum_to_one():
    k = torch.arange(-400, 401, dtype=torch.float64)
    bits = gaussian_bits(k, torch.tensor(1.0, dtype=torch.float64), torch.tensor(7.0, dtype=torch.float64))
    assert torch.exp2(-bits[bits < 23.9]).sum().item() == pytest.approx(1.0, abs=1e-5)


def test_far_off_values_still_pull_back():
    distance = torch.tensor([6.5], requires_grad=True)
    gaussian_bits(distance, torch.tensor(1.0), torch.tensor(1.0)).sum().backward()
    assert distance.grad.item() > 0


def test_gaussian_bits_gradient_against_finite_differences():
    inputs = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.7, 0.9, 1.3)]
    assert torch.autograd.gradcheck(gaussian_bits, inputs)


def test_trit_probabilities_sum_to_one_and_follow_the_logits():
    zero, sign = torch.tensor(0.4), torch.tensor(-1.1)
    p = [2 ** -trit_bits(zero, sign, torch.tensor(float(t))).item() for t in (-1, 0, 1)]
    assert sum(p) == pytest.approx(1.0, abs=1e-6)
    assert p[1] == pytest.approx(1 / (1 + math.exp(-0.4)), abs=1e-6)
    assert p[2] / (p[0] + p[2]) == pytest.approx(1 / (1 + math.exp(1.1)), abs=1e-6)


def test_sign_bits():
    assert sign_bits(torch.tensor(0.5), 1000).item() == pytest.approx(1000, rel=1e-6)
    assert sign_bits(torch.tensor(0.9), 1000).item() == pytest.approx(468.996, rel=1e-4)
    assert sign_bits(torch.tensor(1.0), 1000).item() < 0.1
