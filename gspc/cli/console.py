"""All printing: data on stdout, everything else on stderr. Rich is loaded only where it draws something."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from gspc.errors import InputError, OutputError, UsageError
from gspc.output import output_error, writing

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

PIPED_WIDTH = 10_000  # columns of a table that goes to a file or a pipe: more than any of ours takes


@dataclass
class Settings:
    """What -q, -v, --debug and --stats of the running command ask for."""

    debug: bool = False
    stats: bool = False
    quiet: bool = False
    verbose: bool = False
    arguments: tuple[str, ...] = ()  # the whole command line
    started: float = field(default_factory=time.monotonic)

    def ask(self, *, quiet: bool, verbose: bool, stats: bool, debug: bool) -> None:
        """Adds what is asked for before or after a command's name. Raises UsageError for -q with -v."""
        self.quiet |= quiet
        self.verbose |= verbose
        self.stats |= stats
        self.debug |= debug
        if self.quiet and self.verbose:
            raise UsageError("-q asks for less and -v for more; give one")


settings = Settings()


def clean(text: object, keep: str = "") -> str:
    """Text with ? for every character that does not print, except those of `keep`.

    Text may come from a file, whoever wrote that: control characters could steer the terminal. Everything in
    this module that prints goes through here. Bytes of a file's name that are no UTF-8 (surrogates, PEP 383)
    are spelled as in addresses, such as %E4: a file called by ? is not found.
    """
    return "".join(char if char.isprintable() or char in keep else _spelled(char) for char in str(text))


def _spelled(char: str) -> str:
    return f"%{ord(char) - 0xDC00:02X}" if "\udc80" <= char <= "\udcff" else "?"


