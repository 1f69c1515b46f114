"""`gspc compress`: a model, or the first levels of a stream, to a stream."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from gspc.cli import console, options, process, targets

EXAMPLE = "gspc compress model.pt --levels 3 -o scene.pcgs"


class Coder(StrEnum):
    """What codes the symbols."""

    lanes = "lanes"
    torchac = "torchac"


def command(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="INPUT",
            show_default=False,
            help="A model.pt, or a .pcgs to take levels from; - or nothing reads stdin.",
        ),
    ] = None,
    levels: Annotated[
        int | None,
        typer.Option("--levels", metavar="L", min=1, help="Write the first L levels; by default all."),
    ] = None,
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
            help="What codes the symbols: torchac, from the extra gspc[torchac], is slow and for comparison.",
        ),
    ] = Coder.lanes,
    threads: options.Threads = 0,
    force: options.Force = False,
) -> None:
    """Write a model as a progressive stream.

    The stream holds everything it needs; from a .pcgs only the first levels are kept, without the model.
    """
    target = targets.binary(output, "a stream", force=force)
    process.limit_threads(threads)
    from gspc import pipeline

    data = pipeline.load_source(options.read_source(source))
    result = pipeline.compress(data, levels=levels, threads=threads, coder=coder.value)
    for warning in result.warnings:
        console.warn(f"{data.name}: {warning}")
    target.write(result.data)
    sizes = ", ".join(f"{level + 1}: {size:,}" for level, size in enumerate(result.level_bytes))
    console.note(f"{target.name}: {len(result.data):,} bytes; up to level {sizes}")
