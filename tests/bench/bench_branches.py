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
import re
from pathlib import Path

from paired import Scores, add_options, gspc, reading, scored, text

from gspc.metrics import bd_rate
from gspc.recipe import ingredients

UNCHANGED = "unchanged"


def compared(base: Scores, other: Scores) -> str:
    """A branch against the unchanged one, in words."""

    def at_end(without: int | None) -> float:
        return other.means(without)[-1] - base.means(without)[-1]

    def at_equal_psnr(without: int | None) -> float | None:
        return bd_rate(base.curve(without), other.curve(without)).value

    last, rate = text(at_end, base.views, "dB"), text(at_equal_psnr, base.views, "%")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--at", type=int, required=True, help="iteration to branch off at")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--change", action="append", default=[], help="what a branch does otherwise")
    add_options(parser)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    name = f"{given.scene.name}-{given.seed}-{given.iterations}-{given.at}"
    trunk, whole = given.work / f"{name}.pt", ("--iterations", given.iterations, "--seed", given.seed)
    saved = trunk.with_name(trunk.name + ".checkpoint")
    if not saved.exists():
        gspc("fit", given.scene, "-o", trunk, "--pause-at", given.at, *whole, *reading(given))
    found = {}
    for change in (UNCHANGED, *given.change):
        own = [] if change == UNCHANGED else as_options(change)
        stem = given.work / f"{name}-{re.sub(r'[^0-9A-Za-z._=,-]+', '_', change)}"
        found[change] = scored(given.scene, stem, [*whole, "--branch", saved, *own], reading(given))
    base = found[UNCHANGED]
    print(f"{name}: {base.rates[-1]:,} bytes, {base.means()[-1]:.2f} dB, {base.views} views")
    for change in given.change:
        print(f"{change:<40} {compared(base, found[change])}")


if __name__ == "__main__":
    main()
