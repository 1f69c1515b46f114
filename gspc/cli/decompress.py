"""`gspc decompress`: a stream to a decoded scene."""

from __future__ import annotations

from typing import Annotated

import typer

from gspc.cli import console, options, targets

EXAMPLE = "gspc decompress scene.pcgs --upto 2 | gspc render"


def command(
    source: options.StreamInput = None,
    upto: options.Upto = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the decoded scene goes, a safetensors file; - or nothing writes to stdout.",
        ),
    ] = None,
    json_report: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Report what was decoded as JSON, on stdout, or on stderr when the scene goes to stdout.",
        ),
    ] = False,
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    force: options.Force = False,
) -> None:
    """Decode a stream up to a level.

    Needs nothing but the stream. A stream that is cut short gives its last whole level, with a warning.
    """
    import json

    target = targets.binary(output, "a decoded scene", force=force)
    memory = options.byte_count(max_memory)
    from gspc import pipeline

    data = pipeline.load_source(options.read_source(source), expect_stream=True)
    result = pipeline.decompress(data, upto=upto, threads=threads, max_memory=memory)
    restored = result.restored
    for warning in restored.warnings:
        console.warn(f"{data.name}: {warning}")
    target.write(result.data)
    if not json_report:
        return
    report = json.dumps(
        {
            "input": data.name,
            "level": restored.level,
            "levels": restored.levels_in_file,
            "truncated": restored.truncated,
            "anchors": len(restored.scene.anchors),
            "gaussians": int(restored.scene.gaussian_mask.sum()),
            "symbol_hash": restored.symbol_hash,
            "warnings": list(restored.warnings),
        }
    )
    if target.path is None:
        console.err(report)
    else:
        console.out(report)
