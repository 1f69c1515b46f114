"""The pinned tables: their bytes, and how close they are to what they stand for."""

from __future__ import annotations

import importlib.util
import itertools
import math
import re
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from gspc import _codec
from gspc.reference import mixing, tables
from gspc.reference.gaussians import gaussian_frequencies, gaussian_support
from gspc.reference.mixtures import mixture_table
from gspc.reference.morton import morton_keys, morton_positions
from gspc.reference.symbol_tables import gaussian_table, trit_frequencies, trit_table

TOTAL = 1 << 14
MODEL_LOSS = 0.002  # of the entropy
# Bits a symbol. Where the entropy is tiny, it costs that all that can occur gets 1 in 2^14 at least.
FLOOR_LOSS = 1.1e-4
ROOT = Path(__file__).parent.parent
KERNELS = ROOT / "kernels" / "codec"
PAGE = (ROOT / "man" / "pcgs.5").read_text()
GAUSSIAN_CRC, TRIT_CRC, SMALL_CRC = 0xFBE73A5C, 0x7B311ED8, 0x8E830BC7


def gaussian(index: int) -> np.ndarray:
    return _codec.gaussian_frequencies(index).astype(np.int64)


def pinned(name: str) -> list[int]:
    """A table of tables_data.inc that the bindings do not give."""
    data = (KERNELS / "entropy" / "tables_data.inc").read_text()
    text = re.search(rf"{name}\[\d+\] = \{{(.*?)\}};", data, re.DOTALL)
    assert text is not None
    return [int(value) for value in re.findall(r"-?\d+", text[1])]


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
    """As pcgs(5), TABLES has them; no value is so near to a half that its formula leaves it open."""

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    def rounded(x: float) -> int:
        assert abs(x % 1 - 0.5) > 1e-6
        return math.floor(x + 0.5)

    steps = _codec.step_table().tolist()
    assert _codec.inverse_step_table().tolist() == [rounded(2**26 / step) for step in steps]
    weights = [min(rounded(256 * sigmoid((i - 32) / 4)), 255) for i in range(64)]
    assert _codec.mixture_weight_table().tolist() == weights
    for edges, width in ((_codec.trit_zero_edges(), 4), (_codec.trit_plus_edges(), 8)):
        assert edges.tolist() == [rounded(2**16 * sigmoid((i - 31.5) / width)) for i in range(63)]
    half = [rounded(2**16 * math.erfc(-j / 128 / math.sqrt(2)) / 2) for j in range(1, 577)]
    assert tables.NORMAL.tolist() == [2**16 - v for v in half[::-1]] + [1 << 15] + half
    sigmas = [2 ** (i / 12 - 3) for i in range(128)]
    assert tables.ISIGMA.tolist() == [rounded(2**23 / sigma) for sigma in sigmas]
    assert tables.REACH.tolist() == [rounded(64 * sigma) + 8 for sigma in sigmas]


# ---- the readable decoder's own against the core's ----


@pytest.mark.parametrize(
    ("own", "core"),
    [
        (tables.STEP, _codec.step_table()),
        (tables.LOGQ, _codec.log_step_table()),
        (tables.INVSTEP, _codec.inverse_step_table()),
        (tables.MIX, _codec.mixture_weight_table()),
        (tables.ZERO, _codec.trit_zero_edges()),
        (tables.PLUS, _codec.trit_plus_edges()),
        (tables.INV3[1:], [_codec.inverse3(level) for level in range(1, 9)]),
        (tables.LOG3[1:], [_codec.log3(level) for level in range(1, 9)]),
        (tables.NORMAL[576:], pinned("kNormal")),
        (tables.ISIGMA, pinned("kInverseSigma")),
        (tables.REACH, pinned("kReach")),
    ],
    ids=["STEP", "LOGQ", "INVSTEP", "MIX", "ZERO", "PLUS", "INV3", "LOG3", "NORMAL", "ISIGMA", "REACH"],
)
def test_numbers_are_the_same_on_both_sides(own: Sequence[int], core: Sequence[int]) -> None:
    np.testing.assert_array_equal(own, core)


