"""The training log: one JSON line every few iterations, the same for equal runs, interrupted or not."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gspc.errors import InputError
from gspc.output import write_atomically, writing


class TrainingLog:
    """An open log, or none when there is no file to write to."""

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file = file

    def write(self, row: Mapping[str, Any]) -> None:
        """Appends one row. Raises OutputError."""
        if self._file is not None:
            with writing(self._file.name):
                self._file.write(json.dumps(row) + "\n")
                self._file.flush()

    def sync(self) -> None:
        """Makes sure that what was written survives the machine, as far as the file can. Raises OutputError.

        A checkpoint must not be ahead of its log.
        """
        if self._file is not None and Path(self._file.name).is_file():
            with writing(self._file.name):
                os.fsync(self._file.fileno())


@contextmanager
def training_log(path: Path | None, iteration: int) -> Iterator[TrainingLog]:
    """The log of a run that begins at `iteration`: a new one at 0, else that of the interrupted run, without
    the rows after `iteration`. Raises InputError when `path` is no such log, OutputError."""
    if path is None:
        yield TrainingLog()
        return
    goes_on = iteration > 0 and path.is_file()
    if goes_on:
        write_atomically(path, "".join(rows_until(path, iteration)).encode())
    with writing(path):
        file = path.open("a" if goes_on else "w")
    try:
        yield TrainingLog(file)
    finally:
        with writing(path):
            file.close()


def rows_until(path: Path, iteration: int) -> list[str]:
    """Lines of an interrupted run's log up to an iteration. Raises InputError when it is no such log."""
    kept: list[str] = []
    try:
        for line in path.read_text().splitlines(keepends=True):
            if not line.endswith("\n") or json.loads(line)["iteration"] > iteration:
                break
            kept.append(line)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: is not the log of the run to resume; name another with --log") from error
    return kept
