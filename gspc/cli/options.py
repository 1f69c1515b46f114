"""Options that several subcommands share, and the readers of their values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gspc.choices import Background, Exif, HeadsBackend, LensField, Precision
from gspc.cli import console
from gspc.cli.command import COMMON
from gspc.errors import UsageError
from gspc.format.limits import MAX_MEMORY

__all__ = ["Background", "Exif", "HeadsBackend", "LensField", "Precision"]

if TYPE_CHECKING:
    from gspc.pipeline import Note, Source


PHOTOGRAPHS = "How photographs are read"  # section of help

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.", rich_help_panel=COMMON),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        is_eager=True,  # what --version prints depends on it
        help="Say what is done: inputs, steps, libraries' warnings.",
        rich_help_panel=COMMON,
    ),
]
Stats = Annotated[
    bool,
    typer.Option("--stats", help="Print wall time and peak memory on stderr.", rich_help_panel=COMMON),
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Print the traceback of an error.", rich_help_panel=COMMON)
]


def with_common_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds -q, -v, --stats and --debug to a command, so that they may stand after its name too."""
    extra = {"quiet": Quiet, "verbose": Verbose, "stats": Stats, "debug": Debug}

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        console.settings.ask(**{name: arguments.pop(name) for name in extra})
        command(**arguments)

    signature = inspect.signature(command, eval_str=True)
    parameters = [
        *signature.parameters.values(),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
            for name, kind in extra.items()
        ),
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {
        "return": None
    }
    return run


Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite an existing output.")]
MAX_THREADS = 4096
Threads = Annotated[
    int,
    typer.Option(
        "--threads", metavar="N", min=0, max=MAX_THREADS, help="Threads to use; 0 takes every core at hand."
    ),
]
MOST_LEVELS = 2**31 - 1  # that can be asked for; streams say how many they have
Upto = Annotated[
    int | None,
    typer.Option(
        "--upto", metavar="LEVEL", min=1, max=MOST_LEVELS, help="Stop after this level, counted from 1."
    ),
]
Input = Annotated[
    str | None,
    typer.Argument(
        metavar="INPUT",
        show_default=False,
        help="A .pcgs stream, decoded scene or model.pt, recognized by content; - or nothing reads stdin.",
    ),
]
StreamInput = Annotated[
    str | None,
    typer.Argument(metavar="INPUT", show_default=False, help="A .pcgs stream; - or nothing reads stdin."),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        metavar="X0,Y0,Z0,X1,Y1,Z1",
        help="Only the anchors in this box, in the coordinates of the cameras; of a file or address nothing "
        "else is read.",
    ),
]
RenderDevice = Annotated[
    str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to render; cuda needs gspc[cuda].")
]
Resolution = Annotated[
    int | None,
    typer.Option(
        "--resolution",
        "-r",
        metavar="R",
        help="1, 2, 4 or 8 divides the photographs' size, anything else is their width in pixels. By default "
        "wider ones are scaled to 1600.",
        rich_help_panel=PHOTOGRAPHS,
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        "--images",
        metavar="DIR",
        help="Directory of the photographs, if not images/.",
        rich_help_panel=PHOTOGRAPHS,
    ),
]
Masks = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        metavar="DIR|none",
        help="Directory of masks (NAME.png or NAME.png.png, black does not count), if not masks/ beside the "
        "photographs; none ignores all masks.",
        rich_help_panel=PHOTOGRAPHS,
    ),
]
FieldOfView = Annotated[
    LensField | None,
    typer.Option(
        "--field",
        metavar="full|crop",
        help="Of photographs whose lens bends lines: keep all they show, with pixels that do not count "
        "around it, or crop them to a rectangle. Default: full.",
        rich_help_panel=PHOTOGRAPHS,
    ),
]
ExifWish = Annotated[
    Exif | None,
    typer.Option(
        "--exif",
        metavar="auto|apply|ignore",
        help="Whether EXIF orientations turn photographs; auto lets the cameras' sizes decide. "
        "Default: auto.",
        rich_help_panel=PHOTOGRAPHS,
    ),
]
PhotoCache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        metavar="DIR",
        help="Keep straightened photographs in this directory for good.",
        rich_help_panel=PHOTOGRAPHS,
    ),
]
TeacherCameras = Annotated[
    Path | None,
    typer.Option(
        "--cameras",
        metavar="DIR",
        help="Of a splat: see it from the cameras of this scene's directory; by default cameras are placed.",
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse scenes of which a photograph is missing or damaged.",
        rich_help_panel=PHOTOGRAPHS,
    ),
]
Json = Annotated[
    str | None,
    typer.Option(
        "--json",
        metavar="[FILE]",
        help="Report as JSON: into FILE.json, or else on stdout; on stderr where stdout carries the result.",
    ),
]
MaxMemory = Annotated[
    str,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="Refuse what takes more memory than this to decode or to draw, such as 500MB or 2GiB.",
    ),
]
MaxWork = Annotated[
    float | None,
    typer.Option(
        "--max-work",
        metavar="SECONDS",
        min=0.001,
        max=1e9,
        show_default=False,
        help="Refuse streams that take more work than this to decode, in seconds of one slow processor; by "
        "default the size of a stream decides, and what was made from a scene is far below.",
    ),
]
KINDS = {
    "pcgs": "stream",
    "scene": "decoded scene",
    "model": "model",
    "splats": "splat of another tool",
    "tiles": "index of tiles",
}
DEFAULT_MEMORY = f"{MAX_MEMORY >> 30}GiB"  # of --max-memory


