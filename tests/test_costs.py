"""What anchors cost, held against the readable decoder: each symbol's share of its table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from stream_bytes import index_of, rebuilt, without_last_slice

from gspc.codec import decode_symbols
from gspc.codec.costs import COMPONENTS, anchor_costs, plane_entropies
from gspc.errors import BitstreamError
from gspc.format import describe
from gspc.format.scene import F32, U8
from gspc.format.shape import StreamShape
from gspc.reference.decode import decode_reference
from gspc.reference.symbol_tables import TOTAL, Slots, SymbolTable

GOLDEN = Path(__file__).parent / "golden"
STREAMS = sorted(path.stem for path in GOLDEN.glob("*.pcgs"))


def stream(name: str) -> bytes:
    return (GOLDEN / f"{name}.pcgs").read_bytes()


def coded_bits(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Bits of all symbols in coding order, as the readable decoder looks them up in their tables."""
    bits: list[float] = []
    find = SymbolTable.find

    def metered(table: SymbolTable, slot: int) -> tuple[int | None, Slots]:
        symbol, slots = find(table, slot)
        bits.append(math.log2(TOTAL / slots[0]))
        return symbol, slots

    with monkeypatch.context() as patch:
        patch.setattr(SymbolTable, "find", metered)
        decode_reference(data)
    return bits


@dataclass
class Slice:
    """Rows of one slice, and which level is coded."""

    gaussian_level: U8  # [n, K]
    first: U8  # [n]
    level: int
    steps: U8  # [n, 3] step levels; 0 of anchors that are yet to appear
    steps_before: U8  # [n, 3] at the level before

    def rows_of_symbols(self, shape: StreamShape) -> Iterator[tuple[str, int]]:
        """(component, row) of every symbol in coding order (pcgs(5), CODING ORDER)."""
        rows = np.arange(len(self.first))
        fresh = rows[self.first == self.level]
        alive = (self.gaussian_level > 0) & (self.gaussian_level < self.level)
        for number, attribute in enumerate(shape.attributes):
            name, steps, before = (
                f"refined_{attribute.name}",
                self.steps[:, number],
                self.steps_before[:, number],
            )
            for step in range(2, self.level + 1):
                chosen = rows[(steps == step) & (before == step - 1)]
                of_offsets = np.repeat(chosen, 3 * alive[chosen].sum(axis=1))
                own = of_offsets if attribute.name == "offsets" else np.repeat(chosen, attribute.values)
                yield from ((name, row) for row in own)
        for begin, end in shape.group_bounds:
            yield from (("features", row) for row in np.repeat(fresh, end - begin))
        yield from (("scaling", row) for row in np.repeat(fresh, shape.scales))
        appearing = np.nonzero(self.gaussian_level == self.level)[0]
        yield from (("offsets", row) for row in np.repeat(appearing, 3))


def expected_costs(data: bytes, coded: list[float]) -> F32:
    """Bits [S, N, 6]."""
    info, symbols = describe(data), decode_symbols(data)
    at_levels = [decode_symbols(data, level).step_levels for level in range(1, symbols.level + 1)]
    masks = symbols.gaussian_level
    first = np.where(masks == 0, 255, masks).min(axis=1).astype(np.uint8)
    bits = np.zeros((symbols.level, len(masks), len(COMPONENTS)))
    at, left, starts = 0, iter(coded), [0] * symbols.level
    for number in range(len(info.slice_keys)):
        here = [place for place in info.slices if place.slice == number]
        rows = slice(at, at + sum(place.anchors for place in here))
        steps = np.zeros((symbols.level + 1, rows.stop - at, 3), np.uint8)
        for level, found in enumerate(at_levels, start=1):
            count = int((first[rows] <= level).sum())
            steps[level, :count] = found[starts[level - 1] : starts[level - 1] + count]
            starts[level - 1] += count
        for place in here:
            own, before = steps[place.level], steps[place.level - 1]
            part = Slice(masks[rows], first[rows], place.level, own, before)
            for name, row in part.rows_of_symbols(info.header.shape):
                bits[place.level - 1, at + row, COMPONENTS.index(name)] += next(left)
        at = rows.stop
    assert next(left, None) is None and at == len(masks)
    return bits.astype(np.float32)


@pytest.mark.parametrize("name", STREAMS)
def test_costs_are_those_of_the_readable_decoder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = stream(name)
    costs = anchor_costs(data)
    np.testing.assert_allclose(
        costs.bits, expected_costs(data, coded_bits(data, monkeypatch)), rtol=1e-5, atol=1e-6
    )
    symbols = decode_symbols(data)
    np.testing.assert_array_equal(costs.positions, symbols.positions)
    sums = costs.bits.sum(axis=1, dtype=np.float64)
    for (level, component), bits in symbols.ideal_bits.items():
        assert sums[level - 1, COMPONENTS.index(component)] == pytest.approx(bits, rel=1e-6)


def test_threads_change_nothing() -> None:
    data = stream("three-levels")
    assert len(describe(data).slice_keys) > 1
    one, four = (anchor_costs(data, threads=n) for n in (1, 4))
    np.testing.assert_array_equal(one.bits, four.bits)
    np.testing.assert_array_equal(one.first_level, four.first_level)
    np.testing.assert_array_equal(one.positions, four.positions)


def test_whole_levels_of_a_cut_stream() -> None:
    data = stream("three-levels")
    cut = data[: describe(data).levels[1].offset + 5]
    whole, part = anchor_costs(data), anchor_costs(cut)
    assert part.bits.shape[0] == 1
    np.testing.assert_array_equal(part.bits[0], whole.bits[0][whole.first_level == 1])


def test_a_slice_that_the_last_level_lacks() -> None:
    """Its anchors cost nothing there, and all others what they did."""
    data = stream("three-levels")
    partial = without_last_slice(data)
    whole, found = anchor_costs(data), anchor_costs(partial)
    kept = len(found.positions)
    assert kept == len(whole.positions) - describe(data).slices[-1].anchors
    assert (found.bits[2, -1] == 0).all() and (found.bits[1, -1] > 0).any()
    np.testing.assert_array_equal(found.bits[:2], whole.bits[:2, :kept])


def test_damage_and_limits() -> None:
    data = stream("one-level")
    with pytest.raises(BitstreamError, match=r"measuring needs about .* MiB of memory, the limit is 0 MiB"):
        anchor_costs(data, max_memory=1 << 10)
    at = describe(data).chunks[index_of(data, "SLIC", 1, 0)].offset + 40
    flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(BitstreamError, match="chunk SLIC level 1 slice 0: checksum error"):
        anchor_costs(flipped)
    grid = index_of(data, "GRID", 1)
    for read in (anchor_costs, plane_entropies):
        with pytest.raises(BitstreamError, match="chunk GRID"):
            read(rebuilt(data, {grid: (b"GRID", b"")}))
