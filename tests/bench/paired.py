"""Fits that are compared view by view: made once, kept in a folder, scored on held-out views, and figures
with a jackknife error over these views."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation_report import front, jackknife_error

from gspc.metrics import Curve

Figure = Callable[[int | None], float | None]  # of all views, or of all but one


@dataclass(frozen=True)
class Scores:
    """Bytes of each level and PSNR of each level's views, in dB."""

    rates: tuple[int, ...]
    psnr: tuple[tuple[float, ...], ...]  # [levels][views]

    @property
    def views(self) -> int:
        return len(self.psnr[0])

    def means(self, without: int | None = None) -> list[float]:
        """Mean PSNR of each level over all views but one."""
        kept = [[value for view, value in enumerate(of) if view != without] for of in self.psnr]
        return [sum(values) / len(values) for values in kept]

    def points(self, without: int | None = None) -> list[dict[str, Any]]:
        found = zip(self.rates, self.means(without), strict=True)
        return [{"bytes": rate, "psnr": psnr} for rate, psnr in found]

    def curve(self, without: int | None = None) -> Curve:
        return front(self.points(without), "bytes")


def read_scores(report: Path) -> Scores:
    """The scores that `gspc eval --json` wrote."""
    levels = json.loads(report.read_text())["levels"]
    return Scores(
        tuple(level["bytes"] for level in levels),
        tuple(tuple(view["psnr"] for view in level["views"]) for level in levels),
    )


def with_error(figure: Figure, views: int) -> tuple[float | None, float | None]:
    """A figure of all views, and its standard error from those that leave one view out each."""
    without = [figure(view) for view in range(views)] if views > 1 else []
    known = [value for value in without if value is not None]
    return figure(None), jackknife_error(known, views) if known else None


def text(figure: Figure, views: int, unit: str) -> str:
    value, error = with_error(figure, views)
    if value is None:
        return "no figure: too little overlap"
    return f"{value:+.2f}{'' if error is None else f' +- {error:.2f}'} {unit}"


def gspc(*arguments: object) -> None:
    command = [sys.executable, "-m", "gspc", *map(str, arguments)]
    if (code := subprocess.run(command, check=False).returncode) != 0:
        raise SystemExit(f"gspc {arguments[0]} exited with {code}")


def scored(scene: Path, stem: Path, fit: Sequence[object], reading: Sequence[str]) -> Scores:
    """Fits, compresses and scores what is not there yet; `reading` are options of fit and eval."""
    model, stream, report = (stem.with_name(stem.name + end) for end in (".pt", ".pcgs", ".json"))
    if not report.exists():
        if not model.exists():
            gspc("fit", scene, "-f", "-o", model, *fit, *reading)
        gspc("compress", model, "-f", "-o", stream)
        gspc("eval", stream, "--data", scene, "-f", "--json", report, *reading)
    return read_scores(report)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that these comparisons share."""
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--threads", type=int)


def reading(given: argparse.Namespace) -> list[str]:
    """What fit and eval both take of the options above."""
    both = {"--resolution": given.resolution, "--threads": given.threads}
    return [str(part) for name, value in both.items() if value is not None for part in (name, value)]
