"""The pinned tables: their bytes, and how close they are to what they stand for."""

from __future__ import annotations

import importlib.util
import math
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gspc import _codec
from gspc.reference import mixtures, networks

TOTAL = 1 << 14
MODEL_LOSS = 0.002  # of the entropy
# Bits a symbol. Where the entropy is tiny, it costs that all that can occur gets 1 in 2^14 at least.
FLOOR_LOSS = 1.1e-4
KERNELS = Path(__file__).parent.parent / "kernels" / "codec"
GAUSSIAN_CRC, TRIT_CRC, SMALL_CRC = 0xFBE73A5C, 0x7B311ED8, 0x8E830BC7


def gaussian(index: int) -> np.ndarray:
    return _codec.gaussian_frequencies(index).astype(np.int64)


def upper_tail(x: float, sigma: float) -> float:
    return math.erfc(x / sigma / math.sqrt(2)) / 2


def gaussian_bins(index: int) -> list[float]:
    """P(0), P(1), ... of the Gaussian that table `index` stands for."""
    sigma = 2 ** (index / 12 - 3)
    tails = [upper_tail(k - 0.5, sigma) for k in range(1, int(14 * sigma) + 6)]
    return [1 - 2 * tails[0]] + [a - b for a, b in pairwise(tails)]


def test_expanded_tables_are_pinned() -> None:
    everything = b"".join(_codec.gaussian_frequencies(i).astype("<u2").tobytes() for i in range(128))
    assert zlib.crc32(everything) == GAUSSIAN_CRC
    assert zlib.crc32(_codec.trit_frequencies().astype("<u2").tobytes()) == TRIT_CRC
    small = [_codec.step_table(), _codec.log_step_table()]
    small += [np.array([f(level) for level in range(10)]) for f in (_codec.inverse3, _codec.log3)]
    assert zlib.crc32(b"".join(a.astype("<i4").tobytes() for a in small)) == SMALL_CRC


@pytest.mark.parametrize("index", range(128))
def test_gaussian_table(index: int) -> None:
    f, support = gaussian(index), _codec.gaussian_support(index)
    assert len(f) == 2 * support + 2
    assert f.sum() == TOTAL
    assert f.min() >= 1
    assert f.max() < TOTAL
    inside = f[:-1]
    assert np.array_equal(inside[1::2], inside[2::2]), "symmetric"
    bins = gaussian_bins(index)
    entropy = -sum(p * math.log2(p) * (2 if k else 1) for k, p in enumerate(bins) if p > 0)
    bits = bins[0] * math.log2(TOTAL / f[0])
    bits += sum(2 * bins[k] * math.log2(TOTAL / f[2 * k]) for k in range(1, support + 1))
    for k in range(support + 1, len(bins)):  # sign and order-0 Exp-Golomb, before any adaptation
        golomb = 2 * (k - support).bit_length() - 1
        bits += 2 * bins[k] * (math.log2(TOTAL / f[-1]) + 1 + golomb)
    assert -1e-9 < bits - entropy <= max(MODEL_LOSS * entropy, FLOOR_LOSS)
    if index >= 6:
        assert bits <= entropy * (1 + MODEL_LOSS)


def test_gaussian_supports_grow_with_sigma() -> None:
    supports = [_codec.gaussian_support(i) for i in range(128)]
    assert supports == sorted(supports)
    assert (supports[0], supports[24], supports[36], supports[127]) == (0, 2, 4, 615)


def test_trit_tables() -> None:
    f = _codec.trit_frequencies().reshape(64, 64, 3).astype(np.int64)
    assert (f.sum(axis=2) == TOTAL).all()
    assert f.min() >= 1
    sigmoid = 1 / (1 + np.exp(-np.arange(-32, 32)[:, None] / np.array([4, 8])))
    zero, plus = sigmoid[:, 0][:, None], sigmoid[:, 1][None, :]
    p = np.stack([(1 - zero) * (1 - plus), zero + 0 * plus, (1 - zero) * plus], axis=2)
    entropy = -(p * np.log2(p)).sum(axis=2)
    loss = (p * np.log2(TOTAL / f)).sum(axis=2) - entropy
    assert (loss <= np.maximum(MODEL_LOSS * entropy, FLOOR_LOSS)).all()
    assert (loss > MODEL_LOSS * entropy).sum() <= 65, "only corners where 0 has more than 99.8 %"
    assert (loss[:59] <= MODEL_LOSS * entropy[:59]).all()


