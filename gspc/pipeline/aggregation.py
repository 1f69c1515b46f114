"""Scores of several scenes in one table, from what `gspc eval --json` wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gspc.errors import InputError, UsageError
from gspc.pipeline.source import read_bytes

Levels = tuple[int, ...] | Literal["last"] | None  # None: all
MEAN = "mean"


@dataclass(frozen=True)
class SceneLevel:
    """A level of a scene: bytes of the file up to it, and how good it is; None where that is not known."""

    scene: str
    level: int
    bytes: int | None
    psnr: float | None  # dB; None where it is infinite, too
    ssim: float | None
    lpips: float | None


@dataclass(frozen=True)
class Aggregation:
    """Rows of all scenes, and their means: of each level over the scenes that have it."""

    rows: tuple[SceneLevel, ...]
    means: tuple[SceneLevel, ...]


def aggregate(files: Sequence[str], *, levels: Levels = None) -> Aggregation:
    """One table of the `levels` (None: all) of reports, each called after the folder of its photographs.

    Raises UsageError without reports, InputError for files that are none.
    """
    if not files:
        raise UsageError("--aggregate needs reports that gspc eval --json wrote")
    names: dict[str, int] = {}
    rows: list[SceneLevel] = []
    for file in files:
        name, found = _read(file)
        names[name] = names.get(name, 0) + 1
        unique = name if names[name] == 1 else f"{name} ({names[name]})"
        rows += [replace(row, scene=unique) for row in _wanted(found, levels)]
    return Aggregation(tuple(rows), _means(rows))


def _read(file: str) -> tuple[str, list[SceneLevel]]:
    try:
        report = json.loads(read_bytes(Path(file)))
        name = str(report["data"]).rstrip("/").rsplit("/", 1)[-1] or str(report["source"])
        return name, [_row(name, values) for values in report["levels"]]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"{file}: is no report; give files that gspc eval --json wrote") from error


def _row(name: str, values: dict[str, Any]) -> SceneLevel:
    def number(key: str, kind: Callable[[Any], Any]) -> Any:
        return None if values.get(key) is None else kind(values[key])

    figures = (number(key, float) for key in ("psnr", "ssim", "lpips"))
    level, size = int(values["level"]), number("bytes", int)
    if level < 1 or (size is not None and not 0 <= size < 2**63):
        raise ValueError
    return SceneLevel(name, level, size, *figures)


def _wanted(rows: Sequence[SceneLevel], levels: Levels) -> Sequence[SceneLevel]:
    if levels is None:
        return rows
    return rows[-1:] if levels == "last" else [row for row in rows if row.level in levels]


def _means(rows: Sequence[SceneLevel]) -> tuple[SceneLevel, ...]:
    by_level: dict[int, list[SceneLevel]] = {}
    for row in rows:
        by_level.setdefault(row.level, []).append(row)
    return tuple(_mean(level, by_level[level]) for level in sorted(by_level))


def _mean(level: int, rows: Sequence[SceneLevel]) -> SceneLevel:
    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None and math.isfinite(value)]
        return sum(known) / len(known) if known else None

    size = mean([row.bytes for row in rows])
    return SceneLevel(
        MEAN,
        level,
        None if size is None else round(size),
        mean([row.psnr for row in rows]),
        mean([row.ssim for row in rows]),
        mean([row.lpips for row in rows]),
    )
