"""`gspc inspect-bitstream`: what a stream is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gspc.cli import console, options

if TYPE_CHECKING:
    from gspc.pipeline import Inspection

EXAMPLE = "gspc inspect-bitstream scene.pcgs --json"
SHOWN_CHUNKS = 40  # rows of the chunk table before it is shortened; --json lists all


def command(
    source: options.Input = None,
    json_report: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    rates: Annotated[
        bool,
        typer.Option(
            "--rates", help="Decode, too: bits per symbol, and what the coder adds to its model's bits."
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Verify every checksum and length; exit 4 when anything is damaged."),
    ] = False,
    threads: options.Threads = 0,
) -> None:
    """Show the header, the chunks and where the bytes go.

    Reads the container only; nothing is decoded unless --rates asks for it.
    """
    from gspc import pipeline
    from gspc.errors import BitstreamError

    result = pipeline.inspect(options.read_source(source), rates=rates, threads=threads)
    if json_report:
        import json

        console.out(json.dumps(as_json(result), indent=2))
    else:
        _show(result)
    for problem in result.problems:
        console.warn(f"{result.source}: {problem}")
    if check and result.problems:
        whole = f" or use level {result.whole_levels} of it" if result.whole_levels else ""
        raise BitstreamError(f"{result.source}: is damaged; get the file again{whole}")
    if check:
        console.note(f"{result.source}: {len(result.chunks)} chunks verified, no damage")


def as_json(result: Inspection) -> dict[str, Any]:
    """The inspection as it is written with --json."""
    return {
        "source": result.source,
        "kind": result.kind,
        "bytes": result.size,
        "levels": result.levels,
        "whole_levels": result.whole_levels,
        "header": dict(result.facts),
        "bytes_up_to_level": list(result.prefix_bytes),
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
    }


def _show(result: Inspection) -> None:
    from rich.table import Table

    facts = Table.grid(padding=(0, 2))
    for name, value in result.facts:
        facts.add_row(name, console.clean(value))
    levels = f"{result.levels} level{'s' if result.levels > 1 else ''}"
    if result.kind == "scene":
        levels = f"level {result.whole_levels} of {result.levels}"
    elif result.whole_levels < result.levels:
        levels += f", {result.whole_levels} whole"
    what = {"pcgs": "stream", "scene": "decoded scene", "model": "model, as it compresses"}[result.kind]
    console.show(
        console.clean(f"{result.source}: {what}, {result.size:,} bytes, {levels}"),
        facts,
        _parts(result),
    )
    if result.rates:
        console.show(_rates(result))
    if result.chunks:
        console.show(_chunks(result))


def _parts(result: Inspection) -> Any:
    """Bytes per component and level with bars, and the size of the file up to each level."""
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
            console.clean(part.name),
            f"{part.size:,}",
            f"{share:.1f}",
            console.bar(part.size / largest),
        )
    table.add_section()
    for level, size in enumerate(result.prefix_bytes, start=1):
        table.add_row(
            str(level), "file up to here", f"{size:,}", f"{100.0 * size / max(result.size, 1):.1f}", ""
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
            table.add_row(str(level), rate.name, f"{rate.symbols:,}", bits, f"{rate.bits / 8:,.0f}", "")
        model, coded = sum(rate.bits for rate in rows) / 8, result.coded_bytes(level)
        added = f"{coded:,} ({100.0 * (coded / model - 1):+.2f} %)" if model else f"{coded:,}"
        count = sum(rate.symbols for rate in rows)
        table.add_row(str(level), "all", f"{count:,}", f"{8 * model / count:.4f}", f"{model:,.0f}", added)
        table.add_section()
    return table


def _chunks(result: Inspection) -> Any:
    table = console.table("Chunks", "tag", ">level", ">slice", ">offset", ">bytes", "")
    for chunk in result.chunks[:SHOWN_CHUNKS]:
        table.add_row(
            console.clean(chunk.tag),
            "" if chunk.level is None else str(chunk.level),
            "" if chunk.slice is None else str(chunk.slice),
            f"{chunk.offset:,}",
            f"{chunk.size:,}",
            console.clean(chunk.status),
        )
    hidden = len(result.chunks) - SHOWN_CHUNKS
    if hidden > 0:
        table.caption = f"and {hidden} more; --json lists all"
        table.caption_justify = "left"
    return table
