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
    json_report: options.Json = None,
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    force: options.Force = False,
) -> None:
    """Decode a stream up to a level.

    Needs nothing but the stream. A stream that is cut short gives its last whole level, with a warning.
    """
    target = targets.binary(output, "a decoded scene", force=force, source=source)
    targets.check(json_report, source, force=force)
    memory = options.byte_count(max_memory)
    from gspc import pipeline

    data = options.load(source)
    result = pipeline.decompress(data, upto=upto, threads=threads, max_memory=memory)
    restored = result.restored
    for warning in restored.warnings:
        console.warn(f"{data.name}: {warning}")
    target.write(result.data)
    console.detail(
        f"{target.name}: level {restored.level} of {restored.levels_in_file}, "
        f"{len(restored.scene.anchors):,} anchors, {len(result.data):,} bytes"
    )
    values = {
        "input": data.name,
        "level": restored.level,
        "levels": restored.levels_in_file,
        "truncated": restored.truncated,
        "anchors": len(restored.scene.anchors),
        "gaussians": int(restored.scene.gaussian_mask.sum()),
        "symbol_hash": restored.symbol_hash,
        "warnings": list(restored.warnings),
    }
    targets.report(json_report, values, stdout_taken=target.path is None, force=force)
