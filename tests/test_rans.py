"""The lane coder: round trips, exact sizes, one stream from every instruction set and reference, damage."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gspc import _codec
from gspc.errors import BitstreamError
from gspc.reference import rans as reference
from gspc.reference.mixtures import Mixtures, mixture_table
from gspc.reference.symbol_tables import SymbolTable, gaussian_table, trit_table

ISAS = ["base", "v3", "v4"]
KERNELS = Path(__file__).parent.parent / "kernels"
SUPPORT = np.array([_codec.gaussian_support(i) for i in range(128)])
STREAM_CRC = 2328656560
FLUSH = 32  # bytes a stream may cost beyond its content


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _codec.active_isa()
    _codec.set_isa(request.param)
    if _codec.active_isa() != request.param:
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    _codec.set_isa(before)


@dataclass(frozen=True)
class Run:
    """Symbols with their tables; trits when `tables` is uint16."""

    tables: np.ndarray
    symbols: np.ndarray

    @property
    def is_trits(self) -> bool:
        return self.tables.dtype == np.uint16


def gaussian_run(n: int, low: int, high: int, seed: int, wild: float = 0.0) -> Run:
    """Symbols drawn from their tables' Gaussians; a share `wild` of them three times wider."""
    rng = np.random.default_rng(seed)
    tables = rng.integers(low, high, n).astype(np.uint8)
    sigma = 2.0 ** (-3 + tables / 12) * np.where(rng.random(n) < wild, 3, 1)
    return Run(tables, np.rint(rng.normal(size=n) * sigma).astype(np.int32))


def trit_run(n: int, seed: int) -> Run:
    rng = np.random.default_rng(seed)
    tables = rng.integers(0, 4096, n).astype(np.uint16)
    p = np.cumsum(_codec.trit_frequencies().reshape(-1, 3)[tables], axis=1) / 2**14
    u = rng.random(n)
    return Run(tables, ((u >= p[:, 0]).astype(np.int8) + (u >= p[:, 1]) - 1).astype(np.int8))


def encode(runs: list[Run]) -> tuple[bytes, list[np.ndarray]]:
    encoder, escapes = _codec.RansEncoder(), []
    for run in runs:
        if run.is_trits:
            encoder.trits(run.tables, run.symbols)
        else:
            escapes.append(encoder.gaussian(run.tables, run.symbols))
    return encoder.finish(), escapes


def reference_tables(run: Run) -> list[SymbolTable]:
    return [(trit_table if run.is_trits else gaussian_table)(index) for index in run.tables.tolist()]


def reference_encode(runs: list[Run]) -> bytes:
    return reference.encode(
        [
            [table.slots(k) for table, k in zip(reference_tables(run), run.symbols.tolist(), strict=True)]
            for run in runs
        ]
    )


def ideal_bits(run: Run) -> float:
    """-sum log2 p under the integer tables."""
    if run.is_trits:
        f = _codec.trit_frequencies().reshape(-1, 3)[run.tables, run.symbols + 1]
        return float((14 - np.log2(f)).sum())
    bits = 0.0
    for index in np.unique(run.tables):
        f = _codec.gaussian_frequencies(int(index))
        k = run.symbols[run.tables == index].astype(np.int64)
        order = np.minimum(np.where(k < 0, -2 * k - 1, 2 * k), len(f) - 1)
        bits += float((14 - np.log2(f[order])).sum())
    return bits


def check(runs: list[Run]) -> bytes:
    """Encodes, decodes, compares; returns the stream."""
    data, escapes = encode(runs)
    decoder, escape_lists = _codec.RansDecoder(data), iter(escapes)
    for run in runs:
        if run.is_trits:
            assert np.array_equal(decoder.trits(run.tables), run.symbols)
            continue
        symbols, escaped = decoder.gaussian(run.tables)
        beyond = np.flatnonzero(np.abs(run.symbols.astype(np.int64)) > SUPPORT[run.tables])
        assert np.array_equal(escaped, beyond)
        assert np.array_equal(next(escape_lists), beyond)
        expected = run.symbols.copy()
        expected[beyond] = 0
        assert np.array_equal(symbols, expected)
    assert decoder.ok()
    assert decoder.finished()
    return data


