"""Readable decoder of anchor positions (pcgs(5), POSITIONS).

Slow on purpose and without the tricks of kernels/codec: nodes live in dictionaries, neighbors are looked up
by coordinates. It follows the text of pcgs(5); tests hold the C++ coder against it. The pinned start state
(`priors`) comes from `gspc._codec.position_priors()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gspc.errors import BitstreamError
from gspc.reference.binary import BinaryCoder, BinaryDecoder, rate

# Shapes of the slot tables in the order of the priors; the mixing weights likewise.
SLOTS = {
    "child_tree": (8, 256),
    "child_face": (64, 8, 4),
    "child_score": (16, 8, 4, 8),
    "child_around": (8, 5, 8, 4),
    "child_lattice": (5, 3, 8, 2, 4),
    "child_known": (5, 8, 4, 16),
    "many_siblings": (8, 8, 3),
    "many_score": (16, 16, 2),
    "many_near": (8, 8, 8),
    "many_known": (6, 5, 3),
    "side_score": (3, 8, 8),
    "side_face": (3, 4, 4, 8),
    "side_lattice": (5, 3, 8),
    "side_known": (4, 4, 3, 5),
    "rest_zero": (4, 2),
}
WEIGHTS = {"child": (8, 2, 6), "many": (8, 4), "side": (3, 2, 4)}

# round(65536 / (1 + exp(-(i - 16) / 2)))
POINTS = [22, 36, 60, 98, 162, 267, 439, 720, 1179, 1922, 3108, 4971, 7813, 11955, 17626, 24741, 32768]
POINTS += [40795, 47910, 53581, 57723, 60565, 62428, 63614, 64357, 64816, 65097, 65269, 65374, 65438]
POINTS += [65476, 65500, 65514]


def squash(x: int) -> int:
    i, f = (x + 2048) >> 7, (x + 2048) & 127
    return (POINTS[i] * (128 - f) + POINTS[i + 1] * f + 64) >> 7


_SQUASH = np.array([squash(x) for x in range(-2047, 2047)])
STRETCH = [min(int(np.searchsorted(_SQUASH, 16 * p + 8)) - 2047, 2047) for p in range(4096)]


class Mixer:
    """Slots and weights of one slice and level: [..., 2] arrays of (p, n) by name, weights by name."""

    def __init__(self, coder: BinaryCoder, priors: tuple[np.ndarray, np.ndarray]) -> None:
        slots, weights = (np.asarray(a).astype(np.int64) for a in priors)
        self.coder = coder
        self.slots: dict[str, np.ndarray] = {}
        self.weights: dict[str, np.ndarray] = {}
        for table, shapes, source in ((self.slots, SLOTS, slots), (self.weights, WEIGHTS, weights)):
            at = 0
            for name, shape in shapes.items():
                size = int(np.prod(shape))
                table[name] = source[at : at + size].reshape(shape + source.shape[1:]).copy()
                at += size

    @staticmethod
    def _update(slot: np.ndarray, bit: int) -> None:
        p, n = int(slot[0]), int(slot[1])
        slot[0] = p + (((65535 if bit else 0) - p) * rate(n) >> 15)
        slot[1] = min(n + 1, 250)

    def mixed(self, weights: np.ndarray, choices: Sequence[tuple[str, tuple[int, ...]]]) -> int:
        """One decision from several slots (name, index)."""
        slots = [self.slots[name][index] for name, index in choices]
        stretched = [STRETCH[int(slot[0]) >> 4] for slot in slots]
        x = sum(s * int(w) for s, w in zip(stretched, weights, strict=True)) >> 16
        p = squash(min(max(x, -2047), 2047))
        bit = self.coder.code(p)
        error = (65535 if bit else 0) - p
        for i, (s, slot) in enumerate(zip(stretched, slots, strict=True)):
            weights[i] = (int(weights[i]) + ((s * error + (1 << 14)) >> 15) + 2**31) % 2**32 - 2**31
            self._update(slot, bit)
        return bit

    def single(self, slot: np.ndarray) -> int:
        bit = self.coder.code(min(max(int(slot[0]), 32), 65504))
        self._update(slot, bit)
        return bit


@dataclass
class Node:
    fresh: int  # 1: one fresh key, 2: two or more
    zeros: int
    siblings: int
    here: int = 0  # children with fresh keys
    many: int = 0  # those with two or more


_SPREAD = [sum((v >> i & 1) << 3 * i for i in range(7)) for v in range(128)]


def interleave(position: Sequence[int]) -> int:
    """The Morton key of (x, y, z), 21 bits each."""
    return sum(
        (_SPREAD[v & 127] | _SPREAD[v >> 7 & 127] << 21 | _SPREAD[v >> 14] << 42) << axis
        for axis, v in enumerate(position)
    )


def coordinates(key: int) -> tuple[int, ...]:
    """(x, y, z) of a Morton key."""
    return tuple(
        sum((key >> (3 * i + axis) & 1) << i for i in range(key.bit_length() // 3 + 1)) for axis in range(3)
    )


def classify(value: int, starts: Sequence[int]) -> int:
    return sum(value >= start for start in starts)


def score16(w: int) -> int:
    return classify(w, (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 30, 38, 48))


def score8(w: int) -> int:
    return classify(w, (1, 2, 4, 7, 11, 17, 27))


class PositionsDecoder:
    def __init__(
        self,
        coder: BinaryCoder,
        known: Sequence[int],
        interval: tuple[int, int],
        bits: int,
        n_fresh: int,
        priors: tuple[np.ndarray, np.ndarray],
    ) -> None:
        self.coder, self.known, self.interval, self.bits, self.n_fresh = coder, known, interval, bits, n_fresh
        self.mixer = Mixer(coder, priors)
        self.known_set = set(known)
        self.keys: list[int] = []

    def decode(self) -> list[int]:
        if self.n_fresh == 0:
            return []
        self.nodes = {0: Node(min(self.n_fresh, 2), 0, 0)}
        self.singles = int(self.n_fresh == 1)
        for left in range(self.bits, 0, -1):
            self.left, self.lattice = left, left if left <= 4 else 0
            self.known_children: dict[int, list[int]] = {}  # node -> known keys in each child
            for key in self.known:
                counts = self.known_children.setdefault(key >> 3 * left, [0] * 8)
                counts[key >> 3 * (left - 1) & 7] += 1
            self._level()
            if len(self.nodes) + len(self.keys) > self.n_fresh:
                raise BitstreamError("positions: more anchors than announced")
        self.keys += self.nodes
        if len(self.keys) != self.n_fresh:
            raise BitstreamError("positions: fewer anchors than announced")
        return sorted(self.keys)

    def _level(self) -> None:
        multis = sum(node.fresh == 2 for node in self.nodes.values())
        if multis:
            self.stage = classify((self.n_fresh - self.singles) * 4 // multis, (9, 10, 11, 13, 17, 26, 50))
        following: dict[int, Node] = {}
        for prefix, node in sorted(self.nodes.items()):
            if self.left > 4:
                node.zeros = 0
            elif self.left == 4:
                node.zeros = 2
            elif self.left == 2:
                node.zeros = max(node.zeros, 1)
            if prefix << 3 * self.left in self.known_set:
                node.zeros = 0
            self._look_around(prefix)
            alone = self.around == 0 and prefix not in self.known_children
            first, end = prefix << 3 * self.left, (prefix + 1) << 3 * self.left
            if node.fresh == 1 and alone and self.interval[0] <= first and end <= self.interval[1]:
                self._rest(prefix, node)
                continue
            if node.fresh == 2:
                self._children(prefix, node)
            else:
                self._side(prefix, node)
            siblings = sum(bool(node.here >> c & 1 or k) for c, k in enumerate(self._known_in(prefix)))
            for c in range(8):
                if node.here >> c & 1:
                    zeros = node.zeros if c == 0 else 0
                    following[prefix << 3 | c] = Node(1 + (node.many >> c & 1), zeros, siblings)
        self.nodes = following

    def _known_in(self, prefix: int) -> list[int]:
        return self.known_children.get(prefix, [0] * 8)

    def _look_around(self, prefix: int) -> None:
        """Scores, face states [child][axis] and the number of neighbors."""
        self.score, self.many, self.face, self.around = [0] * 8, [0] * 8, [[0] * 3 for _ in range(8)], 0
        here, size = coordinates(prefix), 1 << (self.bits - self.left)
        for t in range(27):
            d = (t % 3 - 1, t // 3 % 3 - 1, t // 9 - 1)
            there = tuple(h + e for h, e in zip(here, d, strict=True))
            if t == 13 or not all(0 <= v < size for v in there):
                continue
            other = interleave(there)
            node = self.nodes.get(other)
            if node is None and other not in self.known_children:
                continue
            self.around += 1
            coded = node is None or other < prefix
            occupied = sum(1 << c for c, k in enumerate(self._known_in(other)) if k)
            occupied |= node.here if node is not None and coded else 0
            order = sum(e != 0 for e in d)
            for c in range(8):
                if any(e and (e > 0) != bool(c >> a & 1) for a, e in enumerate(d)):
                    continue
                weight, hit = touching(occupied, c, d)
                self.score[c] += weight if coded else max(weight, (0, 3, 1, 1)[order])
                if node is not None and coded:
                    self.many[c] += touching(node.many, c, d)[0]
                if order == 1:
                    axis = next(a for a, e in enumerate(d) if e)
                    self.face[c][axis] = 3 if hit else 2 if coded else 1

    def _allowed(self, prefix: int) -> list[int]:
        low, high = self.interval
        below = 3 * (self.left - 1)
        return [
            c
            for c in range(8)
            if (prefix << 3 | c) << below < high
            and ((prefix << 3 | c) + 1) << below > low
            and not (below == 0 and self._known_in(prefix)[c])
        ]

    def _children(self, prefix: int, node: Node) -> None:
        may, need = self._allowed(prefix), 2 if self.left == 1 else 1
        known = self._known_in(prefix)
        around = classify(self.around, (1, 2, 4, 6, 9, 13, 19))
        siblings = classify(node.siblings, (2, 3, 5))
        mask = count = 0
        for position, c in enumerate(may):
            choices = len(may) - position
            if choices < need - count:
                raise BitstreamError("positions: no room for the anchors announced")
            bit = 1
            if choices > need - count:
                q, before = score16(self.score[c]), min(count, 3)
                face = sum(self.face[c][a] << 2 * a for a in range(3))
                inner = sum(mask >> (c ^ flip) & 1 for flip in (1, 2, 4))
                k = 0 if not self.known else 1 if not any(known) else 2 + min(known[c], 2)
                bit = self.mixer.mixed(
                    self.mixer.weights["child"][before + 4 * (self.around > 3), int(len(self.known) > 0)],
                    [
                        ("child_tree", (self.stage, 1 << c | mask)),
                        ("child_face", (face, c, inner)),
                        ("child_score", (q, self.stage, before, c)),
                        ("child_around", (around, min(count, 4), c, siblings)),
                        ("child_lattice", (self.lattice, node.zeros, c, int(count > 0), q >> 2)),
                        ("child_known", (k, c, before, q)),
                    ],
                )
            mask |= bit << c
            count += bit
        if count < need:
            raise BitstreamError("positions: no room for the anchors announced")
        node.here = mask
        if self.left > 1:
            node.many = mask if count == 1 else self._many(node, mask, count, known)
            self.singles += (mask & ~node.many).bit_count()

    def _many(self, node: Node, mask: int, count: int, known: list[int]) -> int:
        many = seen = 0
        for c in range(8):
            if not mask >> c & 1:
                continue
            q = score16(self.score[c])
            k = 0 if not self.known else 1 + classify(known[c], (1, 2, 3, 6))
            bit = self.mixer.mixed(
                self.mixer.weights["many"][count - 1],
                [
                    ("many_siblings", (self.stage, count - 1, min(seen, 2))),
                    ("many_score", (q, min(self.around, 15), int(count > 2))),
                    ("many_near", (score8(self.many[c]), score8(self.score[c]), self.stage)),
                    ("many_known", (k, self.lattice, node.zeros if c == 0 else 0)),
                ],
            )
            many |= bit << c
            seen += bit
        return many

    def _side(self, prefix: int, node: Node) -> None:
        may, known = self._allowed(prefix), self._known_in(prefix)
        if not may:
            raise BitstreamError("positions: no room for the anchors announced")
        scale = (4 if self.left > 4 else self.left - 1) if any(known) else 0
        candidates, path = list(range(8)), 1
        for axis in (2, 1, 0):
            halves = [[c for c in candidates if (c >> axis & 1) == side] for side in (0, 1)]
            open_ = [any(c in may for c in half) for half in halves]
            bit = int(open_[1])
            if all(open_):
                sums = [score8(sum(self.score[c] for c in half) >> axis) for half in halves]
                states = [max(self.face[c][axis] for c in half) for half in halves]
                keys = [min(sum(known[c] for c in half), 3) for half in halves]
                bit = self.mixer.mixed(
                    self.mixer.weights["side"][axis, int(self.lattice > 0)],
                    [
                        ("side_score", (axis, *sums)),
                        ("side_face", (axis, *states, min(self.around, 7))),
                        ("side_lattice", (self.lattice, node.zeros, path)),
                        ("side_known", (*keys, axis, scale)),
                    ],
                )
            candidates, path = halves[bit], path << 1 | bit
        node.here = 1 << candidates[0]

    def _rest(self, prefix: int, node: Node) -> None:
        key, level, zeros = prefix, self.left, node.zeros
        if level > 4:
            key, level, zeros = self._digits(key, 3 * (level - 4)), 4, 2
        slots = self.mixer.slots["rest_zero"][level - 1]
        digits = 3 * level
        high = max(digits - 6, 0)
        low = digits - high
        if zeros == 2 and self.mixer.single(slots[0]):
            key <<= digits
        elif high == 0 and zeros == 0:
            key = self._digits(key, digits)
        elif (high > 0 or zeros == 1) and self.mixer.single(slots[1]):
            key = (key << high | self._nonzero(high) if zeros == 2 else self._digits(key, high)) << low
        else:
            key = self._digits(key, high) << low
            key |= self._nonzero(low)
        self.keys.append(key)

    def _digits(self, key: int, n: int) -> int:
        while n > 0:
            part = min(n, 16)
            key = key << part | self.coder.raw(0, part)
            n -= part
        return key

    def _nonzero(self, n: int) -> int:
        return self.coder.uniform(0, (1 << n) - 1) + 1


def touching(mask: int, c: int, d: Sequence[int]) -> tuple[int, int]:
    """What a neighbor in direction d with children `mask` gives child c: a weight, 1 for a key ahead."""
    flips = sum(1 << a for a in range(3) if d[a])
    order, direct = flips.bit_count(), c ^ flips
    hit = mask >> direct & 1
    near = sum(mask >> o & 1 for o in range(8) if not (o ^ direct) & flips)
    return (0, 4, 3, 3)[order] * hit + (0, 2, 1, 0)[order] * near, hit


def decode_positions(
    data: bytes,
    known: Sequence[int],
    interval: tuple[int, int],
    bits: int,
    n_fresh: int,
    priors: tuple[np.ndarray, np.ndarray],
) -> list[int]:
    """Sorted Morton keys of `n_fresh` anchors in a stream of nothing else; BitstreamError on damage."""
    coder = BinaryDecoder(data)
    keys = PositionsDecoder(coder, [int(k) for k in known], interval, bits, n_fresh, priors).decode()
    if not coder.finished:
        raise BitstreamError("positions: stream of the wrong length")
    return keys
