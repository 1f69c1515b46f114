"""The Reed-Solomon code and parity chunks: what they restore, where they lie, and who needs not know them."""

from __future__ import annotations

from functools import reduce
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import synthetic
from cli_tools import Cli
from stream_bytes import index_of, payload_of, rebuilt, replaced

from gspc import _codec, pipeline
from gspc.codec import ArrivingStream, decode, decode_salvaged, encode, truncate_levels
from gspc.format import check, describe
from gspc.format.parity import FIELDS, section_of, with_parity, without_parity
from gspc.format.reed_solomon import POLYNOMIAL, Symbols, checks_of, corrections, most_symbols
from gspc.format.salvage import salvage
from gspc.format.subset import keep_slices, largest_subset
from gspc.reference.decode import decode_reference

PLAIN = encode(synthetic.tiny(3000, levels=3), slice_anchors=40)
STREAM = with_parity(PLAIN)
INFO = describe(STREAM)


def product(a: int, b: int) -> int:
    """In GF(2^16), bit by bit."""
    found = 0
    while b:
        found ^= a if b & 1 else 0
        a, b = a << 1 ^ (POLYNOMIAL if a & 0x8000 else 0), b >> 1
    return found


def power_sum(values: list[int], first: int, j: int) -> int:
    """The sum of values times locators^j, locators counting up from `first`."""
    found = 0
    for locator, value in enumerate(values, start=first):
        found ^= reduce(product, [locator] * j, value)
    return found


def symbols(n: int, codewords: int, seed: int) -> Symbols:
    return np.random.default_rng(seed).integers(0, 65536, (n, codewords)).astype(np.uint16)


def flipped(data: bytes, places: list[int]) -> bytes:
    found = bytearray(data)
    for at in places:
        found[at] ^= 0x55
    return bytes(found)


@pytest.mark.parametrize(("checks", "n"), [(2, 1), (2, 5), (4, 9), (8, 8), (16, 33)])
def test_checks_are_what_the_format_page_says(checks: int, n: int) -> None:
    data = symbols(n, 2, n)
    stored = checks_of(data, checks)
    for column in range(2):
        word = [*stored[:, column].tolist(), *data[:, column].tolist()]
        assert [power_sum(word, checks, j) for j in range(checks)] == [0] * checks


def test_every_single_and_double_error() -> None:
    data = symbols(5, 1, 0)
    stored = checks_of(data, 4)
    word = np.concatenate([stored, data])
    for places in [*combinations(range(9), 1), *combinations(range(9), 2)]:
        wrong = word.copy()
        wrong[list(places), 0] ^= np.array([1, 0x8001][: len(places)], np.uint16)
        expected = {at - 4: int(wrong[at, 0] ^ word[at, 0]) for at in places if at >= 4}
        assert corrections(wrong[4:], wrong[:4]) == [expected]