# Sizes of n symbols 0 under table 36 (sigma = 1, 1.38 bits for a 0), and of n trits +1 under the table of
# 0.5, 0.25, 0.25 (2 bits each). A change here is a change of the format.
SIZES = {
    0: (0, 0),
    1: (5, 5),
    2: (5, 5),
    31: (9, 11),
    32: (9, 13),
    33: (9, 13),
    63: (15, 19),
    64: (15, 21),
    65: (15, 21),
    1000: (192, 271),
    2048: (372, 533),
    2049: (372, 533),
    100000: (17166, 25022),
}


@pytest.mark.parametrize("n", SIZES)
def test_exact_sizes(isa: str, n: int) -> None:
    zeros = Run(np.full(n, 36, np.uint8), np.zeros(n, np.int32))
    ones = Run(np.full(n, 32 * 64 + 32, np.uint16), np.ones(n, np.int8))
    assert (len(check([zeros])), len(check([ones]))) == SIZES[n]


@pytest.mark.parametrize("n", [0, 1, 2, 31, 32, 33, 63, 64, 65, 95, 400, 1500])
def test_same_bytes_as_the_reference(isa: str, n: int) -> None:
    runs = [gaussian_run(n, 0, 128, 1, wild=0.1), trit_run(n, 2), gaussian_run(n + 7, 10, 40, 3)]
    data = check(runs)
    assert data == reference_encode(runs)
    decoder = reference.Decoder(data)
    for run in runs:
        inside = (
            np.ones(len(run.symbols), bool) if run.is_trits else np.abs(run.symbols) <= SUPPORT[run.tables]
        )
        assert decoder.run(reference_tables(run)) == np.where(inside, run.symbols, None).tolist()
    assert decoder.finished()


def test_every_isa_writes_the_same_pinned_stream() -> None:
    hashed = (np.arange(120_003, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)
    tables = (hashed[:70_000] % 128).astype(np.uint8)
    span = 2 * SUPPORT[tables] + 3
    symbols = ((hashed[:70_000] >> np.uint64(8)).astype(np.int64) % span - span // 2).astype(np.int32)
    trits = Run(
        (hashed[70_000:] % 4096).astype(np.uint16), (hashed[70_000:] >> np.uint64(13)).astype(np.int8) % 3 - 1
    )
    before = _codec.active_isa()
    streams = set()
    for name in ISAS:
        _codec.set_isa(name)
        streams.add(check([Run(tables, symbols), trits]))
    _codec.set_isa(before)
    assert len(streams) == 1
    assert zlib.crc32(streams.pop()) == STREAM_CRC


def test_every_symbol_of_every_table(isa: str) -> None:
    tables = np.concatenate([np.full(2 * r + 5, i, np.uint8) for i, r in enumerate(SUPPORT)])
    symbols = np.concatenate([np.arange(-r - 2, r + 3, dtype=np.int32) for r in SUPPORT])
    check([Run(tables, symbols)])
    trits = Run(np.repeat(np.arange(4096, dtype=np.uint16), 3), np.tile(np.array([-1, 0, 1], np.int8), 4096))
    check([trits])


def test_extreme_symbols_are_escaped(isa: str) -> None:
    symbols = np.array([2**31 - 1, -(2**31), 2**23, -(2**23), 0] * 20, np.int32)
    check([Run(np.tile(np.arange(100, dtype=np.uint8), 1), symbols)])


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 300), st.integers(0, 2**32 - 1)), max_size=6),
    st.sampled_from(ISAS),
)
@settings(max_examples=60, deadline=None)
def test_any_runs(shapes: list[tuple[bool, int, int]], name: str) -> None:
    before = _codec.active_isa()
    _codec.set_isa(name)
    try:
        runs = [
            trit_run(n, seed) if trits else gaussian_run(n, 0, 128, seed, 0.1) for trits, n, seed in shapes
        ]
        assert check(runs) == reference_encode(runs)
    finally:
        _codec.set_isa(before)


