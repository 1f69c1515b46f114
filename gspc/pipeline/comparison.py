"""Rate-distortion curves of several arms against each other, from what `gspc eval --json` wrote."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gspc.errors import InputError, UsageError
from gspc.pipeline.source import read_bytes

if TYPE_CHECKING:
    from gspc.metrics import Difference

Levels = tuple[int, ...] | Literal["last"] | None  # None: all

# Components whose bytes grow with the scene; the others are what a file costs before its first anchor.
VARIABLE_COMPONENTS = ("positions", "masks", "escapes", "symbols", "framing", "parity")


@dataclass(frozen=True)
class Point:
    """One level of one file. `size`: bytes on disk up to it, of which `fixed` do not depend on the number of
    anchors (grids, networks, heads, header, index, cameras, metadata); None where the file does not say."""

    file: str
    level: int
    size: int
    fixed: int | None
    psnr: float


@dataclass(frozen=True)
class Arm:
    """A curve. `points` rise in size and PSNR; `beaten` are those that another point of the arm makes
    pointless: no smaller and no better."""

    name: str
    files: tuple[str, ...]
    points: tuple[Point, ...]
    beaten: tuple[Point, ...]


@dataclass(frozen=True)
class ArmDifference:
    """Bjontegaard differences of an arm from the reference, on all bytes and without the fixed ones (None
    where a file does not have them)."""

    arm: str
    rate: Difference  # %
    psnr: Difference  # dB
    rate_without_fixed: Difference | None
    psnr_without_fixed: Difference | None


@dataclass(frozen=True)
class Comparison:
    """Arms, the first being the reference of all differences. `views`: names of the views scored."""

    arms: tuple[Arm, ...]
    differences: tuple[ArmDifference, ...]
    held_out: bool
    views: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def reference(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[0]


@dataclass(frozen=True)
class _Scores:
    """One file: which views it scores (name, width, height; 0 where it does not say), and its points."""

    name: str
    held_out: bool
    views: tuple[tuple[str, int, int], ...]
    points: tuple[Point, ...]
    infinite: int = 0  # levels without a finite PSNR


@dataclass
class _Warnings:
    found: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        if text not in self.found:
            self.found.append(text)


def compare(arms: Sequence[str], *, levels: Levels = None) -> Comparison:
    """The curves of `arms`, each `FILE[+FILE...]` or `NAME=FILE[+FILE...]`, and their Bjontegaard differences
    from the first.

    An arm's points are the `levels` (None: all) of all its files. Raises UsageError for arms that make no
    sense, InputError for files that cannot be read or that score other views than the first one.
    """
    if len(arms) < 2:
        raise UsageError("--compare needs two arms or more, such as a.json b.json")
    parts = [_split(arm) for arm in arms]
    names = _names(arms, parts)
    scores = [tuple(_read(file) for file in files) for _, files in parts]
    _check_same_views([score for arm in scores for score in arm])
    warnings = _Warnings()
    made = tuple(_arm(name, arm, levels, warnings) for name, arm in zip(names, scores, strict=True))
    first = scores[0][0]
    return Comparison(
        made,
        tuple(_difference(made[0], arm, warnings) for arm in made[1:]),
        first.held_out,
        tuple(view[0] for view in first.views),
        tuple(warnings.found),
    )


def front(points: Iterable[Point], *, without_fixed: bool = False) -> tuple[Point, ...]:
    """The points that no other one beats (no larger and no worse), by size: strictly rising in both."""

    def size(point: Point) -> int:
        return point.size - (point.fixed or 0) if without_fixed else point.size

    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (size(point), -point.psnr)):
        if not kept or point.psnr > kept[-1].psnr:
            kept.append(point)
    return tuple(kept)


# ---- arms as they are named ----


def _split(arm: str) -> tuple[str | None, tuple[str, ...]]:
    """Name, if given, and files of an arm."""
    if Path(arm).is_file():  # its name may hold any character
        return None, (arm,)
    name, sign, rest = arm.partition("=")
    given = name if sign and name and "/" not in name and "+" not in name else None
    files = tuple((rest if given else arm).split("+"))
    if not all(files):
        raise UsageError(f"--compare {arm}: an arm is FILE+FILE+..., or NAME=FILE+FILE+...")
    for file, count in Counter(os.path.realpath(file) for file in files).items():
        if count > 1:
            raise UsageError(f"--compare {arm}: names {file} {count} times")
    return given, files


def _names(arms: Sequence[str], parts: Sequence[tuple[str | None, tuple[str, ...]]]) -> list[str]:
    """A name for each arm: the one given, its files' stems, or in case of doubt all of the argument."""
    names = [given or "+".join(Path(file).stem for file in files) for given, files in parts]
    doubles = {name for name, count in Counter(names).items() if count > 1}
    names = [arm if name in doubles else name for name, arm in zip(names, arms, strict=True)]
    for name, count in Counter(names).items():
        if count > 1:
            raise UsageError(f"--compare: {count} arms are {name}; give them names, NAME=FILE")
    return names


