"""Golden streams of every format version give the same symbols for ever, on every path of the decoders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gspc import _codec
from gspc.codec import decode, decode_symbols, truncate_levels
from gspc.format import check, describe
from gspc.format.shape import ALL_LEVELS, NEVER
from gspc.reference.decode import decode_reference

GOLDEN = Path(__file__).parent / "golden"
HASHES: dict[str, list[str]] = json.loads((GOLDEN / "hashes.json").read_text())


def stream(name: str) -> bytes:
    return (GOLDEN / f"{name}.pcgs").read_bytes()


def test_all_streams_have_hashes() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.pcgs")) == sorted(HASHES)
    assert sum(len(stream(name)) for name in HASHES) < 150_000


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("isa", ["base", "v3", "v4"])
def test_core(name: str, isa: str) -> None:
    data = stream(name)
    assert len(check(data).levels) == len(HASHES[name])
    before = _codec.active_isa()
    try:
        _codec.set_isa(isa)
        for level, expected in enumerate(HASHES[name], start=1):
            for threads in (1, 2):
                assert decode(data, upto=level, threads=threads).symbol_hash == expected
            assert decode_symbols(data, level, reverse=True, threads=1).symbol_hash == expected
            assert decode(truncate_levels(data, level)).symbol_hash == expected
    finally:
        _codec.set_isa(before)


def test_streams_are_of_every_kind() -> None:
    shapes = {name: check(stream(name)).header.shape for name in HASHES}
    assert {shape.family for shape in shapes.values()} == {"plain", "predictive"}
    assert {tuple(a.trit_model for a in shape.attributes) for shape in shapes.values()} == {
        ("learned",) * 3,
        ("gaussian",) * 3,
        ("unbounded",) * 3,
        ("learned", "gaussian", "gaussian"),
    }
    assert {tuple(a.refined_until for a in shape.attributes) for shape in shapes.values()} == {
        *((NEVER,) * 3, (ALL_LEVELS, ALL_LEVELS, NEVER), (NEVER, NEVER, ALL_LEVELS), (ALL_LEVELS,) * 3),
        *((2, 2, NEVER), (2, 2, 2)),
    }
    assert {shape.scales for shape in shapes.values()} == {1, 6}
    groups, own = shapes["chunks"].groups, shapes["own-planes"]
    assert groups is not None and groups.count == 5 and shapes["pool-only"].features == 0
    assert own.residual_hidden > 0 and own.pool is not None and own.pool.planes > 0
    assert describe(stream("mixture-escapes")).component("escapes") > 300


@pytest.mark.parametrize("name", HASHES)
def test_reference_decoder(name: str) -> None:
    data = stream(name)
    for level in {1, len(HASHES[name])}:
        symbols, _ = decode_reference(data, level)
        assert symbols.symbol_hash == HASHES[name][level - 1]