@pytest.mark.parametrize(("low", "high"), [(0, 20), (12, 36), (60, 128)])
def test_within_half_a_per_mille_of_ideal(isa: str, low: int, high: int) -> None:
    run = gaussian_run(1_000_000, low, high, 9)
    assert len(check([run])) <= 1.0005 * ideal_bits(run) / 8 + FLUSH


def test_trits_within_half_a_per_mille_of_ideal(isa: str) -> None:
    run = trit_run(1_000_000, 10)
    assert len(check([run])) <= 1.0005 * ideal_bits(run) / 8 + FLUSH


def test_short_streams_cost_little() -> None:
    """What a stream costs beyond its content, in bytes: at most 5 while the tail holds it, then about 20."""
    for n in (1, 10, 100, 200):
        run = gaussian_run(n, 20, 40, n)
        assert len(check([run])) <= ideal_bits(run) / 8 + 6
    over = []
    for seed in range(50):
        run = gaussian_run(5000, 20, 40, seed)
        over.append(len(check([run])) - ideal_bits(run) / 8)
    assert max(over) < FLUSH
    assert np.mean(over) < 23


def test_cheap_symbols_do_not_end_in_the_tail() -> None:
    """The one-state tail takes 8192 symbols at most, whatever they cost."""
    tables = np.full(100_000, 0, np.uint8)
    data = check([Run(tables, np.zeros(100_000, np.int32))])
    assert reference.Decoder(data).lane_symbols == 100_000 - 8192
    assert len(data) < 130
    assert check([Run(tables[:8192], np.zeros(8192, np.int32))])[0] == 0


