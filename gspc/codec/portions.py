"""A trained scene's anchors, refinements and later Gaussians in the order of their use, cut into levels. No
torch.

What training calls levels are *stages* here: what each adds differs in worth by orders of magnitude from one
anchor to the next. Every anchor, digit and later Gaussian has a gain, measured after training, and a price,
the bits that its symbols take. The best by gain per bit are chosen, as a scalable coder truncates its bit
planes (EBCOT, Taubman 2000, post-compression rate-distortion optimization); what does not pay is left out.
Levels then hold the anchors of the first stage, best first, and after them all the rest, best first: what
appears at a later stage takes finer steps, which only good anchors are worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gspc.codec.costs import anchor_costs
from gspc.codec.stream import encode
from gspc.format import describe
from gspc.format.container import ChunkInfo, StreamInfo
from gspc.format.scene import F32, F64, I32, U8, IntegerNetwork, Networks, QuantizedScene
from gspc.format.shape import ATTRIBUTES

DEFAULT_LEVELS = 6
# What a part must be worth to be in a stream that may take any size: predicted dB per e-fold of the file's
# bytes. Held-out views gain 0.3 to 0.6 of what is predicted, so 2 stands for about 0.08 dB for 10 % more.
LEAST = 2.0
ANCHOR = -1  # in `Moves.column`
MOST_DROPPED = 0.5  # of the bits of the first stage's anchors, unless a size asks for more: gains of a scene
# that has learned little are small, whatever it looks like
FRESH_BITS = 8.0  # that masks take for a Gaussian that appears on an anchor that is there, more or less
CHOICE_BITS = 3.0  # that the choice of an attribute takes, for the few that are chosen at a level
FIRST = 0.24  # of the last level's bytes are those of the first one, or
FIRST_ANCHORS = 0.1  # of the bytes of the first stage's anchors, beside what all levels share
NEXT = 1.6  # times the bytes of a level after the first stage are those of the next one
LEAST_GROWTH = 1.02  # of the bytes from level to level
TRIES = 10  # at a size
AIM, ENOUGH = 0.992, 0.98  # of a size that a stream aims at, and that will do


@dataclass(frozen=True)
class Gains:
    """What parts of a scene are worth, in dB of its training views; N anchors, K Gaussians each, T stages."""

    refined: (
        F32  # [N, 3, T - 1] an attribute's step of stage t + 1 (at index t - 1) instead of the one before
    )
    fresh: F32  # [N, K] a Gaussian that appears after stage 1
    anchors: F32  # [N] an anchor that appears at stage 1, with its Gaussians of that stage


@dataclass(frozen=True)
class Moves:
    """Parts that can be added to what all levels share."""

    anchor: NDArray[np.int64]  # [M]
    # [M] 0 to 2: the attribute that is refined; 3 + k: Gaussian k; ANCHOR: the anchor with its first stage
    column: NDArray[np.int64]
    stage: NDArray[np.int64]  # [M] from which the part is
    worth: F64  # [M] dB per bit
    bits: F64  # [M] its price
    start: int  # bytes of the first level without anchors
    refined: tuple[int, ...]  # shape of `refined_at`

    @property
    def paying(self) -> int:
        """How many of the best are worth their bytes whatever size is allowed (see `LEAST`)."""
        poor = np.flatnonzero(8 * self.worth * self.ends < LEAST)
        paying = int(poor[0]) if len(poor) else len(self)
        anchors = np.cumsum(np.where(self.column == ANCHOR, self.bits, 0.0))
        return max(paying, 1 + int(np.searchsorted(anchors, (1 - MOST_DROPPED) * anchors[-1])))

    @property
    def least(self) -> int:
        """How many of the best make a picture: up to the first anchor."""
        return 1 + int(np.argmax(self.column == ANCHOR))

    @property
    def anchors(self) -> int:
        """How many are anchors of the first stage."""
        return int((self.column == ANCHOR).sum())

    @property
    def ends(self) -> F64:
        """[M] bytes of a stream that ends with each part."""
        return self.start + np.cumsum(self.bits) / 8

    def __len__(self) -> int:
        return len(self.anchor)

    def first(self, count: int) -> Moves:
        """The first so many."""
        return self.taken(np.arange(count))

    def taken(self, rows: NDArray[np.int64]) -> Moves:
        """Some of them, rows [n], in this order."""
        columns = ("anchor", "column", "stage", "worth", "bits")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def best(self, count: int) -> Moves:
        """The best so many, as levels hold them: anchors of the first stage before the others."""
        return self.taken(np.argsort(self.column[:count] != ANCHOR, kind="stable"))


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
        chosen = selective(scene, parts, cuts(parts, levels))
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


def ranked(scene: QuantizedScene, gains: Gains, *, threads: int = 0) -> Moves:
    """All parts that are worth anything, best first."""
    data = encode(scene, threads=threads)
    costs = anchor_costs(data, threads=threads)
    at = _rows(costs.positions, scene.positions)
    bits = costs.bits[:, at].astype(np.float64)
    stream = describe(data)
    slices = [8 * sum(chunk.length for chunk in _slices(stream, level)) for level in range(1, len(bits) + 1)]
    # What a fresh anchor's position takes: all bytes of a level's slices that are neither symbols nor masks.
    # Masks of the first stage go with it.
    fresh = scene.gaussian_level
    position = []
    for number, level in enumerate(stream.levels, start=1):
        masks = FRESH_BITS * (fresh == number).sum() if number > 1 else 0.0
        position.append(max(slices[number - 1] - bits[number - 1].sum() - masks, 0.0) / max(level.anchors, 1))
    anchors = _anchors(scene, bits[0], gains, position[0])
    first = np.full(len(scene.positions), np.inf)
    first[np.any(fresh == 1, 1)] = 0.0
    first[anchors[0]] = anchors[3]
    parts = (anchors, _refinements(bits, gains, first), _gaussians(scene, bits, gains, position, first))
    start = stream.levels[0].offset + stream.levels[0].length - slices[0] // 8
    return _joined(parts, start, gains)


def _slices(stream: StreamInfo, level: int) -> Iterator[ChunkInfo]:
    return (chunk for chunk in stream.chunks if chunk.tag == "SLIC" and chunk.level == level)


def _rows(where: I32, wanted: I32) -> NDArray[np.int64]:  # [N, 3], [n, 3] -> [n]
    """The rows of `where` that hold the positions `wanted`."""
    keys, sought = (_key(positions) for positions in (where, wanted))
    order = np.argsort(keys)
    return order[np.searchsorted(keys[order], sought)]


def _key(positions: I32) -> NDArray[np.int64]:  # [n, 3] -> [n]
    x, y, z = positions.astype(np.int64).T
    return x << 42 | y << 21 | z


# Anchor, column, stage, dB per bit, bits.
Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], F64, F64]


def _anchors(scene: QuantizedScene, bits: F64, gains: Gains, position: float) -> Columns:
    """Anchors of the first stage, `bits` [N, 6], each with its Gaussians of that stage."""
    anchor = np.flatnonzero(np.any(scene.gaussian_level == 1, 1) & (gains.anchors > 0))
    price = bits[anchor].sum(1) + position
    worth = gains.anchors[anchor].astype(np.float64) / np.maximum(price, 1.0)
    return anchor, np.full_like(anchor, ANCHOR), np.ones_like(anchor), worth, price


def _refinements(bits: F64, gains: Gains, first: F64) -> Columns:
    """Digits of the anchors that are there before, `bits` [S, N, 6]. A digit is worth no more than the one
    that it follows, and than its anchor (`first` [N], dB per bit), so that ranking keeps their order."""
    price = np.moveaxis(bits[1:, :, len(ATTRIBUTES) :], 0, 2)  # [N, 3, S - 1]
    price = np.where(price > 0, price + CHOICE_BITS, 0.0)
    worth = np.divide(gains.refined, price, out=np.zeros_like(price), where=price > 0)
    worth = np.minimum(np.where(price > 0, worth, np.inf), first[:, None, None])
    worth = np.minimum.accumulate(worth, 2)
    anchor, column, step = np.nonzero((price > 0) & (worth > 0))
    return anchor, column, step + 2, worth[anchor, column, step], price[anchor, column, step]


def _gaussians(
    scene: QuantizedScene, bits: F64, gains: Gains, position: Sequence[float], first: F64
) -> Columns:
    """Gaussians that appear after the first stage, alone on an anchor that is there before, or with all the
    others of the stage that brings their anchor."""
    level = scene.gaussian_level.astype(np.int64)
    appears = np.where(level > 0, level, len(bits) + 1).min(1)
    anchor, slot = np.nonzero((level > 1) & ((gains.fresh > 0) | (level == appears[:, None])))
    stage = level[anchor, slot]
    with_anchor = stage == appears[anchor]
    together = anchor * (len(bits) + 1) + stage
    _, group, counts = np.unique(together, return_inverse=True, return_counts=True)
    own = bits[stage - 1, anchor, 2] / counts[group]
    shared = bits[stage - 1, anchor, :2].sum(1) + np.asarray(position)[stage - 1]
    price = own + FRESH_BITS + np.where(with_anchor, shared / counts[group], 0.0)
    gain = gains.fresh[anchor, slot].astype(np.float64)
    mean = np.bincount(group, gain) / np.maximum(np.bincount(group), 1)
    worth = np.minimum(np.where(with_anchor, mean[group], gain) / price, first[anchor])
    return anchor, slot + len(ATTRIBUTES), stage, worth, price


def _joined(parts: Sequence[Columns], start: int, gains: Gains) -> Moves:
    anchor, column, stage, worth, bits = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    moves = Moves(anchor, column, stage, worth, bits, start, gains.refined.shape)
    # Equal worth keeps the order of kinds and anchors: an anchor before what is worth no more than it, and
    # what belongs to one anchor together.
    order = np.argsort(-worth, kind="stable")
    return moves.taken(order[worth[order] > 0])


def cuts(moves: Moves, levels: int | None) -> list[int]:
    """How many parts there are at the end of each of `levels` levels, or fewer where there are too few parts;
    None: of `DEFAULT_LEVELS`, or fewer where they would hardly grow.

    Anchors of the first stage come first. They fill the first half of the levels, which grow from `FIRST` of
    the whole by equal factors; the parts after them are worth most at first, so every level adds `NEXT` times
    the bytes that the one before adds.
    """
    ends = np.concatenate([[moves.start], moves.ends])
    base = ends[moves.anchors]
    late = 0 if len(moves) == moves.anchors else (levels or DEFAULT_LEVELS) // 2
    early = (levels or DEFAULT_LEVELS) - late
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
