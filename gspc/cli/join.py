"""`gspc join`: streams of tiles to the index of one scene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gspc.cli import console, options, process, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import JoinedTiles

SAVES = 4096  # bytes that tiles may have in common without a word
EXAMPLE = "gspc join tiles/*.pcgs -o city.pcgsx"


Share = Annotated[
    Path | None,
    typer.Option(
        "--share",
        metavar="DIR",
        show_default=False,
        help="Write the tiles to DIR, beside the index or below, and what they have in common only once; the "
        "index then names no STREAM.",
    ),
]
Restore = Annotated[
    Path | None,
    typer.Option(
        "--restore",
        metavar="DIR",
        show_default=False,
        help="Write the whole streams of the tiles of an index, the one STREAM, to DIR; join nothing.",
    ),
]


def command(
    streams: Annotated[
        list[str],
        typer.Argument(
            metavar="STREAM...",
            show_default=False,
            help="Streams of tiles, in the index's folder or below; with --share anywhere.",
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", show_default=False, help="The index to write."),
    ] = None,
    share: Share = None,
    restore: Restore = None,
    json_report: options.Json = None,
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    max_work: options.MaxWork = None,
    force: options.Force = False,
) -> None:
    """Join streams of tiles to one scene.

    The result is an index (.pcgsx, see pcgsx(5)), which names the streams and says where each tile lies; they
    stay as they are. gspc render, view, inspect-bitstream and export take it in place of a stream.

    Tiles fitted from one coarse model (gspc tile --coarse) have grid, heads and networks in common. --share
    DIR writes a copy of all tiles in which these are stored once; the streams can be removed then, and
    --restore DIR writes them again, byte for byte, from an index in place of STREAM.
    """
    if restore is not None:
        _restore(streams, restore, output, share, json_report, force=force)
        return
    if output is None or targets.takes_anything(output):
        raise UsageError("an index names files beside it: name it with -o, such as -o city.pcgsx")
    memory = options.memory_limit(max_memory, max_work)
    for stream in streams:
        targets.refuse_source(Path(output), stream)
        targets.check(json_report, stream, force=force)
    target = targets.binary(output, "an index", force=force)
    process.limit_threads(threads)
    from gspc import pipeline

    if share is not None:
        pipeline.check_shared(share, force=force)
    with console.status(f"reading {len(streams)} tiles") as show:
        made = pipeline.join_tiles(
            streams,
            Path(output).parent,
            share=share,
            force=force,
            threads=threads,
            max_memory=memory,
            on_tile=lambda done: show(f"read {done} of {len(streams)} tiles"),
        )
    target.write(made.data)
    _say(made, output, json_report, force=force)


def _say(made: JoinedTiles, output: str, json_report: str | None, *, force: bool) -> None:
    """What was joined."""
    index = made.index
    totals = [index.total(level) for level in range(1, index.levels + 1)]
    sizes = ", ".join(f"{number}: {row.size:,}" for number, row in enumerate(totals, start=1))
    line = f"{output}: {len(index.tiles):,} tiles, {totals[-1].anchors:,} anchors; bytes up to level {sizes}"
    targets.note(line, json_report)
    if made.common > SAVES:
        console.note(
            f"{made.common:,} bytes of these could be saved: tiles have them in common; add --share DIR to "
            "store them once"
        )
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


def _restore(
    streams: list[str],
    folder: Path,
    output: str | None,
    share: Path | None,
    json_report: str | None,
    *,
    force: bool,
) -> None:
    """Writes the streams of an index's tiles."""
    if output is not None or share is not None or len(streams) != 1:
        raise UsageError("--restore takes one index and writes its tiles; leave out -o and --share")
    targets.check(json_report, streams[0], force=force)
    from gspc import pipeline

    index = pipeline.load_source(streams[0])
    with console.status("writing tiles"):
        written = pipeline.restore_tiles(index, folder, force=force)
    size = sum(path.stat().st_size for path in written)
    targets.note(f"{folder}: {len(written):,} streams, {size:,} bytes", json_report)
    values = {"input": index.name, "output": str(folder), "streams": len(written), "bytes": size}
    targets.report(json_report, values, stdout_taken=False, force=force)
