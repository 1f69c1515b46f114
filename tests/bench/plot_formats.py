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


def size(value: float, _position: int = 0) -> str:
    """Bytes for people."""
    unit, name = next((unit, name) for unit, name in UNITS if value >= unit)
    return f"{value / unit:g} {name}"


def panel(axes: Axes, name: str, rows: list[dict[str, Any]]) -> None:
    """One scene."""
    ours = [row for row in rows if row["what"].startswith("pcgs")]
    axes.plot([row["bytes"] for row in ours], [row["psnr"] for row in ours], "o-", color=COLORS[1], ms=5)
    last = ours[-1]
    axes.annotate(
        "pcgs, by level", (last["bytes"], last["psnr"]), (0, 7), textcoords="offset points", ha="center"
    )
    for row in rows:
        if row["what"] in OTHERS:
            name_of, above = OTHERS[row["what"]]
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
