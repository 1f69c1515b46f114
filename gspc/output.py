"""Output files that appear whole or not at all: a temporary file next to the target, then one rename."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gspc.errors import OutputError

_REASONS: dict[int, str] = {
    errno.ENOSPC: "no space left on the device; free some or write elsewhere",
    errno.EDQUOT: "the disk quota is used up; free some space or write elsewhere",
    errno.EACCES: "permission denied; choose a place you may write to",
    errno.EPERM: "permission denied; choose a place you may write to",
    errno.EROFS: "the file system is read-only; write elsewhere",
    errno.EEXIST: "is a file where a directory should be; name another",
    errno.ENOENT: "the directory does not exist; create it first",
    errno.ENOTDIR: "a part of the path is not a directory; check the path",
    errno.EISDIR: "is a directory; name a file",
    errno.EFBIG: "the file is too large for this file system; write elsewhere",
    errno.ENAMETOOLONG: "the file name is too long; choose a shorter one",
}


def output_error(name: str | Path, error: OSError) -> OutputError:
    """The one line for an operating system error met while writing `name`."""
    reason = (
        _REASONS.get(error.errno or 0) or f"cannot be written ({error.strerror or error}); write elsewhere"
    )
    return OutputError(f"{name}: {reason}")


@contextmanager
def writing(name: str | Path) -> Iterator[None]:
    """Turns operating system errors inside the block into OutputError, but leaves BrokenPipeError alone."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(name, error) from error


def check_target(path: Path, *, force: bool) -> None:
    """Refuses, before any work is done, a target that could not be written afterwards.

    Raises OutputError when `path` exists without `force`, is a directory, or lies in no writable directory.
    """
    with writing(path):
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()  # links in a circle, or a name too long, say so here
        if path.is_dir():
            raise OutputError(f"{path}: is a directory; name a file")
        if not path.exists():
            parent = path.parent
            if not parent.is_dir():
                raise OutputError(f"{path}: the directory {parent} does not exist; create it first")
            if not os.access(parent, os.W_OK | os.X_OK):
                raise OutputError(f"{path}: permission denied; choose a place you may write to")
        elif path.is_file() and not force:
            raise OutputError(f"{path}: exists already; add -f to overwrite it")


def cut_to_bytes(name: str, most: int) -> str:
    """The beginning of a file name that takes at most `most` bytes: file systems count those, not letters."""
    return os.fsencode(name)[:most].decode(errors="ignore")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A writable binary file that takes the place of `path` when the block ends; no trace when it fails.

    Devices and named pipes (`/dev/null`) are written to directly: renaming over them would replace them.
    """
    with writing(path):
        target = path.resolve() if path.is_symlink() else path
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        temporary = target.with_name(f".{cut_to_bytes(target.name, 200)}.{secrets.token_hex(4)}.part")
        # Opened by hand: the permissions are those the umask asks for (tempfile's are private).
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Writes `path` whole or not at all; `content` is bytes or what writes them. Raises OutputError."""
    with atomic_file(path) as stream:
        if callable(content):
            content(stream)
        else:
            stream.write(content)
