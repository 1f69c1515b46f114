"""Where a command's binary result goes: a file, whole or not at all, or stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from gspc.cli import console
from gspc.errors import OutputError
from gspc.output import check_target, descriptor_of, same_file, write_atomically, writing


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


def binary(name: str | None, what: str, *, force: bool, source: str | None = None) -> Target:
    """The output `-o` names ('-', /dev/stdout and nothing: stdout), checked before any work.

    `what` is written there, as in 'a stream', and never to a terminal. `source` is the input, which must not
    be overwritten. Raises OutputError.
    """
    if is_stdout(name):
        return Target(None, console.binary_stdout(what))
    path = Path(str(name))
    refuse_source(path, source)
    check_target(path, force=force)
    return Target(path)


def is_stdout(name: str | None) -> bool:
    """Whether an output's name means stdout."""
    return name in (None, "-") or descriptor_of(Path(str(name))) == 1


def takes_anything(name: str) -> bool:
    """Whether an output's name cannot say the kind of its content: stdout, descriptors, devices and pipes."""
    path = Path(name)
    special = path.exists() and not path.is_file() and not path.is_dir()
    return special or is_stdout(name) or descriptor_of(path) is not None


def refuse_source(path: Path, *sources: str | None) -> None:
    """Raises OutputError when an output would replace one of the inputs, even with -f."""
    for source in sources:
        if source not in (None, "-") and same_file(path, Path(str(source))):
            raise OutputError(f"{path}: is the input; name another output")


def check(name: str | None, *sources: str | None, force: bool) -> None:
    """Refuses a report's file that could not be written, before any work. Raises OutputError."""
    if not is_stdout(name):
        refuse_source(Path(str(name)), *sources)
        check_target(Path(str(name)), force=force)


def text(name: str, content: str, *, force: bool) -> None:
    """Writes a report to a file or to stdout. Raises OutputError."""
    if is_stdout(name):
        console.out(content.rstrip("\n"))
    else:
        check_target(Path(name), force=force)
        write_atomically(Path(name), content.encode())


def note(line: str, json_report: str | None) -> None:
    """The sentence that says what was made, unless the report in JSON takes its place in the same stream."""
    if json_report is None or not is_stdout(json_report):
        console.note(line)


def report(name: str | None, values: Mapping[str, Any], *, stdout_taken: bool, force: bool) -> None:
    """Writes what --json asks for: a file, or stdout, or stderr where stdout carries the result."""
    if name is None:
        return
    if is_stdout(name) and stdout_taken:
        console.err(json.dumps(values, allow_nan=False))  # one line among the messages
    else:
        text(name, json.dumps(values, indent=2, allow_nan=False) + "\n", force=force)
