"""Rate-distortion curves as a picture. matplotlib comes with the `bjontegaard` package; it is loaded only
here and in `bit_map`, and only to draw."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

from gspc import extras
from gspc.pipeline.comparison import Arm, ArmDifference, Comparison

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#4c4c4c", "#0868ac", "#d95f02", "#1b9e77", "#7b3294", "#b2182b", "#8c6d1f", "#c51b8a")
MARKERS = "osD^vPX*"
UNITS = ((1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))
FONT: Any = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}


def plot_curves(comparison: Comparison) -> bytes:
    """PSNR over bytes (logarithmic) of every arm, as a PNG; points that others beat are hollow, and numbers
    beside points are levels."""
    extras.require("matplotlib", "a plot")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(FONT):
        figure = Figure(figsize=(7.2, 5.0), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        differences: list[ArmDifference | None] = [None, *comparison.differences]
        for index, (arm, difference) in enumerate(zip(comparison.arms, differences, strict=True)):
            color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
            _curve(axes, arm, color, marker, _label(arm, difference))
        if any(arm.beaten for arm in comparison.arms):
            axes.plot(
                [],
                [],
                linestyle="none",
                marker="o",
                markersize=5,
                markerfacecolor="white",
                color="#777777",
                label="left out: another point is no larger and no worse",
            )
        _rate_axis(axes, [point.size for arm in comparison.arms for point in (*arm.points, *arm.beaten)])
        kind = "held-out" if comparison.held_out else "training"
        count = len(comparison.views)
        axes.set_ylabel(f"PSNR in dB, {count} {kind} view{'s' * (count != 1)}")
        axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="#dddddd")
        return png(figure)


def png(figure: Figure) -> bytes:
    """The figure as a PNG file; the same figure gives the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def printable(text: str, longest: int = 48) -> str:
    """A name from the outside as text of a picture: no mathematics, no line ends, not too long."""
    clean = "".join(char if char.isprintable() else "?" for char in text).replace("$", r"\$")
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _label(arm: Arm, difference: ArmDifference | None) -> str:
    name = printable(arm.name)
    if difference is None or difference.rate.value is None:
        return name
    return f"{name}: BD-rate {difference.rate.value:+.1f} %"


def _curve(axes: Any, arm: Arm, color: str, marker: str, label: str) -> None:
    import numpy as np

    sizes = np.array([point.size for point in arm.points], dtype=np.float64)
    values = np.array([point.psnr for point in arm.points], dtype=np.float64)
    style = {"color": color, "linewidth": 1.8}
    if len(sizes) > 1:
        from scipy.interpolate import PchipInterpolator

        rates = np.linspace(np.log10(sizes[0]), np.log10(sizes[-1]), 200)
        axes.plot(10**rates, PchipInterpolator(np.log10(sizes), values)(rates), **style)
    axes.plot(sizes, values, linestyle="none", marker=marker, markersize=6, color=color)
    axes.plot([], [], marker=marker, markersize=6, label=label, **style)
    for point in (*arm.points, *arm.beaten):
        axes.annotate(
            str(point.level),
            (point.size, point.psnr),
            xytext=(5, -11),
            textcoords="offset points",
            fontsize=8,
            color=color,
        )
    if arm.beaten:
        axes.plot(
            [point.size for point in arm.beaten],
            [point.psnr for point in arm.beaten],
            linestyle="none",
            marker=marker,
            markersize=5,
            markerfacecolor="white",
            color=color,
            alpha=0.7,
        )


def _rate_axis(axes: Any, sizes: list[int]) -> None:
    """A logarithmic axis with few round numbers in units that suit them."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    low, high = min(sizes) / 1.12, max(sizes) * 1.12
    axes.set_xlim(low, high)
    unit, name = next(found for found in UNITS if max(sizes) >= found[0])
    axes.xaxis.set_major_locator(FixedLocator(round_numbers(low, high)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size / unit:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"{name} on disk (the number beside a point is its level)")


def round_numbers(low: float, high: float) -> list[float]:
    """Between 4 and 9 numbers within a range that are easy to read, spread as a logarithmic axis shows them:
    over decades 1, 2 and 5, over less equal steps."""
    if high / low > 8:
        for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
            decades = (10.0**power for power in range(13))
            ticks = [step * decade for decade in decades for step in steps if low <= step * decade <= high]
            if len(ticks) >= 4:
                return ticks
    for step in (step * 10.0**power for power in range(12, -3, -1) for step in (5, 2, 1)):
        first = math.ceil(low / step)
        ticks = [number * step for number in range(first, math.floor(high / step) + 1)]
        if len(ticks) >= 4:
            return ticks
    return [low, high]
