"""The figures of bench_formats.py as a picture: PSNR over bytes, one panel for each scene.

python tests/bench/plot_formats.py OUT.png NAME=FILE.json [NAME=FILE.json ...]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from gspc.pipeline.charts import COLORS, UNITS

# Names as readers know them, and how far above its point each stands, in points.
OTHERS = {
    "ply": ("PLY", -13),
    "compressed.ply": ("compressed PLY", -24),
    "sog": ("SOG", 7),
    "spz": ("SPZ", -13),
}
NEAR = 1.5  # factor in bytes below which the names of SOG and SPZ must not stand between their points


def size(value: float, _position: int = 0) -> str:
    """Bytes for people."""
    unit, name = next((unit, name) for unit, name in UNITS if value >= unit)
    return f"{value / unit:g} {name}"


def places(rows: list[dict[str, Any]]) -> dict[str, tuple[str, int]]:
    """OTHERS, with the names of SOG and SPZ on their outer sides where the two nearly meet."""
    found, at = dict(OTHERS), {row["what"]: row for row in rows}
    sog, spz = (at.get(name) for name in ("sog", "spz"))
    near = sog and spz and max(sog["bytes"], spz["bytes"]) < NEAR * min(sog["bytes"], spz["bytes"])
    if sog and spz and near and spz["psnr"] > sog["psnr"]:
        found["sog"], found["spz"] = ("SOG", OTHERS["spz"][1]), ("SPZ", OTHERS["sog"][1])
    return found


def panel(axes: Axes, name: str, rows: list[dict[str, Any]]) -> None:
    """One scene."""
    ours = [row for row in rows if row["what"].startswith("pcgs")]
    axes.plot([row["bytes"] for row in ours], [row["psnr"] for row in ours], "o-", color=COLORS[1], ms=5)
    last = ours[-1]
    axes.annotate(
        "pcgs, by level", (last["bytes"], last["psnr"]), (0, 7), textcoords="offset points", ha="center"
    )
    others = places(rows)
    for row in rows:
        if row["what"] in others:
            name_of, above = others[row["what"]]
            where = (row["bytes"], row["psnr"])
            axes.plot(*where, "D", color=COLORS[2], ms=5)
            axes.annotate(name_of, where, (0, above), textcoords="offset points", ha="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_title(name)
    axes.margins(x=0.12, y=0.12)
    axes.xaxis.set_major_locator(LogLocator(10))
    axes.xaxis.set_major_formatter(FuncFormatter(size))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("scenes", nargs="+", metavar="NAME=FILE.json")
    args = parser.parse_args()
    figure = Figure(figsize=(4.2 * len(args.scenes), 3.6), dpi=110, layout="constrained")
    every = figure.subplots(1, len(args.scenes), squeeze=False)[0]
    for axes, scene in zip(every, args.scenes, strict=True):
        name, _, path = scene.partition("=")
        panel(axes, name, json.loads(Path(path).read_text()))
        axes.set_xlabel("file")
    every[0].set_ylabel("PSNR of held-out views, dB")
    figure.savefig(args.out)


if __name__ == "__main__":
    main()
