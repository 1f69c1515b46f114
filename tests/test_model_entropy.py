"""Bits of binary symbols against exact figures."""

import pytest
import torch

from gspc.model.entropy import sign_bits


def test_sign_bits():
    assert sign_bits(torch.tensor(0.5), 1000).item() == pytest.approx(1000, rel=1e-6)
    assert sign_bits(torch.tensor(0.9), 1000).item() == pytest.approx(468.996, rel=1e-4)
    assert sign_bits(torch.tensor(1.0), 1000).item() < 0.1
