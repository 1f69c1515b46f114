"""`gspc export`: a scene in the formats that other tools read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gspc.cli import console, options, process, targets
from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline import Exported, Source

EXAMPLE = "gspc export scene.pcgs -o scene.ply"
META = "meta.json"
PAGE = "html"

Input = Annotated[
    str | None,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="A .pcgs stream, decoded scene, model.pt or a splat of another tool, recognized by content; "
        "- or nothing reads stdin.",
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|-",
        help="The file to write; its suffix says the format. meta.json writes a SOG's files beside it; - "
        "writes to stdout.",
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help="ply, compressed.ply, spz, sog, glb, splat or html, where the suffix does not say it.",
    ),
]
Degree = Annotated[
    int, typer.Option("--sh", metavar="0-3", min=0, max=3, help="Degree of the spherical harmonics.")
]
Refine = Annotated[
    int,
    typer.Option(
        "--refine", metavar="N", min=0, help="Steps of training against the scene's pictures; try 100."
    ),
]
Frame = Annotated[
    str | None,
    typer.Option(
        "--frame",
        metavar="XYZ",
        help="Where x, y and z of the file point, such as RDF (right, down, forward) or RUB; by default "
        "as usual for the format.",
    ),
]
SourceFrame = Annotated[
    str | None,
    typer.Option("--source-frame", metavar="XYZ", help="The same for a splat that is read."),
]
SpzVersion = Annotated[
    int,
    typer.Option("--spz-version", metavar="3|4", min=3, max=4, help="SPZ 3 is read by more tools."),
]
NoCheck = Annotated[
    bool,
    typer.Option("--no-check", help="Do not compare pictures of the file with those of the scene."),
]


def command(
    source: Input = None,
    output: Output = "-",
    to: To = None,
    upto: options.Upto = None,
    region: options.Region = None,
    sh: Degree = 3,
    refine: Refine = 0,
    frame: Frame = None,
    source_frame: SourceFrame = None,
    spz_version: SpzVersion = 3,
    no_check: NoCheck = False,
    json_report: options.Json = None,
    threads: options.Threads = 0,
    max_memory: options.MaxMemory = options.DEFAULT_MEMORY,
    max_work: options.MaxWork = None,
    force: options.Force = False,
) -> None:
    """Write a scene in the formats that other tools read.

    The result is plain Gaussians, for viewers, engines and libraries. Anchors become Gaussians with spherical
    harmonics, fitted to what the suggested cameras see. Splats of other tools are converted.

    A .pcgs stream as .html is one page with the scene, all its levels and a viewer inside; it opens without a
    server or a network.
    """
    memory = options.memory_limit(max_memory, max_work)
    unbundled = Path(output).name == META
    target = None if unbundled else targets.binary(output, "a splat", force=force, source=source)
    targets.check(json_report, source, force=force)
    process.limit_threads(threads)
    from gspc import pipeline

    kind = _format(to, output)
    if kind == PAGE:
        assert target is not None
        if region is not None:
            raise UsageError("--region means nothing for a page, which holds the stream as it is")
        return _page(options.load(source), target, upto=upto, json_report=json_report, force=force)
    wanted = pipeline.ExportOptions(
        to=kind,
        upto=upto,
        degree=sh,
        refine=refine,
        frame=frame,
        source_frame=source_frame,
        spz_version=spz_version,
        check=not no_check,
    )
    data, rest = options.load_part(source, upto=upto, region=region, threads=threads, max_memory=memory)
    box = options.region_numbers(region) if data.kind == "tiles" else None
    wanted = replace(wanted, upto=rest, region=box)
    with console.status("exporting") as report:
        result = pipeline.export(data, wanted, threads=threads, max_memory=memory, report=report)
    for warning in result.warnings:
        console.warn(f"{data.name}: {warning}")
    if target is None:
        pipeline.write_unbundled(result.data, Path(output).parent, force=force)
    else:
        target.write(result.data)
    where = output if target is None else target.name
    targets.note(f"{where}: {_line(result)}", json_report)
    values = as_json(result, data.name, where)
    targets.report(json_report, values, stdout_taken=where == "stdout", force=force)


def _format(to: str | None, output: str) -> str:
    """What to write, from --to or the suffix. Raises UsageError."""
    from gspc import pipeline

    known = (*pipeline.writable_formats(), PAGE)
    by_suffix = PAGE if output.lower().endswith(f".{PAGE}") else pipeline.format_for(output)
    found = to.lower().lstrip(".") if to is not None else by_suffix
    if found in known:
        return str(found)
    names = ", ".join(known)
    if to is not None:
        raise UsageError(f"--to {to}: no such format; choose one of {names}")
    if output == "-":
        raise UsageError(f"stdout has no suffix; say the format with --to, one of {names}")
    raise UsageError(f"-o {output}: its suffix names no format; add --to, one of {names}")


def _page(
    data: Source, target: targets.Target, *, upto: int | None, json_report: str | None, force: bool
) -> None:
    """Writes a stream as a page with its viewer."""
    from gspc import pipeline

    made = pipeline.page(data, upto=upto)
    for warning in made.warnings:
        console.warn(f"{data.name}: {warning}")
    target.write(made.data)
    size = len(made.data)
    targets.note(f"{target.name}: {size:,} bytes, a page with levels 1 to {made.levels}", json_report)
    values = {"input": data.name, "output": target.name, "format": PAGE, "bytes": size, "levels": made.levels}
    targets.report(json_report, values, stdout_taken=target.path is None, force=force)


def _line(result: Exported) -> str:
    """The report in a sentence."""
    parts = [
        f"{len(result.data):,} bytes, {result.gaussians:,} Gaussians, harmonics of degree {result.degree}",
        f"axes {result.frame}",
    ]
    if result.check is not None:
        found = result.check
        parts.append(f"{found.psnr:.2f} dB from the scene over {found.views} views, worst {found.worst:.2f}")
    return "; ".join(parts)


def as_json(result: Exported, source: str, where: str) -> dict[str, object]:
    """The report as it is written with --json; psnr in dB, null without the check."""
    found = result.check
    return {
        "input": source,
        "output": where,
        "format": result.format,
        "bytes": len(result.data),
        "gaussians": result.gaussians,
        "degree": result.degree,
        "frame": result.frame,
        "level": result.level,
        "levels": result.levels,
        "psnr": None if found is None else found.psnr,
        "worst_psnr": None if found is None else found.worst,
        "views": None if found is None else found.views,
        "warnings": list(result.warnings),
    }
