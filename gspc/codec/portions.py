"""A trained scene's anchors, refinements and later Gaussians in the order of their use, cut into levels. No
torch.

The best parts by gain per bit (`ranking`) are chosen, as a scalable coder truncates its bit planes (EBCOT,
Taubman 2000, post-compression rate-distortion optimization); what does not pay is left out. Levels then hold
the anchors of the first stage, best first, and after them all the rest, best first: what appears at a later
stage takes finer steps, which only good anchors are worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gspc.codec.ranking import ANCHOR, Gains, Moves, ranked
from gspc.codec.stream import encode
from gspc.format.scene import U8, IntegerNetwork, Networks, QuantizedScene
from gspc.format.shape import ATTRIBUTES
from gspc.format.units import SWELL_UNITS

DEFAULT_LEVELS = 6
FIRST = 0.24  # of the last level's bytes are those of the first one, or
FIRST_ANCHORS = 0.035  # of the bytes of the first stage's anchors, beside what all levels share
NEXT = 1.6  # times the bytes of a level after the first stage are those of the next one
LEAST_GROWTH = 1.02  # of the bytes from level to level
TRIES = 10  # at a size
LEAST_SWELL = 2  # of its units: pictures look blurred, rather than better, by less
AIM, ENOUGH = 0.992, 0.98  # of a size that a stream aims at, and that will do


def encode_ranked(
    scene: QuantizedScene,
    gains: Gains,
    *,
    levels: int | None = None,
    max_size: int | None = None,
    threads: int = 0,
    finish: Callable[[bytes], bytes] = bytes,
) -> bytes:
    """The stream of a scene whose levels add its parts in the order of their use.

    `scene` has all levels of training, `gains` its anchors' rows. `levels`: as many as there are to be; None:
    `DEFAULT_LEVELS`, or fewer where they would add next to nothing each. `max_size`: bytes that the stream
    should come close to and not exceed; it then also holds parts that hardly pay, where they fit. Where one
    anchor and what all levels share take more, that is all there is. A scene of whose anchors none is worth
    anything has the levels of training. `finish` adds to streams what their size is to include. Raises
    InputError as `encode`.
    """
    moves = ranked(scene, gains, threads=threads)
    if not moves.anchors:
        return finish(encode(scene, levels=levels and min(levels, scene.levels), threads=threads))

    def stream(count: int) -> bytes:
        parts = moves.best(count)
        ends = cuts(parts, levels)
        chosen = replace(selective(scene, parts, ends), swell=swell(gains, moves, parts, ends))
        return finish(encode(chosen, levels=None if chosen.shape.selective else 1, threads=threads))

    return stream(moves.paying) if max_size is None else _largest(stream, moves, max_size)


def _largest(stream: Callable[[int], bytes], moves: Moves, size: int) -> bytes:
    """The stream of as many parts as come close to a size and do not exceed it, or that of the fewest. Prices
    are estimates, so it is looked for between one that fits and one that does not, in turns by the share of
    their bytes and in the middle."""
    prices = np.concatenate([[0.0], np.cumsum(moves.bits) / 8])
    found = stream(moves.least)
    low = (moves.least, len(found))  # parts, bytes
    high = (len(moves), len(found) + int(prices[-1] - prices[moves.least]))
    unsure = True  # whether the upper end may fit, too
    for attempt in range(TRIES):
        if len(found) >= ENOUGH * size or low[0] == len(moves) or (not unsure and high[0] - low[0] <= 1):
            break
        share = 0.5 if attempt % 2 else (AIM * size - low[1]) / max(high[1] - low[1], 1)
        wanted = prices[low[0]] + share * (prices[high[0]] - prices[low[0]])
        count = int(np.searchsorted(prices, wanted, side="right")) - 1
        count = min(max(count, low[0] + 1), high[0] if unsure else high[0] - 1)
        made = stream(count)
        if len(made) <= size:
            low, found = (count, len(made)), made
        else:
            high, unsure = (count, len(made)), False
    return found


def cuts(moves: Moves, levels: int | None) -> list[int]:
    """How many parts there are at the end of each of `levels` levels, or fewer where there are too few parts;
    None: of `DEFAULT_LEVELS`, or fewer where they would hardly grow.

    Anchors of the first stage come first: most of the bytes, and most of what a viewer waits for. They fill
    two thirds of the levels, which grow from `FIRST` of the whole by equal factors; the parts after them are
    worth most at first, so every level adds `NEXT` times the bytes that the one before adds.
    """
    ends = np.concatenate([[moves.start], moves.ends])
    base = ends[moves.anchors]
    asked = levels or DEFAULT_LEVELS
    late = 0 if len(moves) == moves.anchors else max(asked // 3, min(asked - 1, 1))
    early = asked - late
    smallest = max(FIRST * ends[-1], ends[0] + FIRST_ANCHORS * (base - ends[0]))
    if levels is None:
        early = min(early, 1 + _steps(base / smallest))
        late = min(late, max(1, _steps(ends[-1] / base)))
    marks = [base]
    if early > 1:
        marks = list(np.geomspace(min(smallest, base), base, early))
    if late:
        added = np.cumsum(NEXT ** np.arange(late))
        marks += list(base + (ends[-1] - base) * added / added[-1])
    found = np.searchsorted(ends, marks, side="right") - 1
    found[early - 1], found[-1] = moves.anchors, len(moves)
    return sorted({max(int(count), 1) for count in found})


def swell(gains: Gains, moves: Moves, parts: Moves, ends: Sequence[int]) -> tuple[int, ...]:
    """`QuantizedScene.swell` of levels that end with so many parts, by the share that their anchors have of
    all `moves`' price of anchors."""
    if not gains.swell:
        return ()
    price = np.cumsum(np.where(parts.column == ANCHOR, parts.bits, 0.0))
    share = price[np.asarray(ends) - 1] / moves.bits[moves.column == ANCHOR].sum()
    shares, sizes = zip(*sorted((*gains.swell, (1.0, 0.0))), strict=True)
    found = np.interp(np.log(share), np.log(shares), sizes)
    units = np.clip(np.rint(SWELL_UNITS * found), 0, 255).astype(int)
    units = np.where(units < LEAST_SWELL, 0, units).tolist()
    while units and units[-1] == 0:
        units.pop()
    return tuple(units)


