"""Places from which a splat may be seen well, in unit coordinates, and those of them from which it is.

Candidates stand on rings around the middle, looking in, or within, looking around. Whether a splat is to be
seen from within shows twice: Gaussians there grow with their distance from the middle, as pixels do, and from
the middle matter is seen on most sides, near and fine-grained, where an object has its inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gspc.errors import InputError
from gspc.scene import F64, Camera
from gspc.splats.harmonics import sphere
from gspc.splats.teaching.looking import in_ball, looking_at
from gspc.splats.teaching.sight import Eye, Sight

# Directions from the middle, and distances from it; from nearer, Gaussians are larger than pixels.
DIRECTIONS, RINGS = 40, (2.0, 3.0)
WHOLE = (4.0, 6.0)  # least and largest distance of one more ring, from which the body just fits
BODY = 0.9  # share of the Gaussians that counts as the body
STANDS, NEAR_MIDDLE = 6, 0.5  # places from which the sides are looked at, and the radius they lie in
INSIDE, INSIDE_RADIUS = 112, 1.3  # candidates within, and the radius they lie in
INWARD, OUTWARD = math.radians(50), math.radians(70)  # angles of view along the picture's height
SMALL = (112, 84)  # pixels of the pictures that are looked at
GROWING = 0.35  # rank correlation of size with distance from the middle, from which only the inside counts
ENCLOSED = 0.4  # worth of four sides of six from which the inside counts, too
FULL_ENOUGH, WORTH_ENOUGH = 0.3, 0.5  # of the best worth: of a ring, and within
SHARP_ENOUGH = (1.5, 0.2)  # blur is as the best of a ring, times this, or hardly any
BEST = 0.95  # quantile that counts as the best
WITHIN = len(RINGS) + 1  # number of the group that stands within; the others are the rings

Step = Callable[[int, int], None]  # pictures looked at, of about how many


@dataclass(frozen=True)
class Candidate:
    """A camera, its small picture's worth, and the group that it competes in."""

    camera: Camera
    sight: Sight
    group: int


def good_candidates(eye: Eye, random: np.random.Generator, on_step: Step) -> list[Candidate]:
    """Cameras from which the splat is seen well. Raises InputError where none sees anything."""
    grows = growth(eye) >= GROWING
    tries: list[tuple[Camera, int]] = [] if grows else list(_rings(eye, random))
    if grows or enclosure(eye, random) >= ENCLOSED:
        tries += _within(random)
    found = []
    for number, (camera, group) in enumerate(tries):
        found.append(Candidate(camera, eye.look(camera), group))
        on_step(number + 1, len(tries))
    good = []
    for group in sorted({one.group for one in found}):
        good += _good([one for one in found if one.group == group])
    if not good:
        raise InputError("shows nothing in any picture; all its Gaussians are too faint or too small")
    return good


def _good(group: list[Candidate]) -> list[Candidate]:
    """Those that see as much, and as sharp, as others of their group."""
    best = _best([one.sight.worth for one in group])
    share = WORTH_ENOUGH if group[0].group == WITHIN else FULL_ENOUGH
    full = [one for one in group if one.sight.worth > 0 and one.sight.worth >= share * best]
    if not full or group[0].group == WITHIN:
        return full
    blur = 1 - _best([one.sight.sharp for one in full])
    return [one for one in full if 1 - one.sight.sharp <= max(SHARP_ENOUGH[0] * blur, SHARP_ENOUGH[1])]


def _best(values: list[float]) -> float:
    return float(np.quantile(values, BEST))


def growth(eye: Eye) -> float:
    """Rank correlation (Spearman) of the Gaussians' size with their distance from the middle, -1 to 1."""
    distances = np.linalg.norm(eye.splats.means, axis=1)
    one, other = (np.argsort(np.argsort(values)) / len(distances) - 0.5 for values in (distances, eye.size))
    return float(12 * np.mean(one * other))  # ranks are spread evenly over 1, whose variance is 1/12


def enclosure(eye: Eye, random: np.random.Generator) -> float:
    """What at least four of the six sides of a place near the middle are worth; of the best place."""
    found = []
    for _ in range(STANDS):
        place = NEAR_MIDDLE * in_ball(random)
        sides = [looking_at("side", place, place + way, (84, 84), math.pi / 2) for way in _SIDES]
        found.append(sorted(eye.look(camera).worth for camera in sides)[2])
    return max(found)


_SIDES = np.concatenate([np.eye(3), -np.eye(3)])


def _rings(eye: Eye, random: np.random.Generator) -> Iterator[tuple[Camera, int]]:
    """Cameras around the middle, looking in, and their groups."""
    for group, distance in enumerate((*RINGS, _whole(eye))):
        for direction in sphere(DIRECTIONS) @ turned(random):
            yield looking_at("ring", distance * direction, 0.25 * in_ball(random), SMALL, INWARD), group


def _whole(eye: Eye) -> float:
    """The distance from which the body just fits the picture."""
    reach = float(np.quantile(np.linalg.norm(eye.splats.means, axis=1), BODY))
    return float(np.clip(1.1 * reach / math.sin(INWARD / 2), *WHOLE))


def _within(random: np.random.Generator) -> Iterator[tuple[Camera, int]]:
    """Cameras within, looking at what lies in the middle and, seldom steeply, around."""
    for number in range(INSIDE):
        place = random.uniform(0, INSIDE_RADIUS) * in_ball(random)  # more in the middle, which is open
        way = 0.5 * in_ball(random) - place if number % 2 else in_ball(random) * (1, 0.5, 1)
        yield looking_at("within", place, place + way, SMALL, OUTWARD), WITHIN


def turned(random: np.random.Generator) -> F64:  # [3, 3]
    """A random rotation about the vertical."""
    turn = random.uniform(0, 2 * math.pi)
    cosine, sine = math.cos(turn), math.sin(turn)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
