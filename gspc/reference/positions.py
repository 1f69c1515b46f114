"""The positions of a slice's fresh anchors, as Morton keys (pcgs(5), POSITIONS).

Slow on purpose: nodes live in dictionaries by their coordinates, and neighbors are looked up there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gspc.errors import BitstreamError
from gspc.reference.binary import BinaryCoder, BinaryDecoder
from gspc.reference.mixing import Choice, Mixer
from gspc.reference.morton import morton_positions
from gspc.reference.neighbors import DIRECTIONS, Around, Neighbor, Place

MAX_KEYS = 1 << 26  # known and fresh
NO_ROOM = "positions: no room for the anchors announced"


def classify(value: int, starts: Sequence[int]) -> int:
    """Number of entries that are at most `value`.

    >>> classify(5, (1, 2, 4, 7))
    3
    """
    return sum(value >= start for start in starts)


def score16(score: int) -> int:
    """Class 0 to 15 of a score."""
    return classify(score, (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 19, 24, 30, 38, 48))


def score8(score: int) -> int:
    """Class 0 to 7 of a score."""
    return classify(score, (1, 2, 4, 7, 11, 17, 27))


@dataclass
class Node:
    """A node that holds fresh keys."""

    place: Place
    prefix: int  # the digits of its keys so far
    multiple: bool  # two fresh keys or more
    zeros: int  # 1 or 2: its keys may end in zeros only, as those on a lattice of 2 or 4 voxels and more do
    siblings: int  # children of its parent that hold keys
    here: int = 0  # its children with fresh keys; 0 until they are decoded
    many: int = 0  # those with two or more


class PositionsDecoder:
    """Decodes depth after depth. At each depth `nodes` are all nodes with fresh keys, ascending."""

    def __init__(
        self, coder: BinaryCoder, known: Sequence[int], interval: tuple[int, int], bits: int, fresh: int
    ) -> None:
        self.coder = coder
        self.mixer = Mixer(coder)
        self.known = set(known)  # keys of earlier levels
        self.known_places = morton_positions(np.array(known, dtype=np.uint64)).tolist()
        self.interval, self.bits, self.fresh = interval, bits, fresh
        self.keys: list[int] = []  # complete fresh keys
        self.singles = int(fresh == 1)  # fresh keys known to be alone in a node

    def decode(self) -> list[int]:
        """The fresh keys, ascending. Raises BitstreamError for damage."""
        if self.fresh == 0:
            return []
        if self.interval[0] >= self.interval[1] or self.fresh + len(self.known) > MAX_KEYS:
            raise BitstreamError(NO_ROOM)
        self.nodes = {(0, 0, 0): Node((0, 0, 0), 0, self.fresh > 1, 0, 0)}
        for left in range(self.bits, 0, -1):
            self._start_depth(left)
            self.nodes = self._decode_depth()
            if len(self.nodes) + len(self.keys) > self.fresh:
                raise BitstreamError("positions: more anchors than announced")
        self.keys += [node.prefix for node in self.nodes.values()]
        if len(self.keys) != self.fresh:
            raise BitstreamError("positions: fewer anchors than announced")
        return sorted(self.keys)

    # ---- a depth ----

    def _start_depth(self, left: int) -> None:
        """What holds for all nodes of the depth; `left` digits of a key are not decoded before it."""
        self.left, self.lattice = left, left if left <= 4 else 0
        self.known_children: dict[Place, list[int]] = {}  # known keys in each child of a node
        for x, y, z in self.known_places:
            counts = self.known_children.setdefault((x >> left, y >> left, z >> left), [0] * 8)
            counts[(x >> left - 1 & 1) | (y >> left - 1 & 1) << 1 | (z >> left - 1 & 1) << 2] += 1
        multiples = sum(node.multiple for node in self.nodes.values())
        if multiples:
            crowd = 4 * (self.fresh - self.singles) // multiples
            self.stage = classify(crowd, (9, 10, 11, 13, 17, 26, 50))
        for node in self.nodes.values():
            node.zeros = self._zeros(node)

    def _zeros(self, node: Node) -> int:
        if self.left > 4 or node.prefix << 3 * self.left in self.known:
            return 0
        if self.left == 4:
            return 2
        return 1 if self.left == 2 and node.zeros == 0 else node.zeros

    def _decode_depth(self) -> dict[Place, Node]:
        """Reads every node; returns those of the next depth."""
        following: list[Node] = []
        for node in self.nodes.values():
            around, known = self._around(node), self._known_in(node.place)
            if node.multiple:
                self._children(node, around, known)
                if self.left > 1:
                    node.many = self._many(node, around, known)
                    self.singles += (node.here & ~node.many).bit_count()
            elif around.count or any(known) or not self._inside(node):
                node.here = 1 << self._side(node, around, known)
            else:
                self.keys.append(self._rest(node))
            following += self._next(node, known)
        return {node.place: node for node in sorted(following, key=lambda node: node.prefix)}

    def _next(self, node: Node, known: Sequence[int]) -> list[Node]:
        """The children with fresh keys."""
        siblings = sum(bool(node.here >> c & 1 or known[c]) for c in range(8))
        x, y, z = (2 * v for v in node.place)
        return [
            Node(
                place=(x + (c & 1), y + (c >> 1 & 1), z + (c >> 2)),
                prefix=node.prefix << 3 | c,
                multiple=bool(node.many >> c & 1),
                zeros=node.zeros if c == 0 else 0,
                siblings=siblings,
            )
            for c in range(8)
            if node.here >> c & 1
        ]

    # ---- what is known about a node ----

    def _known_in(self, place: Place) -> list[int]:
        """Known keys in each child."""
        return self.known_children.get(place, [0] * 8)

    def _inside(self, node: Node) -> bool:
        """Whether the node lies in the slice's interval."""
        first, end = node.prefix << 3 * self.left, (node.prefix + 1) << 3 * self.left
        return self.interval[0] <= first and end <= self.interval[1]

    def _around(self, node: Node) -> Around:
        around = Around()
        for direction in DIRECTIONS:
            x, y, z = (v + step for v, step in zip(node.place, direction, strict=True))
            neighbor = self._neighbor((x, y, z), node.prefix)
            if neighbor is not None:
                around.add(direction, neighbor)
        return around

    def _neighbor(self, place: Place, prefix: int) -> Neighbor | None:
        """The node at a place, if it holds keys, as a node with `prefix` sees it."""
        other = self.nodes.get(place)
        if other is None and place not in self.known_children:
            return None
        children = sum(1 << c for c, count in enumerate(self._known_in(place)) if count)
        if other is None:
            return Neighbor(children, 0, coded=True)
        if other.prefix > prefix:
            return Neighbor(children, 0, coded=False)
        return Neighbor(children | other.here, other.many, coded=True)

    def _allowed(self, node: Node, known: Sequence[int]) -> list[int]:
        """Children that can hold a fresh key."""
        below = 3 * (self.left - 1)
        allowed = []
        for c in range(8):
            child = node.prefix << 3 | c
            overlaps = child << below < self.interval[1] and (child + 1) << below > self.interval[0]
            if overlaps and not (self.left == 1 and known[c]):
                allowed.append(c)
        return allowed

    # ---- children, many ----

    def _children(self, node: Node, around: Around, known: Sequence[int]) -> None:
        """Which children of a multiple node hold fresh keys."""
        allowed, need = self._allowed(node, known), 2 if self.left == 1 else 1
        for position, c in enumerate(allowed):
            choices, missing = len(allowed) - position, need - node.here.bit_count()
            if choices < missing:
                raise BitstreamError(NO_ROOM)
            if choices == missing or self._child(node, c, around, known):
                node.here |= 1 << c
        if node.here.bit_count() < need:
            raise BitstreamError(NO_ROOM)

    def _child(self, node: Node, c: int, around: Around, known: Sequence[int]) -> int:
        """Whether child c holds a fresh key."""
        count = node.here.bit_count()
        q, before = score16(around.score[c]), min(count, 3)
        face = sum(around.face[c][axis] << 2 * axis for axis in range(3))
        beside = sum(node.here >> (c ^ flip) & 1 for flip in (1, 2, 4))
        crowd = classify(around.count, (1, 2, 4, 6, 9, 13, 19))
        siblings = classify(node.siblings, (2, 3, 5))
        k = 0 if not self.known else 1 if not any(known) else 2 + min(known[c], 2)
        choices: list[Choice] = [
            ("child_tree", (self.stage, 1 << c | node.here)),
            ("child_face", (face, c, beside)),
            ("child_score", (q, self.stage, before, c)),
            ("child_around", (crowd, min(count, 4), c, siblings)),
            ("child_lattice", (self.lattice, node.zeros, c, int(count > 0), q >> 2)),
            ("child_known", (k, c, before, q)),
        ]
        weights = (before + 4 * (around.count > 3), int(len(self.known) > 0))
        return self.mixer.mixed(("child", weights), choices)

    def _many(self, node: Node, around: Around, known: Sequence[int]) -> int:
        """Which children with fresh keys have two or more."""
        count = node.here.bit_count()
        if count == 1:
            return node.here
        many = 0
        for c in range(8):
            if node.here >> c & 1:
                many |= self._many_in(node, c, many.bit_count(), around, known) << c
        return many

    def _many_in(self, node: Node, c: int, seen: int, around: Around, known: Sequence[int]) -> int:
        """Whether child c is multiple, `seen` children before it being so."""
        count, q = node.here.bit_count(), score16(around.score[c])
        k = 0 if not self.known else 1 + classify(known[c], (1, 2, 3, 6))
        choices: list[Choice] = [
            ("many_siblings", (self.stage, count - 1, min(seen, 2))),
            ("many_score", (q, min(around.count, 15), int(count > 2))),
            ("many_near", (score8(around.many[c]), score8(around.score[c]), self.stage)),
            ("many_known", (k, self.lattice, node.zeros if c == 0 else 0)),
        ]
        return self.mixer.mixed(("many", (count - 1,)), choices)

    # ---- side ----

    def _side(self, node: Node, around: Around, known: Sequence[int]) -> int:
        """The child with the one fresh key, half by half."""
        allowed = self._allowed(node, known)
        if not allowed:
            raise BitstreamError(NO_ROOM)
        candidates, path = list(range(8)), 1
        for axis in (2, 1, 0):
            halves = [[c for c in candidates if (c >> axis & 1) == side] for side in (0, 1)]
            lower, upper = (any(c in allowed for c in half) for half in halves)
            bit = int(upper)
            if lower and upper:
                bit = self._half(node, axis, halves, path, around, known)
            candidates, path = halves[bit], path << 1 | bit
        return candidates[0]

    def _half(
        self,
        node: Node,
        axis: int,
        halves: Sequence[Sequence[int]],
        path: int,
        around: Around,
        known: Sequence[int],
    ) -> int:
        """Which half of the candidates holds the key: 0 lower, 1 upper."""
        scores = [score8(sum(around.score[c] for c in half) >> axis) for half in halves]
        faces = [max(around.face[c][axis] for c in half) for half in halves]
        keys = [min(sum(known[c] for c in half), 3) for half in halves]
        scale = min(self.left - 1, 4) if any(known) else 0
        choices: list[Choice] = [
            ("side_score", (axis, *scores)),
            ("side_face", (axis, *faces, min(around.count, 7))),
            ("side_lattice", (self.lattice, node.zeros, path)),
            ("side_known", (*keys, axis, scale)),
        ]
        return self.mixer.mixed(("side", (axis, int(self.lattice > 0))), choices)

    # ---- rest ----

    def _rest(self, node: Node) -> int:
        """The whole key of a node that has but one and nothing around it."""
        key, left, zeros = node.prefix, self.left, node.zeros
        if left > 4:
            key = self._digits(key, 3 * (left - 4))
            left, zeros = 4, 2
        digits = 3 * left
        high = max(digits - 6, 0)
        low = digits - high
        if zeros == 2 and self.mixer.single(("rest_zero", (left - 1, 0))):
            return key << digits
        if high == 0 and zeros == 0:
            return self._digits(key, digits)
        if (high > 0 or zeros == 1) and self.mixer.single(("rest_zero", (left - 1, 1))):
            key = key << high | self._nonzero(high) if zeros == 2 else self._digits(key, high)
            return key << low
        return self._digits(key, high) << low | self._nonzero(low)

    def _digits(self, key: int, count: int) -> int:
        """The key with `count` more raw digits."""
        while count > 0:
            part = min(count, 16)
            key = key << part | self.coder.raw(0, part)
            count -= part
        return key

    def _nonzero(self, digits: int) -> int:
        return self.coder.uniform(0, (1 << digits) - 1) + 1


def decode_positions(
    data: bytes, known: Sequence[int], interval: tuple[int, int], bits: int, fresh: int
) -> list[int]:
    """Sorted Morton keys of `fresh` anchors, given those of earlier levels (`known`, sorted), the slice's
    interval of keys and the bits of a position. Raises BitstreamError for damage."""
    coder = BinaryDecoder(data)
    keys = PositionsDecoder(coder, known, interval, bits, fresh).decode()
    if not coder.finished:
        raise BitstreamError("positions: stream of the wrong length")
    return keys
