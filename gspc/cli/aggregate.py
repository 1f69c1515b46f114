"""`gspc eval --aggregate`: the scores of several scenes in one table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gspc.cli import console, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import Aggregation, SceneLevel

COLUMNS = ("scene", "level", "bytes", "psnr", "ssim", "lpips")


def run(
    files: list[str],
    levels: tuple[int, ...] | Literal["last"] | None,
    output: str | None,
    json_file: str | None,
    csv_file: str | None,
    *,
    force: bool,
) -> None:
    """Makes the table and writes it where it was asked for, else to stdout as a terminal shows it."""
    outputs = [name for name in (output, json_file, csv_file) if name is not None]
    if len(set(outputs)) < len(outputs):
        raise UsageError("-o, --json and --csv cannot write to the same place")
    write = None if output is None else _writer(output)
    for name in outputs:
        targets.check(name, *files, force=force)
    from gspc import pipeline

    table = pipeline.aggregate(files, levels=levels)
    if not outputs:
        _show(table)
    targets.report(json_file, as_json(table), stdout_taken=False, force=force)
    if csv_file is not None:
        targets.text(csv_file, as_csv(table), force=force)
    if output is not None and write is not None:
        targets.text(output, write(table), force=force)


def as_json(table: Aggregation) -> dict[str, Any]:
    """The table as JSON has it."""
    return {"scenes": [asdict(row) for row in table.rows], "means": [asdict(row) for row in table.means]}


def as_csv(table: Aggregation) -> str:
    """One row per scene and level, then the means."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in (*table.rows, *table.means):
        writer.writerow(["" if value is None else value for value in asdict(row).values()])
    return buffer.getvalue()


def as_markdown(table: Aggregation) -> str:
    """The same rows, rounded for reading."""
    rows = [_cells(row) for row in (*table.rows, *table.means)]
    lines = [("scene", "level", "bytes", "PSNR dB", "SSIM", "LPIPS"), ("---", *["---:"] * 5), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


WRITERS: Mapping[str, Callable[[Aggregation], str]] = {
    ".csv": as_csv,
    ".json": lambda table: json.dumps(as_json(table), indent=1) + "\n",
    ".md": as_markdown,
}


def _writer(output: str) -> Callable[[Aggregation], str]:
    suffix = Path(output).suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(f"-o {output}: give a name that ends in {', '.join(WRITERS)}")
    return WRITERS[suffix]


def _cells(row: SceneLevel) -> tuple[str, ...]:
    def number(value: float | None, digits: str) -> str:
        return "n/a" if value is None else format(value, digits)

    return (
        row.scene.replace("|", "\\|"),
        str(row.level),
        number(row.bytes, ","),
        number(row.psnr, ".2f"),
        number(row.ssim, ".4f"),
        number(row.lpips, ".4f"),
    )


def _show(table: Aggregation) -> None:
    shown = console.table("", "scene", ">level", ">bytes", ">PSNR dB", ">SSIM", ">LPIPS")
    for row in (*table.rows, *table.means):
        shown.add_row(*_cells(row))
    console.show(shown)
