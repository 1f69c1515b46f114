"""`gspc eval --compare`: Bjontegaard differences between rate-distortion curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from gspc.cli import console, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import Comparison, Point
    from gspc.pipeline.comparison import Difference


def run(
    arms: list[str],
    levels: tuple[int, ...] | Literal["last"] | None,
    json_file: str | None,
    csv_file: str | None,
    plot: str | None,
    *,
    force: bool,
) -> None:
    """Compares, and writes what was asked for; the tables go to stdout unless something else does."""
    outputs = [name for name in (json_file, csv_file, plot) if name is not None]
    if len(set(outputs)) < len(outputs):
        raise UsageError("--json, --csv and --plot cannot write to the same place")
    if plot not in (None, "-") and not str(plot).lower().endswith(".png"):
        raise UsageError(f"--plot {plot}: the picture is a PNG; give a name that ends in .png")
    picture = None if plot is None else targets.binary(plot, "a picture", force=force)
    reports = [file for arm in arms for file in (arm.partition("=")[2] or arm).split("+")]
    for name in (json_file, csv_file, plot):
        targets.check(name, *reports, force=force)
    from gspc import pipeline

    result = pipeline.compare(arms, levels=levels)
    for warning in result.warnings:
        console.warn(warning)
    if not any(targets.is_stdout(name) for name in outputs):
        _show(result)  # first: a report that cannot be written does not lose the tables
    targets.report(json_file, as_json(result), stdout_taken=False, force=force)
    if csv_file is not None:
        targets.text(csv_file, as_csv(result), force=force)
    if picture is not None:
        picture.write(pipeline.plot_curves(result))


def as_json(result: Comparison) -> dict[str, Any]:
    """The comparison as it is written to --json."""

    def point(one: Point) -> dict[str, Any]:
        return {
            "file": one.file,
            "level": one.level,
            "bytes": one.size,
            "fixed_bytes": one.fixed,
            "psnr": one.psnr,
        }

    def difference(one: Difference | None) -> dict[str, Any] | None:
        if one is None:
            return None
        return {"value": one.value, "overlap": one.overlap, "why_not": one.why or None}

    return {
        "reference": result.reference.name,
        "views": "test" if result.held_out else "train",
        "view_names": list(result.views),
        "arms": [
            {
                "name": arm.name,
                "files": list(arm.files),
                "points": [point(one) for one in arm.points],
                "left_out": [point(one) for one in arm.beaten],
            }
            for arm in result.arms
        ],
        "differences": [
            {
                "arm": row.arm,
                "bd_rate_percent": difference(row.rate),
                "bd_psnr_db": difference(row.psnr),
                "bd_rate_percent_without_fixed": difference(row.rate_without_fixed),
                "bd_psnr_db_without_fixed": difference(row.psnr_without_fixed),
            }
            for row in result.differences
        ],
        "warnings": list(result.warnings),
    }


def as_csv(result: Comparison) -> str:
    """One row per arm but the first; where there is no figure its reason stands beside."""
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = ("bd_rate_percent", "bd_psnr_db", "bd_rate_percent_without_fixed", "bd_psnr_db_without_fixed")
    writer.writerow(["arm", "reference", *(part for name in names for part in (name, f"{name}_why_not"))])
    for row in result.differences:
        cells: list[Any] = []
        for one in (row.rate, row.psnr, row.rate_without_fixed, row.psnr_without_fixed):
            cells += ["", "not in the reports"] if one is None else [_blank(one.value), one.why]
        writer.writerow([row.arm, result.reference.name, *cells])
    return buffer.getvalue()


def _blank(value: float | None) -> float | str:
    return "" if value is None else value


def _figure(one: Difference | None, form: str) -> str:
    if one is None:
        return "n/a"
    return f"n/a: {one.why}" if one.value is None else form.format(one.value)


def _span(sizes: list[int]) -> str:
    if not sizes:
        return "n/a"
    return f"{min(sizes):,}" + (f" to {max(sizes):,}" if max(sizes) > min(sizes) else "")


def _show(result: Comparison) -> None:
    count = len(result.views)
    kind = f"{'held-out' if result.held_out else 'training'} view{'s' * (count != 1)}"
    curves = console.table(
        f"Curves over {count} {kind}", "arm", ">points", ">bytes on disk", ">PSNR dB", ">fixed bytes"
    )
    for arm in result.arms:
        sizes = [point.size for point in arm.points]
        values = [point.psnr for point in arm.points]
        fixed = [point.fixed for point in arm.points if point.fixed is not None]
        curves.add_row(
            arm.name,
            f"{len(arm.points)} of {len(arm.points) + len(arm.beaten)}" if arm.beaten else str(len(sizes)),
            _span(sizes),
            f"{min(values):.2f} to {max(values):.2f}" if sizes else "",
            (f"{min(fixed):,}" + (f" to {max(fixed):,}" if max(fixed) > min(fixed) else ""))
            if fixed
            else "n/a",
        )
    title = f"Bjontegaard differences from {result.reference.name}"
    table = console.table(title, "arm", "counting", ">BD-rate", ">BD-PSNR")
    for row in result.differences:
        cells = _figure(row.rate, "{:+.2f} %"), _figure(row.psnr, "{:+.3f} dB")
        table.add_row(row.arm, "all bytes", *cells)
        if row.rate_without_fixed is not None:
            figures = row.rate_without_fixed, row.psnr_without_fixed
            cells = _figure(figures[0], "{:+.2f} %"), _figure(figures[1], "{:+.3f} dB")
            table.add_row("", "without fixed bytes", *cells)
    console.show(curves, table)
