"""Selective refinement: each anchor's attributes get their digits at levels of their own, or never."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import synthetic
from codec_checks import assert_symbols

from gspc import _codec
from gspc.codec import ArrivingStream, decode, decode_symbols, encode, truncate_levels
from gspc.errors import BitstreamError, InputError
from gspc.format import check, describe
from gspc.format.scene import QuantizedScene
from gspc.reference.decode import decode_reference

LEVELS = len(synthetic.STAGES)


def make(name: str, count: int = 150) -> QuantizedScene:
    return synthetic.selective(
        synthetic.tiny(count, levels=3, seed=21, variant=synthetic.VARIANTS[name]), seed=3
    )


@pytest.fixture(scope="module", params=synthetic.VARIANTS)
def scene(request: pytest.FixtureRequest) -> QuantizedScene:
    return make(request.param)


@pytest.fixture(scope="module")
def stream(scene: QuantizedScene) -> bytes:
    return encode(scene, slice_anchors=64)


def test_round_trip_and_fewer_levels(scene: QuantizedScene, stream: bytes) -> None:
    assert check(stream).version == (2, 0)
    for level in range(1, LEVELS + 1):
        assert_symbols(scene, decode_symbols(stream, level), level)
        cut = truncate_levels(stream, level)
        assert cut == encode(scene, levels=level, slice_anchors=64)
        assert decode(cut).symbol_hash == decode(stream, upto=level, threads=1).symbol_hash


def test_the_decoder_written_from_the_page_agrees(scene: QuantizedScene, stream: bytes) -> None:
    for level in range(1, LEVELS + 1):
        got, model = decode_reference(stream, level)
        want = decode_symbols(stream, level)
        for field in fields(got):
            if field.name != "ideal_bits":
                np.testing.assert_array_equal(getattr(got, field.name), getattr(want, field.name), field.name)
        assert model.stages == synthetic.STAGES[:level]


def test_every_instruction_set_thread_and_piece(scene: QuantizedScene, stream: bytes) -> None:
    want = decode(stream).symbol_hash
    before = _codec.active_isa()
    try:
        for isa in ("base", "v3", "v4"):
            _codec.set_isa(isa)
            assert encode(scene, slice_anchors=64, threads=1) == stream
            assert decode(stream, threads=2).symbol_hash == want
            assert decode_symbols(stream, reverse=True).symbol_hash == want
    finally:
        _codec.set_isa(before)
    arriving = ArrivingStream()
    for at in range(0, len(stream), 997):
        arriving.feed(stream[at : at + 997])
    assert arriving.finish().symbol_hash == want


def test_values_are_in_steps_of_their_own() -> None:
    scene = make("default")
    data = encode(scene)
    decoded, symbols = decode(data), decode_symbols(data)
    count = scene.features.shape[1]
    thirds = 3.0 ** (symbols.step_levels[:, :1].astype(np.float64) - 1)
    assert len(np.unique(thirds)) == 2  # refined until stage 2
    step = synthetic.STEP_BASE[0] * _codec.step_table()[symbols.steps[:, :1]] / 2**14 / thirds
    values = symbols.means[:, :count] * synthetic.STEP_BASE[0] / 64 + symbols.features * step
    np.testing.assert_array_equal(decoded.scene.features[:, -count:], values.astype(np.float32))


def test_everything_refined_at_once_gives_the_symbols_of_version_1() -> None:
    """The same digits under the same tables: choices that are all alike cost next to nothing."""
    plain = synthetic.tiny(4000, levels=3, seed=5, variant=synthetic.VARIANTS["default"])
    first = np.where(plain.gaussian_level > 0, plain.gaussian_level, 4).min(axis=1)
    refined_at = np.zeros((len(first), 3, 2), np.uint8)
    refined_at[first == 1, :, 0] = 2
    chosen = replace(
        plain,
        shape=replace(plain.shape, selective=True),
        stages=(1, 2, 3),
        refined_at=refined_at,
    )
    before, after = encode(plain), encode(chosen)
    old, new = decode_symbols(before), decode_symbols(after)
    for name in ("positions", "gaussian_level", "features", "scaling", "offsets", "step_levels"):
        np.testing.assert_array_equal(getattr(old, name), getattr(new, name))
    assert old.symbol_hash != new.symbol_hash  # the steps are hashed, too
    assert len(before) <= len(after) <= len(before) + 40
    assert check(before).version == (1, 0)


def test_what_is_never_refined_costs_nothing() -> None:
    scene = make("refined-offsets", 800)
    assert scene.refined_at is not None
    bare = replace(scene, refined_at=np.zeros_like(scene.refined_at))
    never = decode_symbols(encode(bare))
    assert_symbols(bare, never, LEVELS)
    assert sum(bits for (_, name), bits in never.ideal_bits.items() if name.startswith("refined")) == 0
    assert len(encode(bare)) < len(encode(scene))


# ---- what is refused ----


def test_a_choice_needs_both_halves() -> None:
    scene = make("plain", 20)
    plain = synthetic.tiny(20)
    for half in (
        replace(scene, stages=()),
        replace(scene, refined_at=None),
        replace(plain, stages=(1, 2, 3)),
        replace(scene, shape=plain.shape),
    ):
        with pytest.raises(InputError, match="needs stages and refined_at"):
            encode(half)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((1, 1, 1, 3, 3, 3), "stages of levels"),
        ((2, 2, 2, 2, 3, 3), "stages of levels"),
        ((1, 2, 1, 2, 3, 3), "stages of levels"),
        ((1, 2, 2, 2, 3, 3, 3, 3, 3), "1 to 8 levels"),
    ],
)
def test_stages_that_do_not_follow(stages: tuple[int, ...], message: str) -> None:
    scene = make("plain", 20)
    with pytest.raises(InputError, match=message):
        encode(replace(scene, stages=stages, levels=len(stages)))


@pytest.mark.parametrize(
    "refinements",
    [
        (0, 5),  # the second step without the first
        (5, 5),  # both at once
        (5, 3),  # backwards
        (2, 4),  # a step of stage 3 at a level of stage 2
        (9, 0),  # after the last level
        (1, 0),  # when it appears
    ],
)
def test_refinements_out_of_order(refinements: tuple[int, int]) -> None:
    scene = make("plain", 20)
    assert scene.refined_at is not None
    first = int(np.flatnonzero((scene.gaussian_level == 1).any(axis=1))[0])
    refined_at = scene.refined_at.copy()
    refined_at[first, 0] = refinements
    with pytest.raises(InputError, match="refinements are not in the order"):
        encode(replace(scene, refined_at=refined_at))


def test_version_and_header_belong_together(stream: bytes) -> None:
    first = b"\x01".join([stream[:8], stream[9:]])
    for read in (decode, describe, decode_reference):
        with pytest.raises(BitstreamError, match="its refinement is not that of format version 1"):
            read(first)
    with pytest.raises(BitstreamError, match="its refinement is not that of format version 1"):
        ArrivingStream().feed(first)
