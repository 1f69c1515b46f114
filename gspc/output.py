"""Output files that appear whole or not at all: a temporary file next to the target, then one rename."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
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
    errno.EBADF: "is closed; redirect it or name a file",
}


def output_error(name: str | Path, error: OSError) -> OutputError:
    """The one line for an operating system error met while writing `name`."""
    reason = (
        _REASONS.get(error.errno or 0) or f"cannot be written ({error.strerror or error}); write elsewhere"
    )
    return OutputError(reason, source=str(name))


@contextmanager
def writing(name: str | Path) -> Iterator[None]:
    """Turns operating system errors inside the block into OutputError, but leaves BrokenPipeError alone."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(name, error) from error


def descriptor_of(path: Path) -> int | None:
    """The number of the open descriptor that `path` names, such as 1 for /dev/stdout; None for other paths.

    Such a name must not be resolved: behind it lies a pipe without a name, or a file that is being written.
    """
    name = os.path.normpath(path)
    standard = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
    if name in standard:
        return standard[name]
    match = re.fullmatch(rf"/dev/fd/(\d{{1,5}})|/proc/(?:self|{os.getpid()})/fd/(\d{{1,5}})", name)
    return None if match is None else int(match[1] or match[2])


def same_file(one: Path, other: Path) -> bool:
    """Whether both paths lead to one regular file that exists, through links too."""
    try:
        found = one.stat()
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, other.stat())
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return False


def check_target(path: Path, *, force: bool) -> None:
    """Refuses, before any work is done, a target that could not be written afterwards.

    Raises OutputError when `path` exists without `force`, is a directory, or lies in no writable directory.
    """
    with writing(path):
        if (descriptor := descriptor_of(path)) is not None:
            os.fstat(descriptor)
            return
        if "\0" in str(path):
            raise OutputError(f"{path}: a file name holds no NUL; name another")
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

    A file that is replaced hands on its permissions. Devices, named pipes (`/dev/null`) and descriptors
    (`/dev/fd/3`) are written to directly: renaming over them would replace them.
    """
    with writing(path):
        descriptor = descriptor_of(path)
        if descriptor is not None:
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                yield stream
            return
        target = path.resolve() if path.is_symlink() else path
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        with _replacing(target) as stream:
            yield stream


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `target` that is renamed to it at the end."""
    _remove_leftovers(target)
    temporary, descriptor = _temporary(target)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
            yield stream
            stream.flush()
            os.fsync(descriptor)
            temporary.replace(target)
        _keep_name(target.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _keep_name(folder: Path) -> None:
    """Has the system write down which names a folder has: a crash of the machine could undo a rename."""
    with suppress(OSError):  # folders that cannot be opened or synchronized, as on some network file systems
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _temporary(target: Path) -> tuple[Path, int]:
    """A new file beside `target`, open and locked: the lock says that its writer lives, and goes with it."""
    while True:
        path = target.with_name(f"{_part_prefix(target)}{secrets.token_hex(4)}.part")
        # Opened by hand: the permissions are those the umask asks for (tempfile's are private).
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            return path, descriptor
        os.close(descriptor)  # taken for a leftover before the lock was there


def _part_prefix(target: Path) -> str:
    return f".{cut_to_bytes(target.name, 200)}."


def _remove_leftovers(target: Path) -> None:
    """Removes temporary files of `target` whose writers were killed."""
    pattern = re.compile(re.escape(_part_prefix(target)) + r"[0-9a-f]{8}\.part")
    with suppress(OSError):
        for left in [entry for entry in target.parent.iterdir() if pattern.fullmatch(entry.name)]:
            _remove_unless_locked(left)


def _remove_unless_locked(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)


def write_atomically(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Writes `path` whole or not at all; `content` is bytes or what writes them. Raises OutputError."""
    with atomic_file(path) as stream:
        if callable(content):
            content(stream)
        else:
            stream.write(content)