@pytest.mark.parametrize(("checks", "n"), [(16, 700), (128, most_symbols(128)), (256, 3000)])
def test_as_many_errors_as_promised_and_no_more(checks: int, n: int) -> None:
    rng = np.random.default_rng(checks)
    data = symbols(n, 2, 1)
    word = np.concatenate([checks_of(data, checks), data])
    for count in (checks // 2, checks // 2 + 1):
        wrong = word.copy()
        places = rng.choice(len(word), count, replace=False)
        wrong[places, 1] ^= rng.integers(1, 65536, count).astype(np.uint16)
        fits = count == checks // 2
        expected = {int(at) - checks: int(wrong[at, 1] ^ word[at, 1]) for at in places if at >= checks}
        assert corrections(wrong[checks:], wrong[:checks]) == [{}, expected if fits else {}]


def test_a_stream_grows_by_its_parity_alone() -> None:
    assert without_parity(STREAM) == PLAIN and with_parity(STREAM) == STREAM
    assert check(STREAM).version == (1, 1) and check(PLAIN).version == (1, 0)
    added = sum(24 + chunk.length for chunk in INFO.chunks if chunk.tag == "pari")
    assert len(STREAM) == len(PLAIN) + added
    assert INFO.component("parity") == added - 24 * 4
    kept = [(c.tag, c.level, c.slice, c.length, c.crc) for c in INFO.chunks[1:] if c.tag != "pari"]
    assert kept == [(c.tag, c.level, c.slice, c.length, c.crc) for c in describe(PLAIN).chunks[1:]]


@pytest.mark.parametrize(
    ("size", "checks", "codewords"),
    [(0, 0, 0), (1, 16, 1), (20_000, 32, 1), (130_560, 128, 1), (130_561, 128, 2), (1 << 32, 0, 0)],
)
def test_sections(size: int, checks: int, codewords: int) -> None:
    found = section_of(size)
    assert found.possible and (found.checks, found.codewords) == (checks, codewords)


def test_the_cost_is_a_third_of_a_percent() -> None:
    """For levels of the sizes that scenes have, framing included."""
    for sizes in ((2_000, 0), (41_000, 190_000), (4_000, 120_000)), ((2_000, 0), (80_000, 1_500_000)):
        cost = sum(24 + 2 * FIELDS.size + sum(section_of(size).length for size in pair) for pair in sizes)
        assert cost <= 0.0035 * sum(map(sum, sizes))


@pytest.mark.parametrize(("anchors", "count"), [(3000, 1), (3000, 10), (20_000, 30)])
def test_random_bytes_anywhere(anchors: int, count: int) -> None:
    """All slices are whole again, as are the bytes that they need; parity chunks are hit, too."""
    plain = PLAIN if anchors == 3000 else encode(synthetic.tiny(anchors, levels=2))
    stream = with_parity(plain)
    rng = np.random.default_rng(count)
    for _ in range(3):
        found = salvage(flipped(stream, rng.choice(len(stream), count, replace=False).tolist()))
        assert not found.lost and all(map(all, found.slices))
        assert decode(found.data).symbol_hash == decode(plain).symbol_hash


def test_what_every_slice_needs_and_the_preamble() -> None:
    for tag, level in (("INDX", 0), ("HEAD", 0), ("GRID", 1), ("GHED", 1), ("NETS", 1), ("NETS", 2)):
        chunk = INFO.chunks[index_of(STREAM, tag, level)]
        last = chunk.offset + 24 + chunk.length - 1
        found = salvage(flipped(STREAM, [0, 8, chunk.offset + 3, chunk.offset + 13, last - 1, last]))
        assert not found.lost and decode(found.data).symbol_hash == decode(PLAIN).symbol_hash


def test_a_run_of_bytes() -> None:
    chunk = INFO.chunks[index_of(STREAM, "GRID", 1)]
    found = salvage(flipped(STREAM, list(range(chunk.offset + 30, chunk.offset + 30 + 14))))
    assert not found.lost


def test_parity_that_is_damaged_itself() -> None:
    """Its fields stand there twice, its header is mended, and its checks are symbols like others."""
    at = INFO.chunks[index_of(STREAM, "pari", 1)].offset
    grid = INFO.chunks[index_of(STREAM, "GRID", 1)].offset
    for own in ([at + 21], [at + 2], [at + 24, at + 30], [at + 44, at + 46]):
        found = salvage(flipped(STREAM, [*own, grid + 40, grid + 41]))
        assert not found.lost and decode(found.data).symbol_hash == decode(PLAIN).symbol_hash


def test_odd_parity_chunks_say_nothing() -> None:
    """Sizes beyond the file, counts that cannot be, payloads of another length."""
    index = index_of(STREAM, "pari", 1)
    grid = INFO.chunks[index_of(STREAM, "GRID", 1)].offset
    fields = [(1 << 31, 16, 9000, 0, 0, 0), (64, 3, 1, 0, 0, 0), (0, 2, 1, 0, 0, 0), (60, 512, 1, 0, 0, 0)]
    payloads = [b"", b"\0" * 15, b"\0" * 40]
    for numbers in fields:
        checks = 2 * numbers[1] * numbers[2] % 5000
        payloads.append(FIELDS.pack(*numbers) + bytes(checks) + FIELDS.pack(*numbers))
    for payload in payloads:
        odd = rebuilt(STREAM, {index: (b"pari", payload)})
        assert decode(odd).symbol_hash == decode(PLAIN).symbol_hash
        found = salvage(flipped(odd, [grid + 40]))
        assert not found.lost


def test_levels_and_slices_that_are_left_out() -> None:
    for level in (1, 2, 3):
        assert truncate_levels(STREAM, level) == with_parity(truncate_levels(PLAIN, level))
    assert keep_slices(STREAM, {2, 5}) == with_parity(keep_slices(PLAIN, {2, 5}))
    for size in (len(STREAM) - 3000, len(STREAM) - 6000):
        chosen = largest_subset(STREAM, size)
        assert chosen is not None and 0.95 * size < len(keep_slices(STREAM, chosen)) <= size


def test_parity_of_what_was_written_anew_is_not_damage() -> None:
    """Programs that do not know it leave levels or slices out and copy it."""
    old = _codec.truncate_stream(STREAM, 2)
    check(old)
    assert not salvage(old).lost and decode_salvaged(old)[0].symbol_hash == decode(PLAIN, upto=2).symbol_hash
    camera = index_of(STREAM, "cams")
    payload = payload_of(STREAM, camera)
    other = replaced(STREAM, camera, payload[:-1] + bytes([payload[-1] ^ 1]))
    assert payload not in salvage(other).data


def test_readers_skip_it() -> None:
    expected = decode(PLAIN).symbol_hash
    assert decode(STREAM).symbol_hash == expected
    symbols, _ = decode_reference(STREAM, 3)
    assert symbols.symbol_hash == expected
    arriving = ArrivingStream()
    for at in range(0, len(STREAM), 1000):
        arriving.feed(STREAM[at : at + 1000])
    assert arriving.level == 3


def test_parts_of_a_file_are_read_as_before() -> None:
    """Slices still fill a level's end, so that a reader finds them without the chunks before."""
    for level in INFO.levels:
        own = [chunk for chunk in INFO.chunks if chunk.level == level.level]
        assert [chunk.tag for chunk in own][-level.slices :] == ["SLIC"] * level.slices


def test_command(cli: Cli, tmp_path: Path) -> None:
    plain, made, back = (tmp_path / name for name in ("plain.pcgs", "made.pcgs", "back.pcgs"))
    plain.write_bytes(PLAIN)
    assert cli("compress", plain, "--parity", "-o", made).code == 0 and made.read_bytes() == STREAM
    assert cli("compress", made, "-o", back).code == 0 and back.read_bytes() == STREAM
    assert cli("compress", made, "--no-parity", "-o", back, "-f").code == 0 and back.read_bytes() == PLAIN
    shown = cli("inspect-bitstream", made, "--chunks").out.decode()
    assert "parity" in shown and "pari" in shown
    size = len(STREAM) - 4000
    fitted = pipeline.compress(pipeline.load_source(made), max_size=size).data
    assert 0.95 * size < len(fitted) <= size and with_parity(fitted) == fitted
    grid = INFO.chunks[index_of(STREAM, "GRID", 1)].offset
    made.write_bytes(flipped(STREAM, [grid + 40, grid + 41]))
    assert cli("inspect-bitstream", "--check", made).code == 4
    ran = cli("decompress", made, "--salvage")
    assert ran.code == 0 and "lost" not in ran.err
    assert ran.out == cli("decompress", plain).out
