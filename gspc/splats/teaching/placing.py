"""Placing cameras by the geometry of a splat alone.

Of the candidates from which it is seen well, those are taken that together see most, each Gaussian by several
cameras. Whoever is still seen by few then gets cameras of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gspc.scene import F64, Camera
from gspc.splats.harmonics import sphere
from gspc.splats.teaching.candidates import (
    INWARD,
    SMALL,
    WITHIN,
    Candidate,
    Step,
    good_candidates,
    turned,
)
from gspc.splats.teaching.coverage import SEVERAL, Account, Choice, Seen
from gspc.splats.teaching.looking import looking_at
from gspc.splats.teaching.sight import Eye

CAMERAS = 56  # of the first choice; with those added for the needy about as many as a stream suggests
ROUNDS, TARGETS, AROUND, ADDED = 3, 6, 4, 4  # of adding cameras: targets, tries at each, most that are taken
NEEDY = 0.01  # share of the weight seen by too few at which more cameras are tried
NEAR, FAR = 0.5, 2.0  # of the tries, from their targets
ALL_AROUND = 0.4  # length of the mean direction, averaged over rings, below which cameras stand all around


@dataclass(frozen=True)
class Placed:
    """Cameras in unit coordinates, in the order of their use, and how far away each sees things."""

    cameras: tuple[Camera, ...]
    depths: tuple[float, ...]
    kind: str  # "object", "one-sided" or "inside-out"
    seen: Seen  # [V, T]
    visible: Seen  # [T] who was in any picture that was looked at


def place(eye: Eye, account: Account, on_step: Step = lambda done, total: None) -> Placed:
    """Cameras that see the splat; the same for the same splat. Raises InputError where none sees anything."""
    random = np.random.default_rng(0)
    good = good_candidates(eye, random, on_step)
    placing = _Placing(eye, account)
    placing.choose(good, random)
    for _ in range(ROUNDS):
        placing.help_the_needy(random)
    chosen = placing.chosen
    return Placed(
        tuple(replace(one.camera, name=f"placed_{number:03d}") for number, one in enumerate(chosen)),
        tuple(one.sight.depth for one in chosen),
        _kind(good),
        np.concatenate(placing.saw),
        placing.visible,
    )


class _Placing:
    """The cameras taken so far, and who is seen by how many of them."""

    def __init__(self, eye: Eye, account: Account) -> None:
        self.eye, self.account = eye, account
        self.from_within = False  # whether the middle is where to look from, not what to look at
        self.chosen: list[Candidate] = []
        self.saw: list[Seen] = []  # [v, T] of the cameras taken
        self.times = np.zeros(len(account.rows), np.int64)
        self.visible = np.zeros(len(account.rows), np.bool_)
        self.missed = np.zeros(len(account.rows), np.bool_)  # who was aimed at in vain

    def choose(self, good: list[Candidate], random: np.random.Generator) -> None:
        """Takes the first cameras, of each group in turn: from near and far, and from within."""
        choice, seen = self._among(good, self.account.weights)
        self.from_within = all(one.group == WITHIN for one in good)
        groups = np.array([one.group for one in good])
        there = np.unique(groups)
        rounds = [random.permutation(there) for _ in range(CAMERAS // len(there))]  # no group is every 8th
        rows = [choice.take(groups == group) for group in np.concatenate(rounds)]
        self._add(good, seen, rows)

    def help_the_needy(self, random: np.random.Generator) -> None:
        """Tries cameras near Gaussians that too few see, and takes those that help."""
        needy = (self.times < SEVERAL) & ~self.missed
        needs = np.where(needy & self.visible, self.account.weights, 0)
        if needs.sum() <= NEEDY * self.account.weights[self.visible].sum():
            needs = np.where(needy, self.account.weights, 0)
        if needs.sum() <= NEEDY:
            return
        targets = _drawn(needs, random)
        tries = [one for target in targets for one in self._tries(target, random)]
        choice, seen = self._among(tries, np.where(needy, self.account.weights, 0))
        self.missed[targets] = ~seen[:, targets].any(axis=0)
        self._add(tries, seen, [choice.take() for _ in range(ADDED)])

    def _tries(self, target: int, random: np.random.Generator) -> list[Candidate]:
        aim = self.eye.splats.means[self.account.rows[target]].astype(np.float64)
        ways = sphere(AROUND) @ turned(random)
        ways *= np.where(self.from_within == (ways @ aim > 0), -1, 1)[:, None]
        places = [aim + random.uniform(NEAR, FAR) * way for way in ways]
        cameras = [looking_at("aimed", place, aim, SMALL, INWARD) for place in places]
        return [Candidate(camera, self.eye.look(camera), 0) for camera in cameras]

    def _among(self, those: list[Candidate], weights: NDArray[np.float32]) -> tuple[Choice, Seen]:
        seen = self.account.seen(self.eye, [one.camera for one in those])
        self.visible |= seen.any(axis=0)
        return Choice(seen, weights, [one.sight.worth for one in those], self.times), seen

    def _add(self, those: list[Candidate], seen: Seen, rows: list[int | None]) -> None:
        taken = [row for row in rows if row is not None]
        self.chosen += [those[row] for row in taken]
        self.saw.append(seen[taken])


def _drawn(needs: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.int64]:
    """TARGETS of those in need, by their weight."""
    there = np.flatnonzero(needs)
    chances: F64 = needs[there].astype(np.float64)
    return random.choice(there, min(TARGETS, len(there)), replace=False, p=chances / chances.sum())


def _kind(good: list[Candidate]) -> str:
    """What the places from which a splat is seen well say about it."""
    groups = {one.group for one in good}
    if WITHIN in groups:
        return "inside-out"
    leanings = [_leaning([one for one in good if one.group == group]) for group in groups]
    return "object" if np.mean(leanings) < ALL_AROUND else "one-sided"


def _leaning(ring: list[Candidate]) -> float:
    """0 for cameras all around the middle, 1 for all of them in one direction."""
    centers = np.array([one.camera.center for one in ring])
    return float(np.linalg.norm((centers / np.linalg.norm(centers, axis=1, keepdims=True)).mean(axis=0)))
