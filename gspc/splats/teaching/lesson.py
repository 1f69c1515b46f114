"""What a splat is seen from: given cameras, or placed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gspc.scene import Camera
from gspc.splats.teaching.candidates import SMALL, Step
from gspc.splats.teaching.coverage import Account, Coverage, Seen
from gspc.splats.teaching.fresh import Jitter
from gspc.splats.teaching.looking import sized
from gspc.splats.teaching.placing import place
from gspc.splats.teaching.sight import Eye
from gspc.splats.teaching.unit import UnitSplats

PLACED_REACH, GIVEN_REACH = 0.2, 0.05  # how far fresh cameras go aside, of the distance to what they see
GIVEN = "given"


@dataclass(frozen=True)
class Lesson:
    """Cameras in the user's coordinates.

    depths: how far away each sees things, user's units. arrangement: "given", or what placing took the splat
    for: "object", "one-sided" or "inside-out". blind: names of given cameras that see nothing and were left
    out.
    """

    cameras: tuple[Camera, ...]
    depths: tuple[float, ...]
    arrangement: str
    blind: tuple[str, ...]
    account: Account
    seen: Seen  # [V, T]
    visible: Seen  # [T]

    def coverage(self, rows: Sequence[int]) -> Coverage:
        """What the cameras of these numbers cover."""
        return self.account.coverage(self.seen[list(rows)], self.visible)

    def jitter(self, seed: int) -> Jitter:
        """How fresh cameras scatter: placed ones over all that lies between them, given ones little, because
        who gave them knows from where the splat looks right."""
        given = self.arrangement == GIVEN
        return Jitter(seed, GIVEN_REACH if given else PLACED_REACH, zooms=not given)


def lesson(
    unit: UnitSplats, given: Sequence[Camera] | None = None, on_step: Step = lambda done, total: None
) -> Lesson:
    """The cameras to learn a splat from. `given` are in the user's coordinates; without them cameras are
    placed, of which `on_step` hears. Raises InputError for a splat that cannot be seen."""
    eye, account = Eye(unit.splats), Account.of(unit.weights)
    if given is None:
        found = place(eye, account, on_step)
        cameras = tuple(unit.to_user(camera) for camera in found.cameras)
        depths = tuple(unit.radius * depth for depth in found.depths)
        return Lesson(cameras, depths, found.kind, (), account, found.seen, found.visible)
    inside = [unit.to_unit(camera) for camera in given]
    sights = [eye.look(sized(camera, SMALL[0] * SMALL[1])) for camera in inside]
    kept = [number for number, sight in enumerate(sights) if sight.filled > 0]
    seen = account.seen(eye, [inside[number] for number in kept])
    everything: NDArray[np.bool_] = np.ones(len(account.rows), np.bool_)
    return Lesson(
        tuple(given[number] for number in kept),
        tuple(unit.radius * sights[number].depth for number in kept),
        GIVEN,
        tuple(camera.name for number, camera in enumerate(given) if number not in kept),
        account,
        seen,
        everything,
    )
