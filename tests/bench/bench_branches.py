"""What a setting is worth from the middle of a run on: branches of one checkpoint, which see the same views
in the same order, so that they differ by that setting and not by chance.

    python tests/bench/bench_branches.py SCENE --at 600 --iterations 1000 --work DIR
        [--change "ssim_weight=0.2" ...] [--change "rate-weights=2e-2,1e-3,5e-5"] [--resolution R]
        [--threads T]

Fits until --at, then on as it is and once for each --change: ingredients of rate and schedule, or options of
fit with their long names, several of them with blanks between. Streams of all levels are scored on held-out
views. Each figure has its jackknife error over these views. What is done is kept in --work and not done
again.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablation_report import front, jackknife_error

from gspc.metrics import bd_rate
from gspc.recipe import ingredients

UNCHANGED = "unchanged"


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

    def curve(self, without: int | None = None) -> Any:
        points = zip(self.rates, self.means(without), strict=True)
        return front([{"bytes": rate, "psnr": psnr} for rate, psnr in points], "bytes")


def read_scores(report: Path) -> Scores:
    """The scores that `gspc eval --json` wrote."""
    levels = json.loads(report.read_text())["levels"]
    return Scores(
        tuple(level["bytes"] for level in levels),
        tuple(tuple(view["psnr"] for view in level["views"]) for level in levels),
    )


def with_error(figure: Callable[[int | None], float | None], views: int) -> tuple[float | None, float | None]:
    """A figure of all views, and its standard error from those that leave one view out each."""
    without = [figure(view) for view in range(views)] if views > 1 else []
    known = [value for value in without if value is not None]
    return figure(None), jackknife_error(known, views) if known else None


def text(found: tuple[float | None, float | None], unit: str) -> str:
    value, error = found
    if value is None:
        return "no figure: too little overlap"
    return f"{value:+.2f}{'' if error is None else f' +- {error:.2f}'} {unit}"


def compared(base: Scores, other: Scores) -> str:
    """A branch against the unchanged one, in words."""

    def at_end(without: int | None) -> float:
        return other.means(without)[-1] - base.means(without)[-1]

    def at_equal_psnr(without: int | None) -> float | None:
        return bd_rate(base.curve(without), other.curve(without)).value

    last = text(with_error(at_end, base.views), "dB")
    rate = text(with_error(at_equal_psnr, base.views), "%")
    size = 100 * (other.rates[-1] / base.rates[-1] - 1)
    return f"last level {last}, {size:+.1f} % bytes; bytes at equal PSNR {rate}"


def as_options(change: str) -> list[str]:
    """Options of fit for 'name=value name=value'. An ingredient is set, anything else is an option."""
    found: list[str] = []
    for part in change.split():
        name, sign, value = part.partition("=")
        if not sign:
            raise SystemExit(f"--change {change}: give NAME=VALUE")
        found += ["--set", part] if name in ingredients() else [f"--{name}", value]
    return found


def gspc(*arguments: object) -> None:
    command = [sys.executable, "-m", "gspc", *map(str, arguments)]
    if (code := subprocess.run(command, check=False).returncode) != 0:
        raise SystemExit(f"gspc {arguments[0]} exited with {code}")


def scored(scene: Path, stem: Path, fit: Sequence[str], reading: Sequence[str]) -> Scores:
    """Fits, compresses and scores what is not there yet."""
    model, stream, report = (stem.with_name(stem.name + end) for end in (".pt", ".pcgs", ".json"))
    if not model.exists():
        gspc("fit", scene, "-f", "-o", model, *fit, *reading)
    if not report.exists():
        gspc("compress", model, "-f", "-o", stream)
        gspc("eval", stream, "--data", scene, "-f", "--json", report, *reading)
    return read_scores(report)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--at", type=int, required=True, help="iteration to branch off at")
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--change", action="append", default=[], help="what a branch does otherwise")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    both = {"--resolution": given.resolution, "--threads": given.threads}
    reading = [str(part) for pair in both.items() if pair[1] is not None for part in pair]
    given.work.mkdir(parents=True, exist_ok=True)
    name = f"{given.scene.name}-{given.seed}-{given.iterations}-{given.at}"
    trunk, whole = given.work / f"{name}.pt", ["--iterations", given.iterations, "--seed", given.seed]
    saved = trunk.with_name(trunk.name + ".checkpoint")
    if not saved.exists():
        gspc("fit", given.scene, "-o", trunk, "--pause-at", given.at, *whole, *reading)
    found = {}
    for change in (UNCHANGED, *given.change):
        own = [] if change == UNCHANGED else as_options(change)
        stem = given.work / f"{name}-{re.sub(r'[^0-9A-Za-z._=,-]+', '_', change)}"
        fit = [*map(str, whole), "--branch", str(saved), *own]
        found[change] = scored(given.scene, stem, fit, reading)
    base = found[UNCHANGED]
    print(f"{name}: {base.rates[-1]:,} bytes, {base.means()[-1]:.2f} dB, {base.views} views")
    for change in given.change:
        print(f"{change:<40} {compared(base, found[change])}")


if __name__ == "__main__":
    main()