def _steps(growth: float) -> int:
    """How many levels a growth of bytes is enough for."""
    return int(np.log(max(growth, 1.0)) / np.log(LEAST_GROWTH))


def selective(scene: QuantizedScene, moves: Moves, ends: Sequence[int]) -> QuantizedScene:
    """The scene whose level s ends with the first `ends[s - 1]` of its parts, anchors of the first stage
    before all others. Levels of these anchors alone are of the first stage; of only one such level, the
    scene is one as training leaves it, to be coded up to level 1."""
    anchors = moves.anchors
    early = int(np.searchsorted(ends, anchors)) + 1  # levels of the first stage
    at = np.searchsorted(np.asarray(ends), np.arange(ends[-1]), side="right") + 1  # [M] level of each part
    moves = moves.first(ends[-1])
    level_of = np.zeros(len(scene.positions), np.uint8)
    level_of[moves.anchor[:anchors]] = at[:anchors]
    gaussian_level = np.where(scene.gaussian_level == 1, level_of[:, None], 0).astype(np.uint8)
    if len(ends) == 1:
        return _of(scene, gaussian_level)
    last = max(attribute.step_level(scene.levels) for attribute in scene.shape.attributes)
    stages = min(len(ends) - early + 1, max(last, 2))
    refined_at = np.zeros(moves.refined, np.uint8)[:, :, : stages - 1]
    digits = (moves.column >= 0) & (moves.column < len(ATTRIBUTES)) & (moves.stage <= stages)
    a, c, t = moves.anchor[digits], moves.column[digits], moves.stage[digits]
    refined_at[a, c, t - 2] = at[digits]
    new = moves.column >= len(ATTRIBUTES)
    gaussian_level[moves.anchor[new], moves.column[new] - len(ATTRIBUTES)] = at[new]
    # Stages follow one another as soon as levels do: each digit has its own from there on.
    by_level = tuple(min(max(level - early + 1, 1), stages) for level in range(1, len(ends) + 1))
    refined_at = _in_order(refined_at, gaussian_level, by_level)
    return replace(
        _of(_of_stages(scene, stages), gaussian_level),
        shape=replace(scene.shape, selective=True),
        levels=len(ends),
        stages=by_level,
        refined_at=refined_at[gaussian_level.any(1)],
    )


def _of(scene: QuantizedScene, gaussian_level: U8) -> QuantizedScene:
    """The scene of those anchors that have Gaussians, which appear at other levels, [N, K]."""
    kept = gaussian_level.any(1)
    rows = {name: getattr(scene, name)[kept] for name in ("positions", "features", "scaling", "offsets")}
    return replace(scene, gaussian_level=gaussian_level[kept], **rows)


def _in_order(refined_at: U8, gaussian_level: U8, stages: Sequence[int]) -> U8:
    """Digits [N, 3, T - 1] of anchors after the level at which they appear, each after the one before it and
    from its stage on; those that no level is left for are never refined."""
    found = refined_at.astype(np.int64)
    first = np.where(gaussian_level > 0, gaussian_level, len(stages) + 1).min(1)
    before = np.repeat(first[:, None], found.shape[1], 1)
    stage = np.asarray([0, *stages, 0])[first]
    going = np.ones_like(before, np.bool_)
    for step in range(found.shape[2]):
        column = found[:, :, step]
        starts_finer = (stage > step + 1)[:, None]
        going &= starts_finer | (column > 0)
        earliest = np.maximum(before + 1, 1 + int(np.searchsorted(stages, step + 2)))
        column = np.where(going & ~starts_finer, np.maximum(column, earliest), 0)
        going &= column <= len(stages)
        found[:, :, step] = np.where(going, column, 0)
        before = np.maximum(before, found[:, :, step])
    return found.astype(np.uint8)


def _of_stages(scene: QuantizedScene, stages: int) -> QuantizedScene:
    """The scene up to a stage: its networks, and symbols in that stage's steps."""
    if stages == scene.levels:
        return scene
    symbols = {}
    for attribute in scene.shape.attributes:
        values = getattr(scene, attribute.name)
        for _ in range(attribute.step_level(scene.levels) - attribute.step_level(stages)):
            values = np.floor_divide(values + 1, 3)
        symbols[attribute.name] = values
    return replace(scene, networks=_networks_of(scene, stages), **symbols)


def _networks_of(scene: QuantizedScene, stages: int) -> Networks:
    """Networks without the gains of later stages."""
    nets = scene.networks
    return replace(
        nets,
        trunk=_shorter(nets.trunk, stages + 1),
        groups=tuple(_shorter(network, stages) for network in nets.groups),
        trits=tuple(network and _shorter(network, stages - 1) for network in nets.trits),
    )


def _shorter(network: IntegerNetwork, gains: int) -> IntegerNetwork:
    """The network with so many gains, in layers that have more."""
    layers = (
        replace(layer, multiplier=layer.multiplier[:gains], shift=layer.shift[:gains])
        for layer in network.layers
    )
    return IntegerNetwork(tuple(layers))
