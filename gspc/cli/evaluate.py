"""`gspc eval`: quality and size per level, and curves against each other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gspc.cli import aggregate, compare, console, options, process, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import Evaluation, LevelScore, ViewScore

EXAMPLE = "gspc eval scene.pcgs --data photos --json scores.json"


Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="A .pcgs stream, decoded scene or model.pt, recognized by content; - or nothing reads "
        "stdin. With --compare, two arms or more; with --aggregate, reports.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        "-d",
        metavar="DIR",
        help="The photographs, or the splat, that the scene was made from. Required, except with --compare "
        "and --aggregate.",
    ),
]
CompareArms = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Compare curves of quality over size. Each INPUT is an arm: a file that --json wrote, or "
        "several with + between. NAME=A.json+B.json names the arm. The first one is the reference.",
    ),
]
Aggregate = Annotated[
    bool,
    typer.Option(
        "--aggregate",
        help="Put the scores of several scenes, files that --json wrote, into one table.",
    ),
]
Table = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="With --aggregate: the table, as CSV, JSON or Markdown by its suffix .csv, .json or .md.",
    ),
]
Plot = Annotated[
    str | None,
    typer.Option("--plot", metavar="FILE.png", help="With --compare: draw the curves; - for stdout."),
]
Levels = Annotated[
    str | None,
    typer.Option(
        "--levels", metavar="A,B,...|last", help="Levels to evaluate or to compare; by default all."
    ),
]
Views = Annotated[bool, typer.Option("--views", help="Show every view, too.")]
CsvFile = Annotated[
    str | None, typer.Option("--csv", metavar="FILE", help="Write all figures as CSV; - for stdout.")
]
PageFile = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Write a page with the curve, pictures beside the photographs, error maps and where the bytes "
        "go; one file that opens without network. - for stdout.",
    ),
]
Hold = Annotated[
    int | None,
    typer.Option(
        "--hold",
        metavar="N",
        help="Compare with every Nth view by name; by default with those that training held out. Views that "
        "the scene itself keeps for tests are taken as they are.",
    ),
]
Background = Annotated[
    options.Background | None,
    typer.Option(
        "--background",
        metavar="auto|white|black",
        help="Color behind transparent pixels and the scene; by default as in training.",
    ),
]

AllViews = Annotated[bool, typer.Option("--all", help="Score all views, those that were trained on, too.")]


def command(
    inputs: Inputs = None,
    data: Data = None,
    compare_arms: CompareArms = False,
    plot: Plot = None,
    aggregated: Aggregate = False,
    output: Table = None,
    levels: Levels = None,
    upto: options.Upto = None,
    views: Views = False,
    json_report: options.Json = None,
    csv_file: CsvFile = None,
    page: PageFile = None,
    resolution: options.Resolution = None,
    images: options.Images = None,
    hold: Hold = None,
    background: Background = None,
    masks: options.Masks = None,
    field: options.FieldOfView = None,
    exif: options.ExifWish = None,
    cache: options.PhotoCache = None,
    strict: options.Strict = False,
    cameras: options.TeacherCameras = None,
    all_views: AllViews = False,
    device: options.RenderDevice = "cpu",
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    max_work: options.MaxWork = None,
    force: options.Force = False,
) -> None:
    """Compare a scene with photographs, or with the splat it was made from, level by level.

    The photographs are those that training held out, so that it did not see them. Sizes are bytes of the file
    that ends with a level (gspc compress --levels). A model is compared as the stream that it compresses to.

    --compare draws nothing. It takes the scores of earlier runs, makes a curve of quality over size of each
    group of them, an arm, and prints how the curves differ from the first one (Bjontegaard differences).

    --aggregate makes one table of the scores of several scenes.
    """
    wanted = _levels(levels, upto)
    photographs = views or any(value is not None for value in (data, page, resolution, images, hold))
    if aggregated:
        _refuse("--aggregate", photographs or compare_arms or plot is not None)
        aggregate.run(inputs or [], wanted, output, json_report, csv_file, force=force)
        return
    if compare_arms:
        _refuse("--compare", photographs or output is not None)
        compare.run(inputs or [], wanted, json_report, csv_file, plot, force=force)
        return
    source, data = _check_asked(inputs or [], data, plot, output)
    _check_reports((json_report, csv_file, page), source, force=force)
    process.limit_threads(threads)
    from gspc import pipeline

    album = None if page is None else pipeline.Album()
    with console.status("evaluating") as report:
        result = pipeline.evaluate(
            options.load(source),
            data,
            resolution=resolution,
            hold=hold,
            background=background,
            images=images,
            masks=masks,
            field=field,
            exif=exif,
            cache=cache,
            strict=strict,
            cameras=cameras,
            all_views=all_views,
            levels=wanted,
            device=device,
            threads=threads,
            max_memory=options.memory_limit(max_memory, max_work),
            report=report,
            album=album,
        )
    _report(result, json_report, csv_file, page, views=views, force=force)
    _write_page(page, result, album, force=force)


def _write_page(page: str | None, result: Evaluation, album: Any, *, force: bool) -> None:
    """The report with its pictures, where one was asked for."""
    from gspc import pipeline

    if page is not None and album is not None:
        targets.text(page, pipeline.report_page(as_json(result), album, result.warnings), force=force)


def _refuse(name: str, wrong: bool) -> None:
    """Raises UsageError for options that a way to read scores does not take."""
    if wrong:
        raise UsageError(
            f"{name} reads scores; it takes no --data, --views, --report, --resolution or the like"
        )


def _check_asked(
    inputs: list[str], data: Path | None, plot: str | None, output: str | None
) -> tuple[str | None, Path]:
    """The scene to compare with photographs, and these. Raises UsageError for what makes no sense there."""
    if output is not None:
        raise UsageError("-o names the table of --aggregate; --json and --csv write scores")
    if plot is not None:
        raise UsageError("--plot draws the curves of --compare; add that and two reports or more")
    if data is None:
        raise UsageError("--data is missing: name the directory with the photographs")
    if len(inputs) > 1:
        raise UsageError(f"one INPUT at a time, not {len(inputs)}; --compare takes several reports")
    return inputs[0] if inputs else None, data


def _report(
    result: Evaluation,
    json_report: str | None,
    csv_file: str | None,
    page: str | None,
    *,
    views: bool,
    force: bool,
) -> None:
    for warning in result.warnings:
        console.warn(f"{result.source}: {warning}")
    options.say_notes(result.notes)
    if not result.held_out:
        console.note(f"{result.data}: views that were trained on are among these")
    if not any(name is not None and targets.is_stdout(name) for name in (json_report, csv_file, page)):
        _show(result, views=views)  # first: a report that cannot be written does not lose the table
    targets.report(json_report, as_json(result), stdout_taken=False, force=force)
    if csv_file is not None:
        targets.text(csv_file, as_csv(result), force=force)


def _levels(levels: str | None, upto: int | None) -> tuple[int, ...] | Literal["last"] | None:
    if levels is None:
        return None if upto is None else tuple(range(1, upto + 1))
    if upto is not None:
        raise UsageError("--levels and --upto say the same thing; give one")
    if levels == "last":
        return "last"
    parts = levels.split(",")
    if not all(part.isdecimal() and 1 <= int(part) <= 255 for part in parts):
        raise UsageError(f"--levels {levels}: give whole numbers with commas between, such as 1,3, or last")
    return tuple(sorted({int(part) for part in parts}))


def _check_reports(names: tuple[str | None, ...], source: str | None, *, force: bool) -> None:
    """Refuses impossible outputs before minutes of rendering."""
    given = [name for name in names if name is not None]
    if len(set(given)) < len(given):
        raise UsageError("--json, --csv and --report cannot write to the same place")
    for name in given:
        targets.check(name, source, force=force)


def _finite(value: float | None) -> float | None:
    """JSON has no infinity, the PSNR of equal images."""
    return value if value is not None and math.isfinite(value) else None


def as_json(result: Evaluation) -> dict[str, Any]:
    """The evaluation as it is written to --json."""

    def scores(row: LevelScore | ViewScore) -> dict[str, Any]:
        return {"psnr": _finite(row.psnr), "ssim": _finite(row.ssim), "lpips": _finite(row.lpips)}

    def spent(level: LevelScore) -> dict[str, Any]:
        if level.bytes is None:
            return {}
        return {"components": dict(level.bytes.components), "attributes": dict(level.bytes.attributes)}

    def one_view(view: ViewScore) -> dict[str, Any]:
        return {"view": view.view} | scores(view) | ({"size": list(view.size)} if any(view.size) else {})

    return {
        "source": result.source,
        "data": result.data,
        "made_with": result.made_with,
        "views": "test" if result.held_out else "train",
        "lpips_status": result.lpips_status,
        "levels": [
            {"level": level.level, "bytes": level.size}
            | spent(level)
            | scores(level)
            | {"views": [one_view(view) for view in level.views]}
            for level in result.levels
        ],
    }


def as_csv(result: Evaluation) -> str:
    """One row per level (view empty) and per view."""
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["level", "view", "psnr", "ssim", "lpips", "bytes"])
    for level in result.levels:
        writer.writerow([level.level, "", level.psnr, level.ssim, _blank(level.lpips), _blank(level.size)])
        for view in level.views:
            writer.writerow([level.level, view.view, view.psnr, view.ssim, _blank(view.lpips), ""])
    return buffer.getvalue()


def _blank(value: float | None) -> float | str:
    return "" if value is None else value


def _cells(row: LevelScore | ViewScore) -> tuple[str, str, str]:
    return f"{row.psnr:.2f}", f"{row.ssim:.4f}", "n/a" if row.lpips is None else f"{row.lpips:.4f}"


def _show(result: Evaluation, *, views: bool) -> None:
    kind = "held-out views" if result.held_out else "training views"
    count = len(result.levels[0].views)
    made = f" ({result.made_with})" if result.made_with else ""
    title = f"{result.source}{made}: {count} {kind} of {result.data}"
    table = console.table(title, ">level", ">PSNR dB", ">SSIM", ">LPIPS", ">bytes on disk")
    for level in result.levels:
        table.add_row(str(level.level), *_cells(level), "n/a" if level.size is None else f"{level.size:,}")
    shown: list[Any] = [table]
    if views:
        rows = console.table("", ">level", "view", ">PSNR dB", ">SSIM", ">LPIPS")
        for level in result.levels:
            for view in level.views:
                rows.add_row(str(level.level), view.view, *_cells(view))
        shown.append(rows)
    console.show(*shown)
    if any(level.lpips is None for level in result.levels):
        console.note(result.lpips_status)
