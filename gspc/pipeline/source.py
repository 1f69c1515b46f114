"""What an input is: read once, recognized by content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gspc.errors import GspcError, InputError

Kind = Literal["pcgs", "scene", "model"]

SNIFF_BYTES = 4096


@dataclass(frozen=True)
class Source:
    """An input and what its content says it is: a `.pcgs` stream, a decoded scene or a trained model."""

    name: str
    kind: Kind
    data: bytes


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Puts the input's name in front of errors that do not mention it yet."""
    try:
        yield
    except GspcError as error:
        if str(error).startswith(name):
            raise
        raise type(error)(f"{name}: {error}") from error


def read_bytes(path: Path) -> bytes:
    """The content of a file; InputError says why it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a directory; name a .pcgs, decoded scene or model file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def load_source(source: bytes | Path, *, expect_stream: bool = False) -> Source:
    """Reads an input and recognizes it by content, never by its name.

    With `expect_stream` anything unknown counts as a damaged stream, which its reader then describes with a
    BitstreamError; otherwise InputError is raised.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    name = str(source) if isinstance(source, Path) else "stdin"
    from gspc.format.limits import MAGIC

    if data.startswith(MAGIC):  # known without the imports that follow: inspection answers at once
        return Source(name, "pcgs", data)
    _refuse_other_kinds(name, data)
    from gspc.rendering.scene_file import sniff

    try:
        return Source(name, sniff(data[:SNIFF_BYTES], name), data)
    except InputError:
        if not expect_stream:
            raise
        return Source(name, "pcgs", data)


def _refuse_other_kinds(name: str, data: bytes) -> None:
    """Raises InputError for splats of other tools, pointers and the like, in every command alike.

    A zip may be a damaged model, of which its reader says more.
    """
    from gspc.data import kinds

    kind = kinds.recognize(data[: kinds.HEAD], len(data))
    if kind is not None and (kind.splat or not data.startswith(b"PK")):
        raise InputError(f"{name}: is {kind.what}; {kind.advice}")
