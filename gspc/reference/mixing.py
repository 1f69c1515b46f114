"""Slots and mixing: how the position coder predicts a bit from several adaptive probabilities (pcgs(5),
POSITIONS, Slots and mixing)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from gspc.errors import BackendError
from gspc.reference.arrays import I64
from gspc.reference.binary import BinaryCoder, rate

# Shapes of the tables of slots and of the mixing weights, in the order of the start state.
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
CONFIDENCE = (0, 1, 3, 7, 15, 35, 90, 250)  # counts that a slot may start with

# ---- between probabilities and log odds ----

# As the page lists them: within 2 of 2^16 / (1 + exp(-(i - 16) / 2)), but not always the nearest integer.
POINTS = (
    *(22, 36, 60, 98, 162, 267, 439, 720, 1179, 1922, 3108, 4971, 7813, 11955, 17626, 24741, 32768),
    *(40795, 47910, 53581, 57723, 60565, 62428, 63614, 64357, 64816, 65097, 65269, 65374, 65438),
    *(65476, 65500, 65514),
)


def squash(x: int) -> int:
    """Probability in 1/65536 of log odds x in 1/256, -2048 <= x < 2048.

    >>> squash(-2048), squash(0), squash(100)
    (22, 32768, 39039)
    """
    i, f = (x + 2048) >> 7, (x + 2048) & 127
    return (POINTS[i] * (128 - f) + POINTS[i + 1] * f + 64) >> 7


_SQUASHED = np.array([squash(x) for x in range(-2047, 2047)])
STRETCH = [min(int(np.searchsorted(_SQUASHED, 16 * q + 8)) - 2047, 2047) for q in range(4096)]


# ---- the start state ----


@dataclass(frozen=True)
class Priors:
    """The state in which the coder of positions starts, by table."""

    probability: dict[str, I64]  # in 1/65536, shapes as SLOTS
    count: dict[str, I64]  # likewise
    weights: dict[str, I64]  # in 1/65536, shapes as WEIGHTS


def parse_priors(text: str) -> Priors:
    """The start state that the text of positions_priors.inc holds."""
    slots, weights = text.split("kPriorWeights[]")
    letters = "".join(re.findall(r'"([^"]*)"', slots))
    values = [ord(c) - 35 - (ord(c) > 92) for c in letters]
    probability = np.array([squash(44 * (v - 45)) for v in values[::2]])
    count = np.array([CONFIDENCE[v] for v in values[1::2]])
    numbers = 256 * np.array([int(number) for number in re.findall(r"-?\d+", weights)])
    return Priors(_cut(probability, SLOTS), _cut(count, SLOTS), _cut(numbers, WEIGHTS))


def _cut(values: I64, shapes: dict[str, tuple[int, ...]]) -> dict[str, I64]:
    """Tables of these shapes, one after the other."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(values, ends[:-1])
    return {name: part.reshape(shapes[name]) for name, part in zip(shapes, parts, strict=True)}


@cache
def priors() -> Priors:
    """The start state, from the source tree: around this file, or where tests of an installed gspc run.

    Raises BackendError where there is none.
    """
    for root in (Path(__file__).parents[2], Path.cwd()):
        path = root / "kernels/codec/positions/positions_priors.inc"
        if path.is_file():
            return parse_priors(path.read_text())
    raise BackendError("the readable decoder needs gspc's source tree; run it there")


# ---- bits ----


@dataclass
class Slot:
    """One adaptive probability of a one, in 1/65536."""

    p: int
    count: int  # bits seen, at most 250

    def update(self, bit: int) -> None:
        """Moves toward a bit, less and less."""
        self.p += ((65535 if bit else 0) - self.p) * rate(self.count) >> 15
        self.count = min(self.count + 1, 250)


Choice = tuple[str, tuple[int, ...]]  # a table, and where in it


class Mixer:
    """Slots and weights of one slice and level, which adapt from bit to bit; they arise where they are first
    used."""

    def __init__(self, coder: BinaryCoder) -> None:
        self.coder = coder
        self.slots: dict[Choice, Slot] = {}
        self.weights: dict[Choice, list[int]] = {}

    def mixed(self, weights: Choice, choices: Sequence[Choice]) -> int:
        """A bit that several slots predict."""
        slots = [self._slot(choice) for choice in choices]
        own = self._weights(weights)
        stretched = [STRETCH[slot.p >> 4] for slot in slots]
        x = sum(s * w for s, w in zip(stretched, own, strict=True)) >> 16
        p = squash(min(max(x, -2047), 2047))
        bit = self.coder.code(p)
        error = (65535 if bit else 0) - p
        for i, (s, slot) in enumerate(zip(stretched, slots, strict=True)):
            own[i] = _signed32(own[i] + ((s * error + (1 << 14)) >> 15))
            slot.update(bit)
        return bit

    def single(self, choice: Choice) -> int:
        """A bit that one slot predicts."""
        slot = self._slot(choice)
        bit = self.coder.code(min(max(slot.p, 32), 65504))
        slot.update(bit)
        return bit

    def _slot(self, choice: Choice) -> Slot:
        if choice not in self.slots:
            name, index = choice
            self.slots[choice] = Slot(
                int(priors().probability[name][index]), int(priors().count[name][index])
            )
        return self.slots[choice]

    def _weights(self, choice: Choice) -> list[int]:
        if choice not in self.weights:
            name, index = choice
            self.weights[choice] = priors().weights[name][index].tolist()
        return self.weights[choice]


def _signed32(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31
