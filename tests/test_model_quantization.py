"""The step formula and the nesting of the levels' grids."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gspc.model import quantization as quant


def test_step_is_q0_times_one_plus_tanh_and_saturates_at_the_table_ends():
    r = torch.tensor([0.0, 0.5, -0.5, 100.0, -100.0])
    got = quant.step(0.2, r)
    want = [0.2 * (1 + math.tanh(v)) for v in (0.0, 0.5, -0.5, 63 / 32, -2.0)]
    torch.testing.assert_close(got, torch.tensor(want))


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
def test_symbols_of_every_level_follow_from_the_finest(levels):
    """Coarsening the finest symbol gives what quantizing at the coarse level gives, away from exact ties."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(20_000, generator=generator, dtype=torch.float64) * 5
    first = torch.full_like(values, 0.7)
    finest = quant.quantize(values, first / quant.refinement(levels))
    for level in range(1, levels + 1):
        direct = quant.quantize(values, first / quant.refinement(level))
        assert torch.equal(quant.coarsen(finest, levels - level), direct)


@given(st.integers(-(2**22), 2**22))
def test_trits_rebuild_the_symbol(symbol):
    k = torch.tensor(float(symbol), dtype=torch.float64)
    trit = quant.trits(k)
    assert trit.item() in (-1.0, 0.0, 1.0)
    assert (3 * quant.coarsen(k, 1) + trit).item() == symbol


def test_ties_go_to_the_right():
    assert quant.quantize(torch.tensor([-1.5, -0.5, 0.5, 1.5]), torch.tensor(1.0)).tolist() == [
        -1.0,
        0.0,
        1.0,
        2.0,
    ]


def test_scales_stay_within_the_tables():
    limits = quant.clamp_log2_scale_in_steps(torch.tensor([-50.0, 50.0]))
    assert limits.tolist() == pytest.approx([-3.0, -3.0 + 127 / 12])
