"""What loading a scene found out: lines for the user, and the whole picture for `gspc fit --dry-run`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gspc.scene import Note


@dataclass(frozen=True)
class LeftOut:
    """Something of the input that is not used, and why."""

    name: str
    why: str


@dataclass
class Notes:
    """Collects what loading has to say, in order; nothing that is mended or left out goes without a line."""

    lines: list[Note] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A line worth knowing; the same line once only."""
        self._add(Note(spelled(text)))

    def warn(self, text: str) -> None:
        """A line that the user may want to act on."""
        self._add(Note(spelled(text), warning=True))

    def leave_out(self, names: Iterable[str], why: str) -> None:
        """Remember what is not used; the caller says it in one line."""
        self.left_out += [LeftOut(spelled(name), why) for name in names]

    def _add(self, note: Note) -> None:
        if note not in self.lines:
            self.lines.append(note)


@dataclass(frozen=True)
class CameraReport:
    """One kind of camera: its model, its size in pixels, how many views it took, and the size they are used
    at."""

    model: str
    width: int
    height: int
    views: int
    used_width: int
    used_height: int
    undistorted: bool


@dataclass(frozen=True)
class FrameReport:
    """Where the cameras stand, in the scene's own units.

    center: mean of the cameras' positions. radius: of the cameras around it. up: mean upward direction of the
    pictures, which is the scene's up where the camera was held upright.
    """

    center: tuple[float, float, float]
    radius: float
    up: tuple[float, float, float]


@dataclass(frozen=True)
class TeacherReport:
    """What was understood of a trained splat that stands in for photographs.

    cameras: "given", or what placing them took the splat for: "object" is seen from all around, "one-sided"
    from one side, "inside-out" from within. The shares are of the Gaussians, each counted by its opacity:
    hidden ones were in no picture that was tried; of the rest, those that one training view, or three, show
    at least.
    """

    format: str
    gaussians: int
    degree: int
    cameras: str
    hidden: float
    seen_by_one: float
    seen_by_three: float


@dataclass(frozen=True)
class SceneReport:
    """What was understood of a scene; see the fields' names."""

    scene: str
    kind: str  # "COLMAP", "transforms" or "splat"
    model: str  # the folder or file that the cameras come from
    photographs: str  # the folder that the photographs come from
    cameras: tuple[CameraReport, ...]
    train: tuple[str, ...]
    test: tuple[str, ...]
    masks: int  # views with a mask
    points: int
    points_from: str
    background: str
    frame: FrameReport
    left_out: tuple[LeftOut, ...]
    notes: tuple[Note, ...]
    teacher: TeacherReport | None = None  # of a splat


def listed(names: Sequence[str], limit: int = 3) -> str:
    """`a, b, c and 4 more`."""
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown


def counted(count: int, noun: str) -> str:
    """`1 photograph`, `2 photographs`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def spelled(name: str) -> str:
    """A name as text: bytes of a file name that are no UTF-8 are spelled as in addresses, such as %E4."""
    return re.sub("[\ud800-\udfff]", lambda found: f"%{ord(found[0]) & 0xFF:02X}", name)
