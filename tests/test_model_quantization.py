"""The step formula and the tables' limits (`test_rate.py` has the nesting of the levels' grids)."""

import math

import pytest
import torch

from gspc.model import quantization as quant


def test_step_is_q0_times_one_plus_tanh_and_saturates_at_the_table_ends():
    r = torch.tensor([0.0, 0.5, -0.5, 100.0, -100.0])
    got = quant.step(0.2, r)
    want = [0.2 * (1 + math.tanh(v)) for v in (0.0, 0.5, -0.5, 63 / 32, -2.0)]
    torch.testing.assert_close(got, torch.tensor(want))


def test_scales_stay_within_the_tables():
    limits = quant.clamp_log2_scale_in_steps(torch.tensor([-50.0, 50.0]))
    assert limits.tolist() == pytest.approx([-3.0, -3.0 + 127 / 12])
