"""`gspc compress`: a model, or the first levels of a stream, to a stream."""

from __future__ import annotations

from typing import Annotated

import typer

from gspc.cli import console, options, process, targets
from gspc.format.shape import Coder

EXAMPLE = "gspc compress model.pt --levels 3 -o scene.pcgs"

Levels = Annotated[
    int | None,
    typer.Option(
        "--levels",
        metavar="L",
        min=1,
        help="Of a model: levels to write, 1 to 8, by default up to 6, from a small first one to all that "
        "pays. Of a .pcgs, or a model of a preset that does not rank, such as pcgs: the first L, by default "
        "all.",
    ),
]
MaxSize = Annotated[
    str | None,
    typer.Option(
        "--max-size",
        metavar="SIZE",
        help="Write what fits into this size, such as 8MB or 500k: of a model the anchors, "
        "refinements and Gaussians of most use, of a .pcgs as many levels as fit and of the next one the "
        "parts of the scene that fit.",
    ),
]


def command(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="INPUT",
            show_default=False,
            help="A model.pt, or a .pcgs to take levels from; - or nothing reads stdin.",
        ),
    ] = None,
    levels: Levels = None,
    max_size: MaxSize = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The stream to write; - or nothing writes to stdout."
        ),
    ] = None,
    coder: Annotated[
        Coder,
        typer.Option(
            "--coder",
            help="What turns the numbers into bytes. torchac, of the extra gspc[torchac], is slow and there "
            "to compare with.",
        ),
    ] = "lanes",
    parity: Annotated[
        bool | None,
        typer.Option(
            "--parity/--no-parity",
            help="Add, or leave out, what --salvage restores damaged bytes from: a third of a percent of the "
            "file. By default the stream of a model has it, and a .pcgs keeps what it has.",
            show_default=False,
        ),
    ] = None,
    json_report: options.Json = None,
    threads: options.Threads = 0,
    force: options.Force = False,
) -> None:
    """Write a model as a progressive stream.

    A stream (.pcgs) holds the scene in levels, from coarse to fine, and everything that is needed to draw
    them. Of a model every level adds what is of most use by then, and what is not worth its bytes is left
    out. Given a .pcgs this keeps the first levels of it; the model is not needed then.
    """
    most = None if max_size is None else options.byte_count(max_size, "--max-size")
    target = targets.binary(output, "a stream", force=force, source=source)
    targets.check(json_report, source, force=force)
    process.limit_threads(threads)
    from gspc import pipeline

    data = options.load(source)
    result = pipeline.compress(
        data, levels=levels, max_size=most, threads=threads, coder=coder, parity=parity
    )
    for warning in result.warnings:
        console.warn(f"{data.name}: {warning}")
    target.write(result.data)
    sizes = ", ".join(f"{level + 1}: {size:,}" for level, size in enumerate(result.level_bytes))
    left_out = f"{result.levels} of {result.available} levels, " * (most is not None)
    if result.slices is not None:
        left_out += f"the last with {result.slices[0]} of {result.slices[1]} slices, "
    line = f"{target.name}: {left_out}{len(result.data):,} bytes; up to level {sizes}"
    targets.note(line, json_report)
    values = {
        "input": data.name,
        "output": target.name,
        "bytes": len(result.data),
        "levels": result.levels,
        "levels_available": result.available,
        "bytes_up_to_level": list(result.level_bytes),
        "max_size": most,
        "slices_of_last_level": None if result.slices is None else list(result.slices),
        "coder": coder,
        "warnings": list(result.warnings),
    }
    targets.report(json_report, values, stdout_taken=target.path is None, force=force)
