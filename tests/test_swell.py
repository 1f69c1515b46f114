"""Gaussians of early levels are enlarged: what the stream says, what decoders make of it, and by how much."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch
from cli_tools import Cli
from stream_bytes import index_of, rebuilt
from train_scenes import POOLED, noise_scene, trainer

from gspc.codec import ArrivingStream, decode, decode_salvaged, encode, truncate_levels
from gspc.codec.portions import cuts, encode_ranked, swell
from gspc.codec.ranking import Gains, ranked
from gspc.errors import BitstreamError, InputError
from gspc.format import describe
from gspc.format.limits import CHUNK_HEADER_BYTES
from gspc.format.parity import with_parity, without_parity
from gspc.format.scene import QuantizedScene
from gspc.format.subset import keep_slices
from gspc.model.storage import Gains as TrainedGains
from gspc.model.storage import TrainedModel, load_model, save_model
from gspc.scene import DecodedScene
from gspc.train.utility.anchors import Anchors
from gspc.train.utility.swell import MOST, SHARES, STEP, Swell, highest

PLAIN = synthetic.tiny(200, levels=3, seed=3)
SWOLLEN = replace(PLAIN, swell=(40, 7))
STREAM = encode(SWOLLEN, slice_anchors=40)


@pytest.mark.parametrize("variant", ["plain", "one-scale", "everything"])
def test_only_the_scales_of_gaussians_change(variant: str) -> None:
    """By exactly the sixty-fourths of the level, symbols by nothing."""
    scene = synthetic.tiny(60, levels=3, seed=4, variant=synthetic.VARIANTS[variant])
    with_it, without = encode(replace(scene, swell=(40, 7))), encode(scene)
    for level, more in ((1, 40), (2, 7), (3, 0)):
        found, before = decode(with_it, upto=level), decode(without, upto=level)
        assert found.symbol_hash == before.symbol_hash
        expected = before.scene.log_scales.copy()
        expected[:, 3:] += np.float32(more / 64)
        assert np.array_equal(found.scene.log_scales, expected)
        for name in ("anchors", "features", "offsets", "gaussian_mask"):
            assert np.array_equal(getattr(found.scene, name), getattr(before.scene, name))


def test_the_chunk_takes_thirty_bytes_and_the_minor_version_says_it() -> None:
    plain = encode(PLAIN, slice_anchors=40)
    assert len(STREAM) == len(plain) + CHUNK_HEADER_BYTES + 2
    assert describe(STREAM).version == (1, 2) and describe(plain).version == (1, 0)
    checked = with_parity(STREAM)
    assert describe(checked).version == (1, 2) and without_parity(checked) == STREAM
    assert describe(encode(replace(PLAIN, swell=()))).version == (1, 0)


def test_every_way_of_reading_gives_the_same() -> None:
    for level in (1, 2, 3):
        whole = decode(STREAM, upto=level).scene
        cut = truncate_levels(STREAM, level)
        assert cut == encode(SWOLLEN, slice_anchors=40, levels=level)
        arriving = ArrivingStream(upto=level)
        arriving.feed(STREAM)
        salvaged, losses = decode_salvaged(STREAM, upto=level)
        assert losses.share == 1
        for other in (decode(cut), arriving.finish(), salvaged):
            assert np.array_equal(other.scene.log_scales, whole.log_scales)


def test_slices_that_a_level_lacks_stay_as_large_as_before() -> None:
    """Their gaps are still there."""
    part = keep_slices(truncate_levels(STREAM, 2), {1, 3})
    found, first, second = decode(part).scene, decode(STREAM, upto=1).scene, decode(STREAM, upto=2).scene
    assert found.level == 2

    def sizes(scene: DecodedScene) -> dict[tuple[float, ...], bytes]:
        rows = zip(scene.anchors.tolist(), scene.log_scales, strict=True)
        return {tuple(anchor): size.tobytes() for anchor, size in rows}

    before, after, now = sizes(first), sizes(second), sizes(found)
    kept = sum(size == before.get(anchor) for anchor, size in now.items())
    grown = sum(size == after.get(anchor) for anchor, size in now.items())
    assert kept > 10 and grown > 10 and kept + grown == len(now)


def test_a_reader_that_does_not_know_the_chunk_reads_the_rest() -> None:
    """To such a reader it is one of an unknown tag."""
    at = index_of(STREAM, "swel")
    unknown = bytearray(STREAM)
    offset = describe(STREAM).chunks[at].offset
    unknown[offset : offset + 4] = b"swol"
    unknown[offset + 20 : offset + 24] = zlib.crc32(unknown[offset : offset + 20]).to_bytes(4, "little")
    plain = decode(encode(PLAIN, slice_anchors=40), upto=1)
    assert np.array_equal(decode(bytes(unknown), upto=1).scene.log_scales, plain.scene.log_scales)


@pytest.mark.parametrize("payload", [b"", bytes(9)])
def test_as_many_levels_as_there_can_be(payload: bytes) -> None:
    with pytest.raises(BitstreamError, match="chunk swel: a byte for each of 1 to 8 levels expected"):
        decode(rebuilt(STREAM, {index_of(STREAM, "swel"): (b"swel", payload)}))
    if payload:
        with pytest.raises(InputError, match="chunk swel"):
            encode(replace(PLAIN, swell=tuple(payload)))
    more = rebuilt(STREAM, {index_of(STREAM, "swel"): (b"swel", bytes(8))})
    assert decode(more).level == 3


def test_inspect_says_it(cli: Cli) -> None:
    Path("a.pcgs").write_bytes(STREAM)
    text = cli("inspect-bitstream", "a.pcgs").out.decode()
    assert "enlarged      at level 1 87 %, at level 2 12 %\n" in text
    found = json.loads(cli("inspect-bitstream", "a.pcgs", "--json").out)
    assert found["header"]["swell"] == [0.625, 0.109375]


# ---- which sizes ----


def gains_of(scene: QuantizedScene, sizes: tuple[tuple[float, float], ...]) -> Gains:
    rng = np.random.default_rng(0)
    count, levels = len(scene.positions), scene.levels
    refined = rng.normal(0, 1, (count, 3, levels - 1)).astype(np.float32)
    fresh = np.where(scene.gaussian_level > 1, rng.normal(0.5, 1, scene.gaussian_level.shape), 0)
    anchors = rng.uniform(1, 9, count).astype(np.float32)
    return Gains(refined, fresh.astype(np.float32), anchors, sizes)


def test_sizes_of_levels_lie_between_those_that_were_measured() -> None:
    scene = synthetic.tiny(400, variant=synthetic.VARIANTS["default"])
    gains = gains_of(scene, ((0.5, 0.25), (0.03, 1.0), (0.9, 1 / 64)))
    moves = ranked(scene, gains)
    parts = moves.best(len(moves))
    ends = cuts(parts, 6)
    anchors = parts.bits[: parts.anchors]
    found = swell(gains, moves, parts, ends)
    share = [anchors[:end].sum() / anchors.sum() for end in ends[:3]]
    assert 0.03 < share[0] < share[1] < 0.5 < share[2] < 0.9
    for at, low, high, sizes in (
        (0, 0.03, 0.5, (1.0, 0.25)),
        (1, 0.03, 0.5, (1.0, 0.25)),
        (2, 0.5, 0.9, (0.25, 1 / 64)),
    ):
        way = math.log(share[at] / low) / math.log(high / low)
        assert found[at] == round(64 * (sizes[0] + way * (sizes[1] - sizes[0])))
    assert len(found) == 3  # all anchors are there from level 4 on
    stream = encode_ranked(scene, gains, levels=6)
    assert describe(stream).version == (2, 2)
    plain = encode_ranked(scene, replace(gains, swell=()), levels=6)
    assert len(stream) == len(plain) + CHUNK_HEADER_BYTES + 3
    bigger = decode(stream, upto=1).scene.log_scales - decode(plain, upto=1).scene.log_scales
    assert np.allclose(bigger[:, 3:], found[0] / 64, atol=1e-6) and not bigger[:, :3].any()


def test_what_would_not_be_seen_is_not_written() -> None:
    scene = synthetic.tiny(400)
    gains = gains_of(scene, ((0.01, 1 / 64), (0.5, 1 / 64)))
    assert encode_ranked(scene, gains) == encode_ranked(scene, replace(gains, swell=()))


@pytest.mark.parametrize("top", [0.0, 0.02, 0.13, 0.4, 0.77, 1.0])
@pytest.mark.parametrize("start", [0.0, 0.35, 0.9])
def test_the_top_of_a_hill_is_found(top: float, start: float) -> None:
    asked = []

    def value(place: float) -> float:
        asked.append(place)
        return -((place - top) ** 2)

    assert highest(value, start) == pytest.approx(top, abs=0.02)
    assert (
        len(asked) == len(set(asked)) <= 5 + abs(top - start) / STEP and min(asked) >= 0 and max(asked) <= 1
    )
    assert highest(lambda place: -abs(place - top), start) == pytest.approx(top, abs=STEP / 2)


def test_measured_sizes_are_the_best_for_the_views() -> None:
    """Where only some of the anchors are drawn, no other size has a better mean PSNR."""
    made = trainer(noise_scene(), POOLED.changed(refine_until=2), 99)
    made.step()
    anchors = Anchors(made)
    shots = [made.shots.take(number, 99, scale=1.0, random_behind=False) for number in range(3)]
    anchors.begin(1.0)
    for shot in shots:
        anchors.add(shot, 1 / len(shots))
    anchors.end()
    found = Swell(anchors)
    sizes = list(found.measured(shots))
    assert [share for share, _ in sizes] == list(SHARES)
    for share, size in sizes[::3]:
        best = found.decibels(shots, share, size)
        around = [
            found.decibels(shots, share, other)
            for other in (0.0, max(size - STEP, 0.0), min(size + STEP, MOST))
        ]
        assert best >= max(around) - 0.003
    price = anchors.price[found.share <= 0.25].sum() / anchors.price[anchors.gains > 0].sum()
    assert 0.2 < float(price) <= 0.25


def test_views_that_see_no_anchor_show_the_background() -> None:
    """They count as what they show, so that a picture in which nothing changes has the same value at any
    size."""
    made = trainer(noise_scene(), POOLED.changed(refine_until=2), 99)
    made.step()
    shot = made.shots.take(1, 99, scale=1.0, random_behind=False)
    found = Swell(Anchors(made))
    black = -10 * math.log10(float((shot.target.double() / 255).square().mean()))
    found.share.fill_(1.0)
    assert found.decibels([shot], 0.5, 0.0) == pytest.approx(black, abs=1e-4)
    found.share[0] = 0.1
    with torch.no_grad():
        made.model.log_scales.fill_(-9.0)
        found.world[0] = torch.tensor([1e3, 0.0, 4.0])  # far beside the picture
    assert found.decibels([shot], 0.5, 0.0) == pytest.approx(black, abs=1e-4)
    assert found.decibels([shot, shot], 0.5, MOST) == pytest.approx(black, abs=1e-4)


def test_models_keep_what_was_measured(tmp_path: Path) -> None:
    model = trainer(noise_scene(), POOLED.changed(refine_until=2), 99)
    model.step()
    n, k = model.model.anchors, model.model.shape.offsets
    gains = TrainedGains(torch.zeros(n, 3, 2), torch.zeros(n, k), torch.ones(n), ((0.5, 0.25), (0.1, 1.0)))
    save_model(tmp_path / "m.pt", TrainedModel(model.model.cpu(), (), (0.0, 0.0, 0.0), {}, gains=gains))
    kept = load_model(tmp_path / "m.pt").gains
    assert kept is not None and kept.swell == gains.swell
    values = torch.load(tmp_path / "m.pt", weights_only=True)
    del values["gains"]["swell"]  # as earlier builds wrote it
    torch.save(values, tmp_path / "old.pt")
    old = load_model(tmp_path / "old.pt").gains
    assert old is not None and old.swell == ()
    for odd in ([[0.5]], [[0.0, 1.0]], [[0.5, -1.0]], [[0.5, float("nan")]], [["x", 1.0]], "much"):
        values["gains"]["swell"] = odd
        torch.save(values, tmp_path / "odd.pt")
        with pytest.raises(InputError, match=r"damaged: gains\.swell"):
            load_model(tmp_path / "odd.pt")