def _say(text: str, keep: str = "") -> None:
    try:
        print(clean(text, keep), file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:  # a stderr that takes nothing must not keep a result from being written
        pass


def say(text: str) -> None:
    """A line on stderr, also with -q."""
    _say(f"gspc: {text}")


def note(text: str) -> None:
    """A line of information on stderr, unless -q."""
    if not settings.quiet:
        say(text)


def detail(text: str) -> None:
    """A line about what is done, on stderr, with -v only."""
    if settings.verbose:
        say(text)


def warn(text: str) -> None:
    """A line about something the user should know, on stderr."""
    _say(f"gspc: warning: {text}")


def error(text: str) -> None:
    """The one line that says why the command failed, on stderr."""
    _say(f"gspc: error: {text}")


def trace() -> None:
    """The traceback of the error being handled, on stderr (--debug)."""
    import traceback

    _say(traceback.format_exc().rstrip("\n"), keep="\n")


def library_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """What Python's `warnings` show of the libraries we use: nothing, but with -v and --debug a line each.

    They are made for programmers, and printed as they are they would be no messages of ours.
    """
    if settings.debug or settings.verbose:
        warn(f"{category.__name__}: {message}")


def err(text: str) -> None:
    """A machine-readable line on stderr, where stdout carries binary data."""
    _say(text)


def out(text: str) -> None:
    """Text that is the command's result, on stdout; may have several lines. Raises OutputError."""
    with writing("stdout"):
        print(clean(text, keep="\n"))


def stats() -> None:
    """Wall time and peak memory of this process, on stderr (--stats)."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak *= 1 if sys.platform == "darwin" else 1024
    _say(
        f"gspc: stats: {time.monotonic() - settings.started:.2f} s wall time, {peak / 1e6:.0f} MB peak memory"
    )


def stdout_console() -> Console:
    """A rich console on stdout; where that is no terminal, lines are as long as they need to be."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(width=width, highlight=False, markup=False, emoji=False)


def stderr_console() -> Console:
    """A rich console on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def show(*renderables: RenderableType) -> None:
    """Lines, and tables made by `table` or `facts`, on stdout. Raises OutputError."""
    console = stdout_console()
    terminal = console.width
    with writing("stdout"), console.capture() as captured:
        for renderable in renderables:
            if isinstance(renderable, str):
                console.print(clean(renderable), soft_wrap=True)
            else:
                console.width = max(terminal, _least_width(console, renderable))
                console.print(renderable)
    text = captured.get()
    if not sys.stdout.isatty():  # rich pads the lines of a table to its width
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    with writing("stdout"):
        sys.stdout.write(text)


def _least_width(console: Console, renderable: RenderableType) -> int:
    """Columns below which a table would lose text. On a narrower terminal its lines wrap instead."""
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(width=PIPED_WIDTH), renderable).minimum


class _CleanCells:
    """Wraps what a table is given."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def add_row(self, *cells: object) -> None:
        """A row; cells may hold text from files."""
        from rich.cells import cell_len

        texts = [clean(cell) for cell in cells]
        for column, text in zip(self.table.columns, texts, strict=False):
            if column.no_wrap:
                column.min_width = max(column.min_width or 0, cell_len(text))
        self.table.add_row(*texts)

    def add_section(self) -> None:
        """A line below the last row."""
        self.table.add_section()

    def __rich__(self) -> Table:
        return self.table


def table(title: str, *columns: str) -> _CleanCells:
    """An empty table; column names that start with '>' are right-aligned, and never wrapped or cut."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    heading = Text(clean(title), no_wrap=True, overflow="ignore") if title else None  # as long as it is
    result = Table(title=heading, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        right = column.startswith(">")
        name = clean(column.removeprefix(">"))
        width = cell_len(name) if right else None
        result.add_column(name, justify="right" if right else "left", no_wrap=right, min_width=width)
    return _CleanCells(result)


def tables(title: str, columns: Sequence[str], rows: Sequence[Sequence[str] | None]) -> list[_CleanCells]:
    """A table whose first column names its rows; None stands for a line between rows.

    Where a terminal is too narrow for all columns there are several tables, one below the other, with the
    first column in each.
    """
    console = stdout_console()
    left, found = 1, []
    while left < len(columns):
        for end in range(len(columns), left, -1):
            one = table(title if left == 1 else "", columns[0], *columns[left:end])
            one.table.columns[0].no_wrap = True
            for row in rows:
                if row is None:
                    one.add_section()
                else:
                    one.add_row(row[0], *row[left:end])
            if end == left + 1 or _least_width(console, one) <= console.width:
                break
        found.append(one)
        left = end
    return found


def facts(rows: Iterable[tuple[str, str]]) -> _CleanCells:
    """Names and values side by side."""
    from rich.table import Table

    result = _CleanCells(Table.grid(padding=(0, 2)))
    for row in rows:
        result.add_row(*row)
    return result


def bar(part: float, width: int = 24) -> str:
    """A bar of up to `width` cells for a fraction in 0..1; plain ASCII where stdout cannot show blocks."""
    blocks = " ▏▎▍▌▋▊▉█" if (sys.stdout.encoding or "").lower().startswith("utf") else " #"
    steps = len(blocks) - 1
    eighths = round(max(0.0, min(part, 1.0)) * width * steps)
    if part > 0:
        eighths = max(eighths, 1)
    return blocks[-1] * (eighths // steps) + (blocks[eighths % steps] if eighths % steps else "")


def size(count: float) -> str:
    """Bytes for people, in powers of ten."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}" if count >= 100 else f"{count:.2f} {unit}"
    return f"{count / 1000:.2f} GB"


def stdin_bytes(reason: str) -> bytes:
    """All of stdin; `reason` says what is expected when it is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(reason)
    try:
        return sys.stdin.buffer.read()
    except OSError as problem:
        raise InputError(f"stdin: cannot be read ({problem.strerror or problem})") from problem


def stdin_pieces(reason: str) -> Callable[[int], bytes]:
    """What reads stdin as it comes: some bytes, at most so many, none at the end."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(reason)
    stdin: Any = sys.stdin.buffer  # has read1, which its type does not say

    def read(size: int) -> bytes:
        try:
            return stdin.read1(size)
        except OSError as problem:
            raise InputError(f"stdin: cannot be read ({problem.strerror or problem})") from problem

    return read


def binary_stdout(what: str) -> BinaryIO:
    """Stdout for binary data. Raises OutputError when it is a terminal or closed."""
    if _only_reads(sys.stdout):
        raise output_error("stdout", OSError(errno.EBADF, "closed"))
    if sys.stdout.isatty():
        raise OutputError(
            f"stdout: {what} is binary and stdout a terminal; name a file with -o or pipe it on"
        )
    return sys.stdout.buffer


def _only_reads(stream: TextIO) -> bool:
    """Whether nothing can be written to a stream, which is how `settle_streams` leaves a closed stdout."""
    try:
        return fcntl.fcntl(stream.fileno(), fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    except (OSError, ValueError):  # a stream of Python's own, without a descriptor
        return False


def settle_streams() -> None:
    """Gives the process three standard streams that lose nothing without an error.

    A stream that the caller closed (`2>&-`) is opened on nothing: the next file that is opened would take
    its number, and messages would end up in that file. Writing to a closed stdout fails; a closed stderr
    takes everything. An unbuffered stdout (PYTHONUNBUFFERED) gets a buffer, since its writes may stop half
    way at a full disk or a closed pipe without an error.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free, which is this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  lives as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        sys.stdout.flush()
        buffered = io.BufferedWriter(sys.stdout.buffer)
        sys.stdout = io.TextIOWrapper(buffered, sys.stdout.encoding, sys.stdout.errors, line_buffering=True)


def discard_stdout() -> None:
    """Points stdout and stderr to nowhere if their reader is gone, so that the last flush is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def status(text: str) -> Iterator[Callable[[str], None]]:
    """A spinner with a changing text on a terminal's stderr; elsewhere silent, or with -v a line for each
    text."""
    if settings.verbose or settings.quiet or not sys.stderr.isatty():
        detail(text)
        yield detail
        return
    with stderr_console().status(clean(text)) as spinner:
        yield lambda line: spinner.update(clean(line))