@pytest.mark.parametrize("index", range(128))
def test_gaussian_tables_are_the_same_on_both_sides(index: int) -> None:
    """The core's come from a search that was run once; the readable decoder's from what pcgs(5) says is to be
    found."""
    assert gaussian_frequencies(index).tolist() == gaussian(index).tolist()
    support = _codec.gaussian_support(index)
    assert gaussian_support(index) == support
    table = gaussian_table(index)
    assert sorted(table.symbols) == list(range(-support, support + 1))
    assert table.escape
    assert [table.slots(k)[0] for k in (*table.symbols, support + 1)] == gaussian(index).tolist()
    assert table.find(TOTAL - 1)[0] is None


def test_trit_tables_are_the_same_on_both_sides() -> None:
    core = _codec.trit_frequencies().reshape(-1, 3)
    assert [trit_frequencies(index) for index in range(4096)] == list(map(tuple, core.tolist()))
    table = trit_table(2080)
    assert not table.escape
    assert [table.slots(k) for k in (-1, 0, 1)] == [(4096, 0), (8192, 4096), (4096, 12288)]


def test_supports_of_mixtures_are_the_same_on_both_sides() -> None:
    """The core escapes what is beyond the readable decoder's table and nothing else."""
    rng = np.random.default_rng(0)
    n = 300
    scales = rng.integers(0, 128, (2, n)).astype(np.uint8)
    means = (rng.integers(-(1 << 15), 1 << 15, (2, n)) >> rng.integers(0, 14, n)).astype(np.int16)
    means[:, 0], scales[:, 0] = (-(1 << 15), (1 << 15) - 1), 127  # wider than a table can be
    weight = rng.integers(0, 256, n).astype(np.uint8)
    rows = zip(*scales.tolist(), *means.tolist(), weight.tolist(), strict=True)
    own = [mixture_table((s0, s1), (m0, m1), w) for s0, s1, m0, m1, w in rows]
    assert max(len(table.symbols) for table in own) == 4096
    for side, escaped in ((0, []), (-1, []), (0, range(n)), (-1, range(n))):
        beyond = 0 if not len(escaped) else -1 if side == 0 else 1
        symbols = np.array([table.symbols[side] + beyond for table in own], np.int32)
        found = _codec.RansEncoder().mixture(*scales, *means, weight, symbols)
        assert found.tolist() == list(escaped)


def test_morton_keys_are_the_same_on_both_sides() -> None:
    last = (1 << 21) - 1
    rng = np.random.default_rng(0)
    corners = list(itertools.product((0, 1, last - 1, last), repeat=3))
    powers = [[(1 << bit) * (axis == own) for axis in range(3)] for own in range(3) for bit in range(21)]
    positions = np.array([*corners, *powers, *rng.integers(0, last + 1, (1000, 3))], np.int32)
    keys = morton_keys(positions)
    np.testing.assert_array_equal(keys, _codec.morton_keys(positions))
    np.testing.assert_array_equal(morton_positions(keys), positions)
    keys = np.array([0, 1, (1 << 63) - 1, *rng.integers(0, 1 << 63, 1000)], np.uint64)
    np.testing.assert_array_equal(morton_positions(keys), _codec.morton_positions(keys))
    np.testing.assert_array_equal(morton_keys(morton_positions(keys)), keys)


def test_priors_of_positions_are_the_same_on_both_sides() -> None:
    slots, weights = _codec.position_priors()
    own = mixing.priors()
    for core, parts in zip((*slots.T, weights), (own.probability, own.count, own.weights), strict=True):
        np.testing.assert_array_equal(np.concatenate([part.ravel() for part in parts.values()]), core)


def test_points_of_squash_are_the_pages() -> None:
    text = re.search(r"where P = ([\d\s]+)\.", PAGE)
    assert text is not None
    assert tuple(map(int, text[1].split())) == mixing.POINTS


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
