"""`gspc join`: streams of tiles to the index of one scene."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gspc.cli import console, options, process, targets
from gspc.errors import UsageError

EXAMPLE = "gspc join tiles/*.pcgs -o city.pcgsx"


def command(
    streams: Annotated[
        list[str],
        typer.Argument(
            metavar="STREAM...", show_default=False, help="Streams of tiles, in the index's folder or below."
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", show_default=False, help="The index to write."),
    ] = None,
    json_report: options.Json = None,
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    max_work: options.MaxWork = None,
    force: options.Force = False,
) -> None:
    """Join streams of tiles to one scene.

    The result is an index (.pcgsx, see pcgsx(5)), which names the streams and says where each tile lies; they
    stay as they are. gspc render, inspect-bitstream and export take it in place of a stream.
    """
    if output is None or targets.takes_anything(output):
        raise UsageError("an index names files beside it: name it with -o, such as -o city.pcgsx")
    memory = options.memory_limit(max_memory, max_work)
    for stream in streams:
        targets.refuse_source(Path(output), stream)
        targets.check(json_report, stream, force=force)
    target = targets.binary(output, "an index", force=force)
    process.limit_threads(threads)
    from gspc import pipeline

    with console.status(f"reading {len(streams)} tiles") as show:
        made = pipeline.join_tiles(
            streams,
            Path(output).parent,
            threads=threads,
            max_memory=memory,
            on_tile=lambda done: show(f"read {done} of {len(streams)} tiles"),
        )
    target.write(made.data)
    index = made.index
    totals = [index.total(level) for level in range(1, index.levels + 1)]
    sizes = ", ".join(f"{number}: {row.size:,}" for number, row in enumerate(totals, start=1))
    line = f"{output}: {len(index.tiles):,} tiles, {totals[-1].anchors:,} anchors; bytes up to level {sizes}"
    targets.note(line, json_report)
    values = {
        "output": output,
        "bytes": len(made.data),
        "tiles": len(index.tiles),
        "levels": index.levels,
        "bytes_up_to_level": [row.size for row in totals],
        "anchors": totals[-1].anchors,
        "gaussians": totals[-1].gaussians,
        "largest_reach": max(tile.reach for tile in index.tiles),
    }
    targets.report(json_report, values, stdout_taken=False, force=force)
