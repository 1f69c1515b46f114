"""The readable decoder by itself: its examples, and what it refuses."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from dataclasses import replace

import numpy as np
import pytest
import synthetic
from test_codec_damage import head_change, payload_of, replaced

import gspc.reference
from gspc.codec import decode_symbols, encode
from gspc.errors import BackendError, BitstreamError
from gspc.format import describe
from gspc.reference import mixing
from gspc.reference.decode import decode_reference
from gspc.reference.networks import Layer, check_layer
from gspc.reference.varint import read_varint, varint

MODULES = [module.name for module in pkgutil.iter_modules(gspc.reference.__path__)]


def test_examples() -> None:
    tried = 0
    for name in MODULES:
        done = doctest.testmod(importlib.import_module(f"gspc.reference.{name}"))
        assert done.failed == 0, name
        tried += done.attempted
    assert tried >= 15


def test_every_part_is_in_the_list() -> None:
    listed = (gspc.reference.__doc__ or "").splitlines()
    parts = {line.split()[0] for line in listed if line.startswith("    ")}
    assert parts == set(MODULES) - {"arrays"}


def outcome(read: object, data: bytes) -> str:
    """The symbols' hash, or that the stream was refused."""
    try:
        found = read(data)  # type: ignore[operator]
    except BitstreamError:
        return "refused"
    return str(found.symbol_hash)


@pytest.mark.parametrize("name", ["everything", "unbounded-trits", "default"])
def test_both_decoders_take_damaged_contents_alike(name: str) -> None:
    """Payloads with flipped bits and right checksums: both refuse, or both read the same symbols."""
    data = encode(synthetic.tiny(25, levels=2, variant=synthetic.VARIANTS[name]), slice_anchors=15)
    rng = np.random.default_rng(3)
    chunks = [i for i, c in enumerate(describe(data).chunks) if c.tag in ("GRID", "NETS", "GHED", "SLIC")]
    refused = 0
    for trial in range(24):
        at = chunks[trial % len(chunks)]
        payload = bytearray(payload_of(data, at))
        for place in rng.integers(0, len(payload), 1 + trial % 3):
            payload[place] ^= 1 << int(rng.integers(0, 8))
        damaged = replaced(data, at, bytes(payload))
        want = outcome(decode_symbols, damaged)
        assert outcome(lambda data: decode_reference(data)[0], damaged) == want, trial
        refused += want == "refused"
    assert refused > 10


def test_the_coder_is_named() -> None:
    data = encode(synthetic.tiny(20))
    with pytest.raises(BitstreamError, match="torchac"):
        decode_reference(head_change(data, 12, b"\x01"))


def test_a_grid_beyond_the_limits() -> None:
    data = encode(synthetic.tiny(20))
    with pytest.raises(BitstreamError, match="HEAD: box_size"):
        decode_reference(head_change(data, 122, bytes(4)))


LAYER = Layer(
    weight=np.full((2, 8), 127, np.int8),
    bias=np.zeros(2, np.int32),
    multiplier=np.full((1, 2), 1000, np.int16),
    shift=np.array([8], np.uint8),
)


def test_layers_beyond_the_limits() -> None:
    check_layer("good", LAYER)
    for message, change in (
        ("shifts must be 1 to 40", {"shift": np.array([41], np.uint8)}),
        ("shifts must be 1 to 40", {"shift": np.array([0], np.uint8)}),
        ("sums are beyond", {"bias": np.array([0, 1 << 24], np.int32)}),
        ("sums are beyond", {"bias": np.array([-(1 << 24), 0], np.int32)}),
        (
            "sums are beyond",
            {"multiplier": np.full((1, 2), -32767, np.int16), "shift": np.array([1], np.uint8)},
        ),
    ):
        with pytest.raises(BitstreamError, match=message):
            check_layer("bad", replace(LAYER, **change))


def test_varints() -> None:
    for value in (0, 1, 127, 128, 300, (1 << 32) - 1):
        data = varint(value)
        assert read_varint(b"x" + data + b"y", 1, "test") == (value, 1 + len(data))
    for data in (b"", b"\x80", b"\x80\x00", b"\xff\xff\xff\xff\x1f", b"\xff\xff\xff\xff\xff\x01"):
        with pytest.raises(BitstreamError, match="a test"):
            read_varint(data, 0, "a test")


def test_the_start_state_is_found_or_missed_aloud(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed gspc has no source tree around it: that where tests run serves, or the error says so."""
    mixing.priors.cache_clear()
    monkeypatch.setattr(mixing, "__file__", f"{tmp_path}/gspc/reference/mixing.py")
    assert mixing.priors().probability["rest_zero"].shape == (4, 2)
    mixing.priors.cache_clear()
    monkeypatch.chdir(str(tmp_path))
    with pytest.raises(BackendError, match="source tree"):
        mixing.priors()
