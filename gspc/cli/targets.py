"""Where a command's binary result goes: a file, whole or not at all, or stdout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gspc.cli import console
from gspc.output import check_target, write_atomically, writing


@dataclass(frozen=True)
class Target:
    """A checked output; `path` is None for stdout."""

    path: Path | None
    stream: BinaryIO | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return "stdout" if self.path is None else str(self.path)

    def write(self, data: bytes) -> None:
        """Writes the result. Raises OutputError."""
        if self.path is not None:
            write_atomically(self.path, data)
            return
        assert self.stream is not None
        with writing("stdout"):
            self.stream.write(data)
            self.stream.flush()


def binary(name: str | None, what: str, *, force: bool) -> Target:
    """The output `-o` names ('-' and nothing: stdout), checked before any work. Raises OutputError.

    `what` is written there, as in 'a stream', and never to a terminal.
    """
    if name is None or name == "-":
        return Target(None, console.binary_stdout(what))
    check_target(Path(name), force=force)
    return Target(Path(name))


def check(name: str | None, *, force: bool) -> None:
    """Refuses a report's file that could not be written, before any work. Raises OutputError."""
    if name not in (None, "-"):
        check_target(Path(str(name)), force=force)


def text(name: str, content: str, *, force: bool) -> None:
    """Writes a report to a file or, for '-', to stdout. Raises OutputError."""
    if name == "-":
        console.out(content.rstrip("\n"))
    else:
        check_target(Path(name), force=force)
        write_atomically(Path(name), content.encode())
