"""The one tree of errors. The command line turns each into one line on stderr and its exit code."""

from __future__ import annotations


class GspcError(Exception):
    """Anything the user can be told in one line; `exit_code` is the process's exit status.

    `problem` says what is wrong and what to do, `source` which input it is about, where that is known already
    (otherwise `gspc.pipeline.naming` adds it). Both are the line: "SOURCE: PROBLEM". Messages may name
    options of the command line, which the arguments in Python are called after.

    >>> import gspc
    >>> try:
    ...     gspc.open("nowhere.pcgs")
    ... except gspc.Error as error:
    ...     print(error, error.exit_code)
    nowhere.pcgs: no such file; check the path 3
    """

    exit_code = 1

    def __init__(self, problem: str, *, source: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.source = source

    def __str__(self) -> str:
        return self.problem if self.source is None else f"{self.source}: {self.problem}"


class UsageError(GspcError):
    """Arguments that do not make sense together."""

    exit_code = 2


class InputError(GspcError):
    """A scene, checkpoint or image that cannot be used."""

    exit_code = 3


class BitstreamError(GspcError):
    """A `.pcgs` stream that is damaged, truncated, too new or beyond the limits."""

    exit_code = 4


class BackendError(GspcError):
    """No such device or kernel on this machine."""

    exit_code = 5


class OutputError(GspcError):
    """An output that exists, cannot be written, or does not fit on the disk."""

    exit_code = 6


class Stopped(KeyboardInterrupt):
    """A signal ended the work, which keeps what is needed to go on from there."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """As shells count processes that end by a signal: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number
