"""A trained scene's refinements and later Gaussians in the order of their use, cut into levels. No torch.

What training calls levels are *stages* here: what each adds differs in worth by orders of magnitude from one
anchor to the next. Every digit and every later Gaussian has a gain, measured after training, and a price, the
bits that its symbols take. They come in the order of gain per bit, as a scalable coder truncates its bit
planes (EBCOT, Taubman 2000, post-compression rate-distortion optimization); what does not pay is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gspc.codec.costs import anchor_costs
from gspc.codec.stream import encode
from gspc.format import describe
from gspc.format.scene import F32, F64, I32, U8, IntegerNetwork, Networks, QuantizedScene
from gspc.format.shape import ATTRIBUTES

DEFAULT_LEVELS = 6
# What a part must be worth to be in a stream that may take any size: predicted dB per e-fold of the file's
# bytes. Held-out views gain 0.3 to 0.6 of what is predicted, so 2 stands for about 0.08 dB for 10 % more.
LEAST = 2.0
FRESH_BITS = 8.0  # that masks take for a Gaussian that appears, more or less
CHOICE_BITS = 3.0  # that the choice of an attribute takes, for the few that are chosen at a level
NEXT = 1.6  # times the bytes of a level are those of the next one
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


@dataclass(frozen=True)
class Moves:
    """Parts that can be added to a scene's first stage, best first."""

    anchor: NDArray[np.int64]  # [M]
    column: NDArray[np.int64]  # [M] 0 to 2: the attribute that is refined; 3 + k: Gaussian k
    stage: NDArray[np.int64]  # [M] from which the part is
    gain: F64  # [M] dB
    bits: F64  # [M] its price
    start: int  # bytes of the first stage
    refined: tuple[int, ...]  # shape of `refined_at`

    @property
    def paying(self) -> int:
        """How many are worth their bytes whatever size is allowed (see `LEAST`)."""
        worth = self.gain / (self.bits / 8) * self.ends
        poor = np.flatnonzero(worth < LEAST)
        return int(poor[0]) if len(poor) else len(self)

    @property
    def ends(self) -> F64:
        """[M] bytes of a stream that ends with each part."""
        return self.start + np.cumsum(self.bits) / 8

    def __len__(self) -> int:
        return len(self.anchor)

    def first(self, count: int) -> Moves:
        """The best so many."""
        return self.taken(np.arange(count))

    def taken(self, rows: NDArray[np.int64]) -> Moves:
        """Some of them, rows [n], in this order."""
        return replace(
            self,
            anchor=self.anchor[rows],
            column=self.column[rows],
            stage=self.stage[rows],
            gain=self.gain[rows],
            bits=self.bits[rows],
        )


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
    should come close to and not exceed; it then also holds parts that hardly pay, where they fit. Where its
    first level alone takes more, that is all there is. `finish` adds to streams what their size is to
    include. Raises InputError as `encode`.
    """
    moves = ranked(scene, gains, threads=threads)

    def stream(count: int) -> bytes:
        parts = moves.first(count)
        ends = cuts(parts, levels or _default_levels(parts))
        if len(ends) == 1:
            return finish(encode(scene, levels=1, threads=threads))
        return finish(encode(selective(scene, parts, ends), threads=threads))

    return stream(moves.paying) if max_size is None else _largest(stream, moves, max_size)


def _default_levels(moves: Moves) -> int:
    if not len(moves):
        return 1
    most = int(np.log(moves.ends[-1] / moves.start) / np.log(LEAST_GROWTH))
    return min(max(1 + most, 2), DEFAULT_LEVELS)


def _largest(stream: Callable[[int], bytes], moves: Moves, size: int) -> bytes:
    """The stream of as many parts as come close to a size and do not exceed it, or that of none. Prices are
    estimates, so it is looked for between one that fits and one that does not, in turns by the share of their
    bytes and in the middle."""
    prices = np.concatenate([[0.0], np.cumsum(moves.bits) / 8])
    found = stream(0)
    low, high = (0, len(found)), (len(moves), len(found) + int(prices[-1]))  # parts, bytes
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
    levels = describe(data).levels
    # What a fresh anchor's position takes: all of a level's bytes that are neither symbols nor masks.
    fresh = scene.gaussian_level
    position = []
    for number, level in enumerate(levels, start=1):
        rest = 8 * level.length - bits[number - 1].sum() - FRESH_BITS * (fresh == number).sum()
        position.append(max(rest, 0.0) / max(level.anchors, 1))
    start = levels[0].offset + levels[0].length
    return _joined([_refinements(bits, gains), _gaussians(scene, bits, gains, position)], start, gains)


def _rows(where: I32, wanted: I32) -> NDArray[np.int64]:  # [N, 3], [n, 3] -> [n]
    """The rows of `where` that hold the positions `wanted`."""
    keys, sought = (_key(positions) for positions in (where, wanted))
    order = np.argsort(keys)
    return order[np.searchsorted(keys[order], sought)]


def _key(positions: I32) -> NDArray[np.int64]:  # [n, 3] -> [n]
    x, y, z = positions.astype(np.int64).T
    return x << 42 | y << 21 | z


Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], F64, F64]


def _refinements(bits: F64, gains: Gains) -> Columns:
    """Digits of the anchors that are there before, `bits` [S, N, 6]. A digit is worth no more than the one
    that it follows, so that ranking keeps their order."""
    price = np.moveaxis(bits[1:, :, len(ATTRIBUTES) :], 0, 2)  # [N, 3, S - 1]
    price = np.where(price > 0, price + CHOICE_BITS, 0.0)
    worth = np.divide(gains.refined, price, out=np.zeros_like(price), where=price > 0)
    worth = np.minimum.accumulate(np.where(price > 0, worth, np.inf), 2)
    anchor, column, step = np.nonzero((price > 0) & (worth > 0))
    price, worth = price[anchor, column, step], worth[anchor, column, step]
    return anchor, column, step + 2, price * worth, price


def _gaussians(scene: QuantizedScene, bits: F64, gains: Gains, position: Sequence[float]) -> Columns:
    """Gaussians that appear after the first stage, alone on an anchor that is there before, or with all the
    others of the stage that brings their anchor."""
    level = scene.gaussian_level.astype(np.int64)
    first = np.where(level > 0, level, len(bits) + 1).min(1)
    anchor, slot = np.nonzero((level > 1) & ((gains.fresh > 0) | (level == first[:, None])))
    stage = level[anchor, slot]
    with_anchor = stage == first[anchor]
    together = anchor * (len(bits) + 1) + stage
    _, group, counts = np.unique(together, return_inverse=True, return_counts=True)
    own = bits[stage - 1, anchor, 2] / counts[group]
    shared = bits[stage - 1, anchor, :2].sum(1) + np.asarray(position)[stage - 1]
    price = own + FRESH_BITS + np.where(with_anchor, shared / counts[group], 0.0)
    gain = gains.fresh[anchor, slot].astype(np.float64)
    mean = np.bincount(group, gain) / np.maximum(np.bincount(group), 1)
    return anchor, slot + len(ATTRIBUTES), stage, np.where(with_anchor, mean[group], gain), price


def _joined(parts: Sequence[Columns], start: int, gains: Gains) -> Moves:
    anchor, column, stage, gain, bits = (np.concatenate(rows) for rows in zip(*parts, strict=True))
    moves = Moves(anchor, column, stage, gain, bits, start, gains.refined.shape)
    # Equal worth keeps the order of anchors, and so what belongs to one anchor together.
    order = np.argsort(-moves.gain / moves.bits, kind="stable")
    return moves.taken(order[moves.gain[order] > 0])


def cuts(moves: Moves, levels: int) -> list[int]:
    """How many of the best parts there are at the end of each of `levels` levels. The first parts are worth
    most, so every level adds `NEXT` times the bytes that the one before adds. Fewer levels where there are
    too few parts."""
    if levels == 1 or not len(moves):
        return [0]
    added = np.cumsum(NEXT ** np.arange(levels - 1))
    marks = moves.start + (moves.ends[-1] - moves.start) * added / added[-1]
    between = np.searchsorted(moves.ends, marks[:-1], side="right")
    return sorted({0, *(int(count) for count in between), len(moves)})


def selective(scene: QuantizedScene, moves: Moves, ends: Sequence[int]) -> QuantizedScene:
    """The scene whose first level is its first stage and whose level s ends with the best `ends[s - 1]` of
    all parts."""
    levels = len(ends)
    last = max(attribute.step_level(scene.levels) for attribute in scene.shape.attributes)
    stages = min(levels, max(last, 2))
    at = np.searchsorted(np.asarray(ends), np.arange(ends[-1]), side="right") + 1  # [M] level of each part
    refined_at = np.zeros(moves.refined, np.uint8)[:, :, : stages - 1]
    gaussian_level = np.where(scene.gaussian_level == 1, 1, 0).astype(np.uint8)
    moves = moves.first(ends[-1])
    digits = (moves.column < len(ATTRIBUTES)) & (moves.stage <= stages)
    a, c, t = moves.anchor[digits], moves.column[digits], moves.stage[digits]
    refined_at[a, c, t - 2] = at[digits]
    new = moves.column >= len(ATTRIBUTES)
    gaussian_level[moves.anchor[new], moves.column[new] - len(ATTRIBUTES)] = at[new]
    kept = gaussian_level.any(1)
    # Stages follow one another as soon as levels do: each digit has its own from there on.
    by_level = tuple(min(level, stages) for level in range(1, levels + 1))
    refined_at = _in_order(refined_at, gaussian_level, by_level)
    found = _of_stages(scene, stages)
    return replace(
        found,
        shape=replace(found.shape, selective=True),
        levels=levels,
        positions=found.positions[kept],
        features=found.features[kept],
        scaling=found.scaling[kept],
        offsets=found.offsets[kept],
        gaussian_level=gaussian_level[kept],
        stages=by_level,
        refined_at=refined_at[kept],
    )


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