# ---- files ----


def _read(file: str) -> _Scores:
    """A report of gspc eval, checked."""
    try:
        return _scores(file, json.loads(read_bytes(Path(file))))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise InputError(f"{file}: is not what gspc eval --json writes; evaluate the stream again") from None


def _scores(file: str, report: dict[str, Any]) -> _Scores:
    points, infinite = [], 0
    for entry in report["levels"]:
        if entry["bytes"] is None:
            raise InputError(f"{file}: scores a decoded scene, which has no size on disk; evaluate its .pcgs")
        components = entry.get("components")
        fixed = None
        if components is not None:
            fixed = sum(int(size) for name, size in components.items() if name not in VARIABLE_COMPONENTS)
        level, size = int(entry["level"]), int(entry["bytes"])
        if level < 1 or not 1 <= size < 2**63 or (fixed is not None and not 0 <= fixed < size):
            raise ValueError
        if entry["psnr"] is None:
            infinite += 1
        else:
            psnr = float(entry["psnr"])
            if not math.isfinite(psnr):
                raise ValueError
            points.append(Point(file, level, size, fixed, psnr))
    if not points and not infinite:
        raise ValueError
    views = tuple(
        (str(view["view"]), *(int(side) for side in view.get("size") or (0, 0)))
        for view in report["levels"][0]["views"]
    )
    if report["views"] not in ("test", "train") or not views:
        raise ValueError
    return _Scores(file, report["views"] == "test", views, tuple(points), infinite)  # type: ignore[arg-type]


def _check_same_views(scores: Sequence[_Scores]) -> None:
    first = scores[0]
    for other in scores[1:]:
        if other.held_out != first.held_out:
            kinds = ("training", "held-out")
            raise InputError(
                f"{other.name}: scores {kinds[other.held_out]} views and {first.name} "
                f"{kinds[first.held_out]} ones; evaluate both the same way"
            )
        if [view[0] for view in other.views] != [view[0] for view in first.views]:
            raise InputError(
                f"{other.name}: scores {len(other.views)} views, {other.views[0][0]} and so on, and "
                f"{first.name} {len(first.views)}, {first.views[0][0]} and so on; compare one scene and "
                "one --hold"
            )
        for (view, *size), (_, *expected) in zip(other.views, first.views, strict=True):
            if all((*size, *expected)) and size != expected:
                raise InputError(
                    f"{other.name}: {view} has {size[0]}x{size[1]} pixels, in {first.name} "
                    f"{expected[0]}x{expected[1]}; evaluate both with one --resolution"
                )


# ---- curves ----


def _arm(name: str, scores: Sequence[_Scores], levels: Levels, warnings: _Warnings) -> Arm:
    points: list[Point] = []
    for score in scores:
        last = max((point.level for point in score.points), default=0)
        wanted = (last,) if levels == "last" else levels
        chosen = [point for point in score.points if wanted is None or point.level in wanted]
        if score.infinite:
            warnings.add(f"{score.name}: {score.infinite} levels equal the photographs; left out")
        if wanted is not None and levels != "last" and len(chosen) < len(wanted):
            missing = sorted(set(wanted) - {point.level for point in chosen})
            warnings.add(f"{score.name}: has no level {', '.join(map(str, missing))}")
        points += chosen
    if not points:
        raise UsageError(f"--compare: {name} has no points with what --levels or --upto leave of it")
    kept = front(points)
    beaten = tuple(point for point in points if point not in kept)
    if beaten:
        listed = ", ".join(f"{Path(p.file).name} level {p.level}" for p in beaten[:4])
        more = f" and {len(beaten) - 4} more" if len(beaten) > 4 else ""
        warnings.add(
            f"{name}: {len(beaten)} of {len(points)} points are no smaller and no better than another one "
            f"and were left out: {listed}{more}"
        )
    return Arm(name, tuple(score.name for score in scores), kept, beaten)


def _difference(reference: Arm, arm: Arm, warnings: _Warnings) -> ArmDifference:
    from gspc.metrics import bd_psnr, bd_rate

    curves = [[(point.size, point.psnr) for point in side.points] for side in (reference, arm)]
    rate, psnr = bd_rate(*curves), bd_psnr(*curves)
    sides = [(*side.points, *side.beaten) for side in (reference, arm)]
    if any(point.fixed is None for side in sides for point in side):
        warnings.add(f"{arm.name}: no figures without fixed bytes, which older reports do not have")
        return ArmDifference(arm.name, rate, psnr, None, None)
    # Other points may make the curve when files differ in fixed bytes.
    curves = [
        [(point.size - (point.fixed or 0), point.psnr) for point in front(side, without_fixed=True)]
        for side in sides
    ]
    return ArmDifference(arm.name, rate, psnr, bd_rate(*curves), bd_psnr(*curves))
