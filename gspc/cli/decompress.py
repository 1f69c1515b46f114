"""`gspc decompress`: a stream to a decoded scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gspc.cli import console, options, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import Losses

EXAMPLE = "gspc decompress scene.pcgs --upto 2 | gspc render"


def command(
    source: options.StreamInput = None,
    upto: options.Upto = None,
    region: options.Region = None,
    salvage: Annotated[
        bool,
        typer.Option(
            "--salvage", help="Decode what is left of a damaged stream, and say what is lost of it."
        ),
    ] = False,
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
    max_work: options.MaxWork = None,
    force: options.Force = False,
) -> None:
    """Decode a stream up to a level.

    Needs nothing but the stream, or its address on the web. A stream that is cut short gives its last whole
    level, with a warning. Pipes and addresses are read as far as needed.
    """
    target = targets.binary(output, "a decoded scene", force=force, source=source)
    targets.check(json_report, source, force=force)
    memory = options.memory_limit(max_memory, max_work)
    from gspc import pipeline

    wanted: dict[str, Any] = {"upto": upto, "region": options.region_numbers(region)}
    wanted |= {"threads": threads, "max_memory": memory}
    if salvage:
        if region is not None:
            raise UsageError("--salvage and --region do not go together")
        data = options.load(source)
        name = data.name
        result = pipeline.salvage(data, upto=upto, threads=threads, max_memory=memory)
        _warn(name, result.losses)
    elif source in (None, "-"):
        name = "stdin"
        result = pipeline.decompress_pipe(name, console.stdin_pieces(options.NOTHING_GIVEN), **wanted)
    elif region is not None or pipeline.is_address(source):
        name = str(source)
        result = pipeline.decompress(name, **wanted)
    else:
        data = options.load(source)
        name = data.name
        result = pipeline.decompress(data, **wanted)
    restored = result.restored
    for warning in restored.warnings:
        console.warn(f"{name}: {warning}")
    target.write(result.data)
    console.detail(
        f"{target.name}: level {restored.level} of {restored.levels_in_file}, "
        f"{len(restored.scene.anchors):,} anchors, {len(result.data):,} bytes"
    )
    values = {
        "input": name,
        "level": restored.level,
        "levels": restored.levels_in_file,
        "truncated": restored.truncated,
        "anchors": len(restored.scene.anchors),
        "gaussians": int(restored.scene.gaussian_mask.sum()),
        "symbol_hash": restored.symbol_hash,
        "warnings": list(restored.warnings),
    } | ({} if result.losses is None else {"losses": _as_json(result.losses)})
    targets.report(json_report, values, stdout_taken=target.path is None, force=force)


def _warn(name: str, losses: Losses | None) -> None:
    """What is lost, on stderr."""
    if losses is None:
        return
    if losses.chunks:
        console.warn(f"{name}: lost: {', '.join(losses.chunks)}")
    for level in losses.levels:
        left = f"{level.slices - len(level.lost)} of {level.slices} slices"
        line = f"level {level.level}: {left}, {level.anchors_left:,} of {level.anchors:,} anchors"
        (console.warn if level.lost else console.note)(f"{name}: {line}")
    console.note(f"{name}: {100 * losses.share:.1f} % of the anchors are restored")


def _as_json(losses: Losses) -> dict[str, Any]:
    return {
        "chunks": list(losses.chunks),
        "levels": [
            {
                "level": level.level,
                "slices": level.slices,
                "lost_slices": list(level.lost),
                "anchors": level.anchors,
                "anchors_restored": level.anchors_left,
            }
            for level in losses.levels
        ],
        "anchor_share": losses.share,
    }
