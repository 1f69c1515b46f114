"""One fit an output: two would overwrite one another's checkpoints."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gspc.errors import OutputError
from gspc.output import writing


@contextmanager
def only_fit_of(output: Path) -> Iterator[None]:
    """Holds `output` for this process. The system lets go of a lock whose process is gone, so a file that a
    killed fit left behind is no obstacle. Raises OutputError when another process holds it.
    """
    if output.exists() and not output.is_file():  # a device, such as /dev/null
        yield
        return
    path = output.with_name(f"{output.name}.lock")
    with _locked(path, output):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path, output: Path) -> IO[str]:
    """The file, which holds the lock until it is closed, with this process's id in it."""
    with writing(path):
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _sign(file, path)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(20).strip() or "unknown"
            file.close()
            raise OutputError(
                f"{output}: another fit is writing it (process {holder}); name another"
            ) from None
        except OSError:
            file.close()
            raise
    return file


def _sign(file: IO[str], path: Path) -> None:
    """Writes this process's id; on a full disk the file goes."""
    try:
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    except OSError:
        path.unlink(missing_ok=True)
        raise
