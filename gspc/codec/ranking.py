"""What the parts of a trained scene are worth and what they cost: its anchors, refinements and later
Gaussians, best first. No torch.

What training calls levels are *stages* here: what each adds differs in worth by orders of magnitude from one
anchor to the next. Every anchor, digit and later Gaussian has a gain, measured after training, and a price,
the bits that its symbols take. `portions` cuts what is chosen into levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gspc.codec.costs import anchor_costs
from gspc.codec.stream import encode
from gspc.format import describe
from gspc.format.chunks import ChunkInfo
from gspc.format.container import StreamInfo
from gspc.format.scene import F32, F64, I32, QuantizedScene
from gspc.format.shape import ATTRIBUTES

# What a part must be worth to be in a stream that may take any size: predicted dB per e-fold of the file's
# bytes. Held-out views gain 0.3 to 0.6 of what is predicted, so 2 stands for about 0.08 dB for 10 % more.
LEAST = 2.0
ANCHOR = -1  # in `Moves.column`
MOST_DROPPED = 0.5  # of the bits of the first stage's anchors, unless a size asks for more: gains of a scene
# that has learned little are small, whatever it looks like
FRESH_BITS = 8.0  # that masks take for a Gaussian that appears on an anchor that is there, more or less
CHOICE_BITS = 3.0  # that the choice of an attribute takes, for the few that are chosen at a level


@dataclass(frozen=True)
class Gains:
    """What parts of a scene are worth, in dB of its training views; N anchors, K Gaussians each, T stages."""

    refined: (
        F32  # [N, 3, T - 1] an attribute's step of stage t + 1 (at index t - 1) instead of the one before
    )
    fresh: F32  # [N, K] a Gaussian that appears after stage 1
    anchors: F32  # [N] an anchor that appears at stage 1, with its Gaussians of that stage
    # Where only the best of these anchors are drawn: their share of the price of all, and by how much log
    # scales of Gaussians are then best larger.
    swell: tuple[tuple[float, float], ...] = ()


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
