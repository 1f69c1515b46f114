"""Parts of a scene in the order of their use: what levels hold, what decodes, what sizes come out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import synthetic

from gspc.codec import decode, decode_symbols, encode, truncate_levels
from gspc.codec.portions import cuts, encode_ranked, selective
from gspc.codec.ranking import ANCHOR, Gains, ranked
from gspc.format import check, describe
from gspc.format.scene import QuantizedScene
from gspc.reference.decode import decode_reference

VARIANTS = {
    "plain": synthetic.Variant(),
    "default": synthetic.Variant(
        pool=4, features=4, chunks=2, refined=7, trit_model=3, refine_until=2, scales=1
    ),
    "masks only": synthetic.Variant(refined=0),
}


def gains_of(scene: QuantizedScene, seed: int = 1) -> Gains:
    rng = np.random.default_rng(seed)
    shape = (len(scene.positions), 3, scene.levels - 1)
    fresh = rng.normal(0.5, 1, scene.gaussian_level.shape).astype(np.float32)
    anchors = rng.uniform(1, 9, len(scene.positions)).astype(np.float32)
    refined = rng.normal(0, 1, shape).astype(np.float32)
    return Gains(refined, np.where(scene.gaussian_level > 1, fresh, 0.0), anchors)


def made(variant: str, levels: int = 6) -> tuple[QuantizedScene, QuantizedScene]:
    """A scene as training leaves it, and the same in levels by use."""
    scene = synthetic.tiny(200, variant=VARIANTS[variant])
    moves = ranked(scene, gains_of(scene))
    parts = moves.best(len(moves))
    return scene, selective(scene, parts, cuts(parts, levels))


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_decodes_is_what_was_chosen(variant: str) -> None:
    """Symbols, steps and masks of every level, from the definition."""
    _, chosen = made(variant)
    data = encode(chosen)
    assert chosen.levels == len(describe(data).levels) == 6
    for level in range(1, 7):
        found = decode_symbols(data, level)
        alive = (chosen.gaussian_level > 0) & (chosen.gaussian_level <= level)
        order = np.lexsort(found.positions.T), np.lexsort(chosen.positions[alive.any(1)].T)
        rows = np.flatnonzero(alive.any(1))[order[1]]
        assert np.array_equal(found.positions[order[0]], chosen.positions[rows])
        assert np.array_equal(found.gaussian_level[order[0]] > 0, alive[rows])
        first = np.where(chosen.gaussian_level > 0, chosen.gaussian_level, 99).min(1)[rows]
        for number, attribute in enumerate(chosen.shape.attributes):
            step = np.array([attribute.step_level(chosen.stages[at - 1]) for at in first])
            at = chosen.refined_at[rows, number]
            step = step + ((at > 0) & (at <= level)).sum(1)
            assert np.array_equal(found.step_levels[order[0], number], step)
            symbols = chosen.symbols[number][rows].astype(np.int64)
            for _ in range(attribute.step_level(chosen.stages[-1]) - 1):
                coarser = step < attribute.step_level(chosen.stages[-1])
                symbols = np.where(coarser[:, None], np.floor_divide(symbols + 1, 3), symbols)
                step = step + coarser
            if attribute.name == "offsets":
                symbols = symbols * np.repeat(alive[rows], 3, axis=1)
            got = (found.features, found.scaling, found.offsets.reshape(len(rows), -1))[number]
            assert np.array_equal(got[order[0]], symbols), (level, attribute.name)


@pytest.mark.parametrize("variant", VARIANTS)
def test_levels_nest(variant: str) -> None:
    scene, chosen = made(variant)
    data = encode(chosen)
    check(data)
    last = [len(truncate_levels(data, level)) for level in range(1, 7)]
    assert last == sorted(set(last)) and last[-1] == len(data)
    for level in (1, 3, 6):
        whole, cut = decode(data, upto=level), decode(truncate_levels(data, level))
        assert whole.symbol_hash == cut.symbol_hash
        assert decode_reference(data, upto=level)[0].symbol_hash == whole.symbol_hash
    before = decode(encode(scene), upto=1).scene
    found = decode(data, upto=4).scene  # the last level of the first stage
    assert np.array_equal(np.sort(found.features, 0), np.sort(before.features, 0))
    assert chosen.stages == {"plain": (1, 1, 1, 1, 2, 3)}.get(variant, (1, 1, 1, 1, 2, 2))


def test_the_best_comes_first() -> None:
    scene = synthetic.tiny(200)
    gains = gains_of(scene)
    moves = ranked(scene, gains)
    assert (np.diff(moves.worth) <= 0).all() and (moves.worth > 0).all() and (np.diff(moves.ends) > 0).all()
    parts = moves.best(len(moves))
    chosen = selective(scene, parts, cuts(parts, 6))
    kept = scene.positions[np.isin(scene.positions, chosen.positions).all(1)]
    assert len(chosen.positions) <= len(kept)
    for step in range(2):
        at = chosen.refined_at[:, :, step]
        rows = [int(np.flatnonzero((scene.positions == position).all(1))[0]) for position in chosen.positions]
        assert (gains.refined[rows, :, step][at > 0] > 0).all()
    later = chosen.refined_at.astype(int)
    assert (later[:, :, 1][later[:, :, 1] > 0] > later[:, :, 0][later[:, :, 1] > 0]).all()


def test_anchors_come_in_the_order_of_their_worth() -> None:
    """Those of the first stage, and nothing before its anchor."""
    scene = synthetic.tiny(400, variant=VARIANTS["default"])
    gains = gains_of(scene)
    gains.anchors[::7] = 0.0
    moves = ranked(scene, gains)
    had = np.flatnonzero((scene.gaussian_level == 1).any(1))
    assert set(moves.anchor[moves.column == ANCHOR]) == set(had[gains.anchors[had] > 0])
    for count in (moves.least, len(moves) // 2, len(moves)):
        there = set(moves.anchor[:count][moves.column[:count] == ANCHOR])
        later = set(moves.anchor[:count][moves.column[:count] != ANCHOR])
        assert there and later & set(had) <= there
    parts = moves.best(len(moves))
    ends = cuts(parts, 6)
    chosen = selective(scene, parts, ends)
    level = np.where(chosen.gaussian_level > 0, chosen.gaussian_level, 99).min(1)
    position = {tuple(p): at for p, at in zip(chosen.positions, level, strict=True)}
    order = [position[tuple(scene.positions[row])] for row in parts.anchor[: parts.anchors]]
    assert order == sorted(order) and set(order) == {1, 2, 3, 4}
    sizes = [level.offset + level.length for level in describe(encode(chosen)).levels]
    assert sizes[0] - parts.start < 0.2 * (sizes[3] - parts.start)
    growth = np.diff(np.log(sizes[:4]))
    assert growth == pytest.approx(np.full(3, growth.mean()), abs=0.05)


def test_unseen_anchors_are_left_out_and_half_of_the_others_stay() -> None:
    scene = synthetic.tiny(400)
    gains = gains_of(scene)
    none = replace(gains, anchors=0 * gains.anchors)
    assert encode_ranked(scene, none) == encode(scene)
    assert encode_ranked(scene, none, levels=2) == encode(scene, levels=2)
    few = replace(gains, anchors=np.where(np.arange(400) < 4, gains.anchors, 1e-9 * gains.anchors))
    moves = ranked(scene, few)
    anchors = moves.column == ANCHOR
    kept = moves.bits[: moves.paying][anchors[: moves.paying]].sum() / moves.bits[anchors].sum()
    assert 0.5 <= kept < 0.51


def test_what_hardly_pays_is_left_out() -> None:
    scene = synthetic.tiny(200)
    gains = gains_of(scene)
    little = Gains(gains.refined * 1e-6, gains.fresh * 1e-6, gains.anchors)
    found = describe(encode_ranked(scene, little, levels=1))
    assert found.version[0] == 1 and len(found.levels) == 1
    assert encode_ranked(scene, little, levels=1) == encode(scene, levels=1)
    moves = ranked(scene, little)
    assert moves.paying == moves.anchors < len(moves) - 100
    assert ranked(scene, gains).paying > moves.anchors + 100


@pytest.mark.parametrize("levels", [1, 2, 3, 8])
def test_as_many_levels_as_wanted(levels: int) -> None:
    scene = synthetic.tiny(300, variant=VARIANTS["default"])
    data = encode_ranked(scene, gains_of(scene), levels=levels)
    assert len(describe(data).levels) == levels


def test_refinements_fill_a_third_of_the_levels() -> None:
    """Each of them takes more bytes than the one before."""
    scene = synthetic.tiny(300, variant=VARIANTS["default"])
    moves = ranked(scene, gains_of(scene))
    parts = moves.best(len(moves))
    for levels, late in ((1, 0), (2, 1), (3, 1), (5, 1), (6, 2), (8, 2)):
        ends = cuts(parts, levels)
        assert len(ends) == levels and ends[-1] == len(parts)
        assert late == 0 or ends[levels - late - 1] == parts.anchors
    base, first, second = (parts.ends[end - 1] for end in cuts(parts, 6)[3:])
    assert (second - first) / (first - base) == pytest.approx(1.6, rel=0.02)


def test_never_above_a_size_and_nearly_all_used() -> None:
    scene = synthetic.tiny(2000, variant=VARIANTS["default"])
    gains = gains_of(scene)
    start, end = (
        len(encode_ranked(scene, gains, max_size=1)),
        len(encode_ranked(scene, gains, max_size=10**9)),
    )
    assert start - ranked(scene, gains).start < 100
    for size in np.linspace(1.2 * start, end, 10).astype(int).tolist():
        assert 0.95 * size <= len(encode_ranked(scene, gains, max_size=size)) <= size


def test_gains_of_one_scene_do_not_depend_on_the_order_of_anchors() -> None:
    scene = synthetic.tiny(200)
    gains = gains_of(scene)
    other = np.random.default_rng(2).permutation(200)
    fields = ("positions", "features", "scaling", "offsets", "gaussian_level")
    turned = replace(scene, **{name: getattr(scene, name)[other] for name in fields})
    assert encode_ranked(
        turned, Gains(gains.refined[other], gains.fresh[other], gains.anchors[other])
    ) == encode_ranked(scene, gains)