@pytest.mark.parametrize("n", [20, 500, 3000])
def test_cut_streams_are_noticed(isa: str, n: int) -> None:
    runs = [gaussian_run(n, 0, 60, 11), trit_run(n // 2, 12)]
    data = check(runs)
    for size in range(len(data)):
        decoder = _codec.RansDecoder(data[:size])
        decoder.gaussian(runs[0].tables)
        decoder.trits(runs[1].tables)
        assert not decoder.finished()


def test_flipped_bits_are_noticed(isa: str) -> None:
    run = gaussian_run(800, 0, 60, 13)
    data = check([run])
    rng, unseen = np.random.default_rng(14), 0
    for bit in rng.choice(8 * len(data), 400, replace=False).tolist():
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        decoder = _codec.RansDecoder(bytes(damaged))
        symbols, escapes = decoder.gaussian(run.tables)
        assert (np.abs(symbols) <= SUPPORT[run.tables]).all()
        assert (escapes < 800).all()
        if decoder.finished():
            # Only where the result is the stream of other symbols: what the checksum of a chunk is for.
            unseen += 1
            assert not np.array_equal(symbols, run.symbols)
            symbols[escapes] = 1000
            assert encode([Run(run.tables, symbols)])[0] == bytes(damaged)
    assert unseen <= 8


def test_too_few_and_too_many_symbols_are_noticed(isa: str) -> None:
    run = gaussian_run(900, 20, 40, 15)
    data = check([run])
    short = _codec.RansDecoder(data)
    short.gaussian(run.tables[:899])
    assert short.ok()
    assert not short.finished()
    long = _codec.RansDecoder(data)
    symbols, _ = long.gaussian(np.concatenate([run.tables, np.full(5000, 36, np.uint8)]))
    assert not long.ok()
    assert not long.finished()
    assert np.array_equal(symbols[:900], run.symbols)
    assert not symbols[-1000:].any()


def test_reference_refuses_damage() -> None:
    run = gaussian_run(900, 20, 40, 16)
    data = check([run])
    for damaged in (data[:50], data[:-1], data[:-2], data[:3]):
        with pytest.raises(BitstreamError, match="lane stream"):
            reference.Decoder(damaged).run(reference_tables(run))


def test_bad_arguments() -> None:
    encoder = _codec.RansEncoder()
    with pytest.raises(ValueError, match="one table per symbol"):
        encoder.gaussian(np.zeros(2, np.uint8), np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="below 128"):
        encoder.gaussian(np.array([128], np.uint8), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="below 4096"):
        encoder.trits(np.array([4096], np.uint16), np.zeros(1, np.int8))
    with pytest.raises(ValueError, match="-1, 0 or 1"):
        encoder.trits(np.zeros(1, np.uint16), np.array([2], np.int8))
    with pytest.raises(ValueError, match="below 128"):
        _codec.RansDecoder(b"").gaussian(np.array([200], np.uint8))
    assert encoder.finish() == b""


def test_encoder_is_empty_after_finish() -> None:
    run = gaussian_run(100, 20, 40, 17)
    encoder = _codec.RansEncoder()
    first = []
    for _ in range(3):
        encoder.gaussian(run.tables, run.symbols)
        first.append(encoder.finish())
    assert first[0] == first[1] == first[2]
    assert encoder.finish() == b""


def test_mixtures(isa: str) -> None:
    """The reference's tables, the same bytes, close to the exact mixture."""
    n, rng = 1500, np.random.default_rng(18)
    scales = [rng.integers(0, 90, n).astype(np.uint8) for _ in range(2)]
    means = [rng.integers(-40, 40, n).astype(np.int16) for _ in range(2)]
    weight = rng.integers(0, 256, n).astype(np.uint8)
    second = rng.integers(0, 256, n) < weight
    mean, scale = np.where(second, means[1], means[0]), np.where(second, scales[1], scales[0])
    symbols = np.rint(mean / 16 + rng.normal(size=n) * 2.0 ** (-3 + scale / 12)).astype(np.int32)
    symbols[::100] = -(2**30)
    entries, exact, coded = [], 0.0, 0.0
    for i, k in enumerate(symbols.tolist()):
        pair, at = (int(scales[0][i]), int(scales[1][i])), (int(means[0][i]), int(means[1][i]))
        table = mixture_table(pair, at, int(weight[i]))
        entries.append(table.slots(k))
        if k in table.symbols:
            share, p = weight[i] / 256, 0.0
            for part, j, m in ((1 - share, pair[0], at[0]), (share, pair[1], at[1])):
                root = 2 ** (j / 12 - 3) * np.sqrt(2)
                p += part * (math.erf((k + 0.5 - m / 16) / root) - math.erf((k - 0.5 - m / 16) / root)) / 2
            exact -= np.log2(max(p, 2**-14))
            coded += 14 - np.log2(entries[-1][0])
    encoder = _codec.RansEncoder()
    escapes = encoder.mixture(*scales, *means, weight, symbols)
    data = encoder.finish()
    assert data == reference.encode([entries])
    assert coded <= 1.003 * exact
    tables = Mixtures(tuple(scales), tuple(means), weight).tables()
    slow = reference.Decoder(data)
    inside = [k in table.symbols for k, table in zip(symbols.tolist(), tables, strict=True)]
    assert slow.run(tables) == np.where(inside, symbols, None).tolist()
    assert slow.finished()
    decoder = _codec.RansDecoder(data)
    decoded, found = decoder.mixture(*scales, *means, weight)
    assert decoder.finished()
    assert np.array_equal(found, escapes)
    assert set(range(0, n, 100)) <= set(escapes.tolist())
    again = np.full(n, 7, np.int32)
    assert np.array_equal(_codec.RansDecoder(data).mixture_into(*scales, *means, weight, again), escapes)
    assert np.array_equal(again, decoded)
    decoded[found] = symbols[found]
    assert np.array_equal(decoded, symbols)
    with pytest.raises(ValueError, match="one mixture per symbol"):
        _codec.RansDecoder(data).mixture_into(*scales, *means, weight, again[1:])
    with pytest.raises(ValueError, match="below 128"):
        encoder.mixture(np.full(n, 128, np.uint8), scales[1], *means, weight, symbols)
