"""The binary range coder: C++ against the readable one, exact sizes, and any bytes at all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gspc import _codec
from gspc.reference import binary as reference

BIT, RAW, NUMBER, SIGNED, UNIFORM = range(5)
Script = list[tuple[int, int, int]]


def as_array(script: Script) -> np.ndarray:
    return np.array([v & 0xFFFFFFFF for row in script for v in row], np.uint32)


def encode(script: Script) -> bytes:
    data: bytes = _codec.binary_encode(as_array(script))
    return data


def decode(data: bytes, script: Script) -> tuple[list[int], bool, bool]:
    """Values (signed ones as such), overrun, finished."""
    values, overrun, finished = _codec.binary_decode(data, as_array(script))
    signed = [int(np.int32(v)) if op[0] == SIGNED else int(v) for v, op in zip(values, script, strict=True)]
    return signed, overrun, finished


def run_reference(coder: reference.BinaryCoder, script: Script) -> list[int]:
    bits = [reference.BinaryModel() for _ in range(256)]
    numbers = [reference.ExpGolombModel() for _ in range(16)]
    values = []
    for kind, a, b in script:
        if kind == BIT:
            values.append(coder.bit(bits[a], b))
        elif kind == RAW:
            values.append(coder.raw(b, a))
        elif kind == NUMBER:
            values.append(coder.number(numbers[a], b))
        elif kind == SIGNED:
            values.append(coder.signed_number(numbers[a], b))
        else:
            values.append(coder.uniform(b, a))
    return values


operations = st.one_of(
    st.tuples(st.just(BIT), st.integers(0, 3), st.integers(0, 1)),
    st.integers(0, 32).flatmap(lambda n: st.tuples(st.just(RAW), st.just(n), st.integers(0, (1 << n) - 1))),
    st.tuples(st.just(NUMBER), st.integers(0, 1), st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 2))),
    st.tuples(st.just(SIGNED), st.integers(0, 1), st.integers(-(2**31) + 1, 2**31 - 1)),
    st.integers(1, 65536).flatmap(lambda n: st.tuples(st.just(UNIFORM), st.just(n), st.integers(0, n - 1))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(operations, max_size=80))
def test_both_coders_agree_and_return_what_was_coded(script: Script) -> None:
    data = encode(script)
    slow = reference.BinaryEncoder()
    run_reference(slow, script)
    assert slow.finish() == data
    wanted = [b for _, _, b in script]
    assert decode(data, script) == (wanted, False, True)
    decoder = reference.BinaryDecoder(data)
    assert run_reference(decoder, script) == wanted
    assert decoder.finished


def test_nothing_is_no_bytes() -> None:
    assert encode([]) == b""
    assert decode(b"", []) == ([], False, True)


@pytest.mark.parametrize(("n", "size"), [(1, 1), (2, 1), (3, 1), (1000, 1000)])
def test_raw_digits_cost_what_they_are(n: int, size: int) -> None:
    script = [(RAW, 8 if n == 1000 else 1, 1)] * n
    assert abs(len(encode(script)) - size) <= (1 if n == 1000 else 0)


def test_carries_run_through_many_bytes() -> None:
    # All ones, then a step over the top: the carry has to travel back through hundreds of 255s.
    script: Script = [(RAW, 16, 65535)] * 400 + [(UNIFORM, 3, 2)] * 40 + [(BIT, 0, 0)] * 50
    data = encode(script)
    assert decode(data, script)[0] == [b for _, _, b in script]
    slow = reference.BinaryEncoder()
    run_reference(slow, script)
    assert slow.finish() == data


@pytest.mark.parametrize("p", [0.5, 0.1, 0.01, 0.001])
def test_adaptive_bits_cost_their_entropy(p: float) -> None:
    rng = np.random.default_rng(5)
    bits = (rng.random(100_000) < p).astype(int)
    share = bits.mean()
    ideal = -len(bits) * (share * math.log2(share) + (1 - share) * math.log2(1 - share)) / 8
    size = len(encode([(BIT, 0, int(b)) for b in bits]))
    assert ideal * 0.99 < size < ideal + 0.004 * len(bits) / 8 + 24


def test_a_constant_bit_costs_next_to_nothing() -> None:
    assert len(encode([(BIT, 7, 1)] * 100_000)) < 100_000 * 0.002 / 8 + 12


def test_truncated_streams_are_noticed() -> None:
    rng = np.random.default_rng(1)
    script: Script = [(RAW, 32, int(v)) for v in rng.integers(0, 2**32, 50)]
    data = encode(script)
    assert decode(data, script)[1:] == (False, True)
    assert decode(data + bytes(9), script)[1:] == (False, False)  # bytes left over
    for cut in (9, 20, 100, len(data)):
        assert decode(data[: len(data) - cut], script)[1:] == (True, False)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.lists(operations, max_size=60))
def test_any_bytes_decode_to_values_in_range(data: bytes, script: Script) -> None:
    values, _, _ = decode(data, script)
    assert run_reference(reference.BinaryDecoder(data), script) == values
    limits = {BIT: lambda a: 2, RAW: lambda a: 1 << a, NUMBER: lambda a: 2**32 - 1, UNIFORM: lambda a: a}
    for value, (kind, a, _) in zip(values, script, strict=True):
        if kind == SIGNED:
            assert abs(value) < 2**31
        else:
            assert 0 <= value < limits[kind](a)