def test_trit_tables_follow_their_integer_formula() -> None:
    """The stated way from two rows of 64 to all 4096 tables."""
    f = _codec.trit_frequencies().reshape(64, 64, 3).astype(np.int64)
    zero = np.clip([round(TOTAL / (1 + math.exp(-(a - 32) / 4))) for a in range(64)], 2, TOTAL - 2)
    share = np.array([round(65536 / (1 + math.exp(-(b - 32) / 8))) for b in range(64)])
    rest = TOTAL - zero[:, None]
    plus = np.clip((rest * share[None, :] + 32768) >> 16, 1, rest - 1)
    assert np.array_equal(f, np.stack([rest - plus, zero[:, None] + 0 * plus, plus], axis=2))


def test_steps() -> None:
    steps, logs = _codec.step_table(), _codec.log_step_table()
    assert steps.tolist() == [round(2**14 * (1 + math.tanh((i - 64) / 32))) for i in range(128)]
    assert logs.tolist() == [math.floor(12 * math.log2(s / 2**14) + 0.5) for s in steps.tolist()]
    assert (steps[64], logs[64]) == (2**14, 0)


def test_powers_of_three() -> None:
    assert [_codec.inverse3(s) for s in range(1, 9)] == [round(2**16 / 3 ** (s - 1)) for s in range(1, 9)]
    assert [_codec.log3(s) for s in range(1, 9)] == [round(12 * (s - 1) * math.log2(3)) for s in range(1, 9)]
    assert [f(s) for f in (_codec.inverse3, _codec.log3) for s in (-1, 0, 9)] == [0] * 6


def test_tables_of_mixtures_and_trits() -> None:
    """As pcgs(5), TABLES has them, and as the numpy decoder computes them."""

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    def rounded(x: float) -> int:
        assert abs(x % 1 - 0.5) > 1e-6, "no value is so near to a half that the formula leaves it open"
        return math.floor(x + 0.5)

    steps = _codec.step_table().tolist()
    assert _codec.inverse_step_table().tolist() == [rounded(2**26 / step) for step in steps]
    assert networks.INVSTEP.tolist() == _codec.inverse_step_table().tolist()
    weights = [min(rounded(256 * sigmoid((i - 32) / 4)), 255) for i in range(64)]
    assert _codec.mixture_weight_table().tolist() == networks.MIX.tolist() == weights
    for got, shares, width in (
        (_codec.trit_zero_edges(), mixtures.ZERO_SHARES, 4),
        (_codec.trit_plus_edges(), mixtures.PLUS_SHARES, 8),
    ):
        assert got.tolist() == shares == [rounded(2**16 * sigmoid((i - 31.5) / width)) for i in range(63)]
    half = [rounded(2**16 * math.erfc(-j / 128 / math.sqrt(2)) / 2) for j in range(1, 577)]
    assert mixtures.NORMAL.tolist() == [2**16 - v for v in half[::-1]] + [1 << 15] + half
    sigmas = [2 ** (i / 12 - 3) for i in range(128)]
    assert mixtures.INVERSE_SIGMA.tolist() == [rounded(2**23 / sigma) for sigma in sigmas]
    assert mixtures.REACH.tolist() == [rounded(64 * sigma) + 8 for sigma in sigmas]


@pytest.mark.parametrize("index", [-1, 128])
def test_no_such_table(index: int) -> None:
    with pytest.raises(IndexError):
        _codec.gaussian_frequencies(index)
    with pytest.raises(IndexError):
        _codec.gaussian_support(index)


def test_generator_makes_the_committed_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mpmath", reason="the table generator needs mpmath")
    spec = importlib.util.spec_from_file_location("make_tables", KERNELS / "tools" / "make_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["make_tables.py", str(tmp_path / "out.inc")])
    module.main()
    assert (tmp_path / "out.inc").read_bytes() == (KERNELS / "entropy" / "tables_data.inc").read_bytes()
