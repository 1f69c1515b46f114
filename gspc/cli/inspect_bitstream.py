"""`gspc inspect-bitstream`: what a stream is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gspc.cli import console, options, targets
from gspc.errors import BitstreamError, UsageError

if TYPE_CHECKING:
    from gspc.pipeline import Breakdown, Inspection, Source

EXAMPLE = "gspc inspect-bitstream scene.pcgs --json"
KINDS = {
    "pcgs": "stream",
    "scene": "decoded scene",
    "model": "model, as it compresses",
    "splats": "splat of another tool",
    "tiles": "index of tiles",
}


def command(
    source: options.Input = None,
    json_report: options.Json = None,
    rates: Annotated[
        bool,
        typer.Option(
            "--rates", help="Decode, and show the bits each number takes, and those its model promised."
        ),
    ] = False,
    levels: Annotated[
        bool,
        typer.Option(
            "--levels",
            help="Decode, and show what each level adds: anchors, Gaussians, and bytes of new and of refined "
            "values.",
        ),
    ] = False,
    chunks: Annotated[
        bool, typer.Option("--chunks", help="List the chunks: where in the file they lie, and their damage.")
    ] = False,
    bit_map: Annotated[
        str | None,
        typer.Option(
            "--map",
            metavar="FILE.png",
            help="Draw where in the scene the bits of each level go; - for stdout. Takes seconds.",
        ),
    ] = None,
    view: Annotated[
        str | None,
        typer.Option(
            "--view", metavar="NAME|INDEX", help="The suggested view that --map draws; by default the first."
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Check checksums and lengths, and decode all levels; exit with 4 when anything is damaged.",
        ),
    ] = False,
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    max_work: options.MaxWork = None,
    force: options.Force = False,
) -> None:
    """Show what a file is made of.

    That is the size of the file up to each level, the header, and the bytes of each part at each level; of a
    splat of another tool its format, counts and extent. Nothing of a stream is decoded unless --rates,
    --levels, --map or --check ask for it.
    """
    from gspc import pipeline

    memory = options.memory_limit(max_memory, max_work)
    picture = _map_target(bit_map, view, source, json_report=json_report, force=force)
    targets.check(json_report, source, force=force)
    given = options.load(source)
    stream = pipeline.as_stream(given, threads=threads)
    result = pipeline.inspect(
        stream, rates=rates, levels=levels, threads=threads, max_memory=memory, check=check
    )
    if picture is not None:
        picture.write(pipeline.draw_bit_map(stream, view=view, threads=threads, max_memory=memory))
    map_on_stdout = picture is not None and picture.path is None
    if not map_on_stdout and not (json_report is not None and targets.is_stdout(json_report)):
        _show(result, chunks=chunks)
    targets.report(json_report, as_json(result), stdout_taken=False, force=force)
    for problem in result.problems:
        console.warn(f"{result.source}: {problem}")
    if check:
        _check(stream, result)


def _check(stream: Source, result: Inspection) -> None:
    """Raises BitstreamError for a damaged file, with advice."""
    from gspc import pipeline

    whole, problem = (result.levels, None) if stream.kind != "pcgs" else pipeline.sound_levels(stream)
    if problem is not None and not any(problem.startswith(known) for known in result.problems):
        console.warn(f"{result.source}: {problem}")
    if result.problems or problem is not None:
        levels = f"use its sound levels with --upto {whole}" if whole else "see what --salvage restores"
        raise BitstreamError(f"{result.source}: is damaged; get the file again, or {levels}")
    what = "every tile" if result.kind == "tiles" else f"{len(result.chunks)} chunks"
    console.note(f"{result.source}: {what} verified, no damage")


def _map_target(
    bit_map: str | None, view: str | None, source: str | None, *, json_report: str | None, force: bool
) -> targets.Target | None:
    if bit_map is None:
        if view is not None:
            raise UsageError("--view says what --map draws; give both")
        return None
    if targets.is_stdout(bit_map) and json_report is not None and targets.is_stdout(json_report):
        raise UsageError("--map - and --json cannot both write to stdout")
    if not targets.takes_anything(bit_map) and not bit_map.lower().endswith(".png"):
        raise UsageError(f"--map {bit_map}: the picture is a PNG; give a name that ends in .png")
    return targets.binary(bit_map, "a picture", force=force, source=source)


def as_json(result: Inspection) -> dict[str, Any]:
    """The inspection as it is written with --json."""
    return {
        "source": result.source,
        "kind": result.kind,
        "bytes": result.size,
        "levels": result.levels,
        "whole_levels": result.whole_levels,
        "header": dict(result.values),
        "bytes_up_to_level": list(result.prefix_bytes),
        "drawn_at_level": [{"anchors": row.anchors, "gaussians": row.gaussians} for row in result.rows],
        "components": [{"name": part.name, "level": part.level, "bytes": part.size} for part in result.parts],
        "rates": [
            {"level": rate.level, "name": rate.name, "symbols": rate.symbols, "model_bits": rate.bits}
            for rate in result.rates
        ],
        "chunks": [
            {
                "tag": chunk.tag,
                "level": chunk.level,
                "slice": chunk.slice,
                "offset": chunk.offset,
                "bytes": chunk.size,
                "status": chunk.status,
            }
            for chunk in result.chunks
        ],
        "problems": list(result.problems),
    } | (_breakdown_json(result.breakdown) if result.breakdown else {})


def _breakdown_json(found: Breakdown) -> dict[str, Any]:
    return {
        "by_level": [
            {
                "level": row.level,
                "anchors": row.anchors,
                "anchor_share": row.anchor_share,
                "gaussians": row.gaussians,
                "gaussian_share": row.gaussian_share,
                "bytes": row.size,
                "parts": [
                    {"name": part.name, "how": part.how or None, "bytes": part.size} for part in row.parts
                ],
            }
            for row in found.levels
        ],
        "features_against_others": [
            {
                "up_to_level": row.level,
                "feature_bytes": row.features,
                "symbol_bytes": row.symbols,
                "pool_grid_bytes": row.pool_grid,
                "shared_grid_bytes": row.shared_grid,
                "other_bytes": row.others,
            }
            for row in found.features
        ],
    }


def _show(result: Inspection, *, chunks: bool) -> None:
    levels = f"{result.levels} level{'s' if result.levels > 1 else ''}"
    if result.kind == "scene":
        levels = f"level {result.whole_levels} of {result.levels}"
    elif result.whole_levels < result.levels:
        levels += f", {result.whole_levels} whole"
    what = KINDS[result.kind]
    console.show(f"{result.source}: {what}, {result.size:,} bytes, {levels}")
    if result.rows:
        console.show(_summary(result))
    console.show(console.facts(result.facts), _parts(result))
    if result.rates:
        console.show(_rates(result))
    if result.breakdown:
        console.show(*_by_level(result.breakdown), *_features(result.breakdown))
        if any(row.shared_grid for row in result.breakdown.features):
            console.note("the pool shares its grid with the contexts; it is counted under everything else")
    if chunks and result.chunks:
        console.show(_chunks(result))


def _summary(result: Inspection) -> Any:
    """What the file up to the end of each level is."""
    table = console.table("Levels", ">level", ">anchors", ">Gaussians", ">file up to here", ">%")
    for level, (size, row) in enumerate(zip(result.prefix_bytes, result.rows, strict=True), start=1):
        share = f"{100.0 * size / max(result.size, 1):.1f}"
        table.add_row(str(level), f"{row.anchors:,}", f"{row.gaussians:,}", f"{size:,}", share)
    return table


def _parts(result: Inspection) -> Any:
    """Bytes per component and level with bars."""
    table = console.table("Where the bytes go", ">level", "component", ">bytes", ">%", "")
    largest = max((part.size for part in result.parts), default=0) or 1
    previous: int | None = -1
    for part in result.parts:
        label = ""
        if part.level != previous:
            table.add_section()
            label = str(part.level) if part.level else "all"
        previous = part.level
        share = 100.0 * part.size / max(result.size, 1)
        table.add_row(
            label,
            part.name,
            f"{part.size:,}",
            f"{share:.1f}",
            console.bar(part.size / largest),
        )
    return table


def _rates(result: Inspection) -> Any:
    """Bits per symbol by kind, and per level the bytes in the file against those the tables promise."""
    table = console.table(
        "What symbols cost", ">level", "symbols", ">count", ">bits each", ">model bytes", ">coded"
    )
    for level in sorted({rate.level for rate in result.rates}):
        rows = [rate for rate in result.rates if rate.level == level]
        for rate in rows:
            bits = f"{rate.bits / rate.symbols:.4f}"
            name = rate.name.removeprefix("refined_")
            name += ", refined" * (name != rate.name)
            table.add_row(str(level), name, f"{rate.symbols:,}", bits, f"{rate.bits / 8:,.0f}", "")
        model, coded = sum(rate.bits for rate in rows) / 8, result.coded_bytes(level)
        added = f"{coded:,} ({100.0 * (coded / model - 1):+.2f} %)" if model else f"{coded:,}"
        count = sum(rate.symbols for rate in rows)
        table.add_row(str(level), "all", f"{count:,}", f"{8 * model / count:.4f}", f"{model:,.0f}", added)
        table.add_section()
    return table


def _by_level(found: Breakdown) -> list[Any]:
    """Shares of anchors and Gaussians that are alive, and the bytes each level adds."""
    rows: list[list[str] | None] = [
        ["anchors alive", *(f"{row.anchors:,}" for row in found.levels)],
        ["  of all", *(f"{100 * row.anchor_share:.1f} %" for row in found.levels)],
        ["Gaussians alive", *(f"{row.gaussians:,}" for row in found.levels)],
        ["  of all", *(f"{100 * row.gaussian_share:.1f} %" for row in found.levels)],
        None,
    ]
    sizes = [{(part.name, part.how): part.size for part in row.parts} for row in found.levels]
    known = dict.fromkeys(key for size in sizes for key in size)
    for name, how in sorted(known, key=lambda key: ("new", "refined", "").index(key[1])):
        cells = [size.get((name, how)) for size in sizes]
        label = name + (f", {how} ({'G' if how == 'new' else 'T'})" if how else "")
        rows.append([label, *("" if cell is None else f"{cell:,}" for cell in cells)])
    rows += [None, ["all", *(f"{row.size:,}" for row in found.levels)]]
    levels = [f">{row.level}" for row in found.levels]
    return console.tables("What each level adds, in bytes", ["level", *levels], rows)


def _features(found: Breakdown) -> list[Any]:
    """Features, with the pool they are predicted from, against everything else, in the file up to a level."""
    what = "residual features" if found.residual else "features"
    rows: list[tuple[str, list[int]]] = [(what, [row.symbols for row in found.features])]
    if any(row.pool_grid for row in found.features):
        rows.append(("feature pool's grid", [row.pool_grid for row in found.features]))
        rows.append(("features, all", [row.features for row in found.features]))
    rows.append(("everything else", [row.others for row in found.features]))
    totals = [row.features + row.others for row in found.features]
    cells = [
        [name] + [f"{size:,} ({100 * size / total:.1f} %)" for size, total in zip(sizes, totals, strict=True)]
        for name, sizes in rows
    ]
    levels = [f">{row.level}" for row in found.features]
    return console.tables("Features against everything else, file up to a level", ["level", *levels], cells)


def _chunks(result: Inspection) -> Any:
    table = console.table("Chunks", "tag", ">level", ">slice", ">offset", ">bytes", "")
    for chunk in result.chunks:
        table.add_row(
            chunk.tag,
            "" if chunk.level is None else str(chunk.level),
            "" if chunk.slice is None else str(chunk.slice),
            f"{chunk.offset:,}",
            f"{chunk.size:,}",
            chunk.status,
        )
    return table
