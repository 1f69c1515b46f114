"""`gspc tile`: a scene that is too large for one machine to folders that are not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gspc.cli import console, options, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import SplitReport

EXAMPLE = "gspc tile city -o tiles --grid 4x3"
MOST = 1024  # blocks along an axis

Grid = Annotated[
    str,
    typer.Option("--grid", metavar="CxR", help="Columns and rows of blocks, each with about as many points."),
]
Hold = Annotated[
    int,
    typer.Option(
        "--hold",
        metavar="N",
        min=0,
        help="Leave every Nth photograph by name, starting with the first, out of all tiles, to judge the "
        "joined scene by.",
    ),
]


def command(
    scene: Annotated[
        Path,
        typer.Argument(
            metavar="SCENE", show_default=False, help="Directory of photographs and cameras, as for gspc fit."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", show_default=False, help="Where the tiles' folders go."
        ),
    ] = None,
    grid: Grid = "2x2",
    hold: Hold = 0,
    coarse: Annotated[
        Path | None,
        typer.Option(
            "--coarse",
            metavar="MODEL.pt",
            help="Model of the whole scene, quickly fitted, from which the fits of all tiles start: they "
            "share its networks, grid and lattice.",
        ),
    ] = None,
    images: options.Images = None,
    masks: options.Masks = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what each block would have, and write nothing.")
    ] = False,
    json_report: options.Json = None,
    force: options.Force = False,
) -> None:
    """Split a large scene into tiles.

    The ground plane is divided into blocks with about as many points each. Every block becomes a folder,
    named after its column and row, that gspc fit takes: photographs taken in the block or that it changes,
    linked and not copied, and its points with those around it. gspc join unites the streams of the tiles.
    """
    if output is None and not dry_run:
        raise UsageError("name the folder of the tiles with -o, or ask with --dry-run what it would have")
    columns, rows = _grid(grid)
    targets.check(json_report, force=force)
    from gspc import pipeline
    from gspc.config import DataOptions

    with console.status("reading the scene"):
        report = pipeline.split_tiles(
            scene,
            output or scene,
            grid=(columns, rows),
            data=DataOptions(hold=hold, images=images, masks=masks),
            coarse=coarse,
            force=force,
            dry_run=dry_run,
        )
    options.say_notes(report.notes)
    if json_report is None or not targets.is_stdout(json_report):
        _show(report)
    values = _as_json(report, None if dry_run else output)
    targets.report(json_report, values, stdout_taken=False, force=force)
    if not dry_run:
        targets.note(f"{output}: {len(report.blocks)} tiles written", json_report)


def _grid(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})[x×](\d{1,4})", text.strip())
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= side <= MOST for side in sides):
        raise UsageError(f"--grid {text}: give columns and rows, such as 2x2; each from 1 to {MOST}")
    return sides


def _show(report: SplitReport) -> None:
    """A row for each block."""
    table = console.table("Tiles", "tile", ">photographs", ">taken inside", ">points", ">around it")
    for block in report.blocks:
        table.add_row(
            block.tile.name,
            f"{len(block.pictures):,}",
            f"{block.inside:,}",
            f"{block.own:,}",
            f"{block.halo:,}",
        )
    console.show(table)


def _as_json(report: SplitReport, output: Path | None) -> dict[str, Any]:
    return {
        "scene": report.scene,
        "output": None if output is None else str(output),
        "grid": list(report.grid),
        "photographs": report.photographs,
        "held_out": report.held_out,
        "points": report.points,
        "tiles": [block.to_plain() for block in report.blocks],
    }
