"""Results that are files: bytes that can be saved."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from gspc.errors import OutputError


class HasData(Protocol):
    """Something with the content of a file."""

    @property
    def data(self) -> bytes:
        """The file's content."""
        ...


class File:
    """A result whose `data` is the content of a file."""

    def save(self: HasData, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Writes the file, whole or not at all, and returns its path.

        Raises OutputError when it exists and `overwrite` is not set, or cannot be written.
        """
        from gspc.output import check_target, write_atomically

        target = Path(path)
        if target.is_file() and not overwrite:
            raise OutputError("exists already; overwrite=True replaces it", source=str(target))
        check_target(target, force=True)
        write_atomically(target, self.data)
        return target