def say_notes(notes: Iterable[Note]) -> None:
    """What was found in a scene's folder, on stderr."""
    for note in notes:
        (console.warn if note.warning else console.note)(note.text)


def load(name: str | None) -> Source:
    """The input an argument names: a file, or stdin for '-' and nothing. Raises UsageError, InputError."""
    from gspc import pipeline

    given = name not in (None, "-")
    found = pipeline.load_source(Path(str(name)) if given else console.stdin_bytes(NOTHING_GIVEN))
    console.detail(f"{found.name}: {KINDS[found.kind]}, {len(found.data):,} bytes")
    return found


NOTHING_GIVEN = "no input: name a file, or pipe one in"


def load_part(
    name: str | None, *, upto: int | None, region: str | None, threads: int, max_memory: int
) -> tuple[Source, int | None]:
    """`load`, and what is still to be done for `upto`.

    Of a web address, or with a region, what is asked for is decoded at once, and nothing else is read. Of an
    index of tiles nothing is decoded yet: it is the same whatever the region.
    """
    from gspc import pipeline

    if (region is None and not pipeline.is_address(name)) or pipeline.is_tiles(name):
        return load(name), upto
    box = region_numbers(region)
    found = str(name) if name not in (None, "-") else console.stdin_bytes(NOTHING_GIVEN)
    restored = pipeline.restore_part(found, upto=upto, region=box, threads=threads, max_memory=max_memory)
    shown = str(name or "stdin")
    for warning in restored.warnings:
        console.warn(f"{shown}: {warning}")
    return pipeline.as_scene(restored, shown), None


def region_numbers(text: str | None) -> tuple[float, ...] | None:
    """'0,0,0,1,1,2' as numbers; UsageError for anything else."""
    return _numbers(text, "--region", "give six numbers with commas between, x0,y0,z0,x1,y1,z1")


def rate_weights(text: str | None) -> tuple[float, ...] | None:
    """'4e-3,1e-3,2e-4' as numbers; UsageError for anything else."""
    return _numbers(text, "--rate-weights", "give numbers with commas between, such as 0.004,0.001,0.0002")


def _numbers(text: str | None, option: str, advice: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text}: {advice}") from None


def memory_limit(max_memory: str, max_work: float | None) -> int:
    """Bytes of --max-memory. --max-work holds from here on for whatever this process decodes."""
    if max_work is not None:
        from gspc import pipeline

        pipeline.limit_work(max_work)
    return byte_count(max_memory)


def byte_count(text: str, option: str = "--max-memory") -> int:
    """'500MB' (powers of ten), '4GiB' (powers of two) or plain bytes as a number of bytes."""
    units = {"": 1, "b": 1}
    for power, letter in enumerate("kmg", start=1):
        units |= {letter: 1000**power, f"{letter}b": 1000**power, f"{letter}ib": 1024**power}
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(digits) :].strip().lower()
    try:
        count = float(digits) * units[unit]
    except (ValueError, KeyError):
        count = 0.0
    if not 1 <= count < 2**63:
        raise UsageError(f"{option} {text}: give a size such as 500MB, 8MiB or 300k")
    return int(count)
