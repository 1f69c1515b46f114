"""What an input is: read once, recognized once by its content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gspc.errors import GspcError, InputError
from gspc.format import limits

Kind = Literal["pcgs", "scene", "model"]

ZIP_MAGIC = b"PK\x03\x04"  # torch writes models as zip files


@dataclass(frozen=True)
class Source:
    """An input: a `.pcgs` stream, a decoded scene or a trained model.

    `kind` says what `data` is. `given` says what the input was: a model that was compressed on the way is a
    stream now (`encoded_as`), and reports still call it a model.
    """

    name: str
    kind: Kind
    data: bytes
    given: Kind

    def encoded_as(self, stream: bytes) -> Source:
        """The same input as a stream."""
        return replace(self, kind="pcgs", data=stream)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Gives errors that do not know yet which input they are about its name."""
    try:
        yield
    except GspcError as error:
        if error.source is not None:
            raise
        raise type(error)(error.problem, source=name) from error


def read_bytes(path: Path) -> bytes:
    """The content of a file; InputError says why it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        problem = "no such file; check the path"
    except IsADirectoryError:
        problem = "is a directory; name a .pcgs, decoded scene or model file"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        problem = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise InputError(problem, source=str(path))


def sniff(head: bytes) -> Kind:
    """What a file is, from its first 16 bytes. Raises InputError when it is none of ours."""
    if head.startswith(limits.MAGIC):
        return "pcgs"
    if head.startswith(ZIP_MAGIC):
        return "model"
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= limits.MAX_SCENE_HEADER:
        return "scene"
    if not head:
        raise InputError("is empty; give a .pcgs stream, a decoded scene or a model.pt")
    raise InputError("is neither a .pcgs stream, a decoded scene (safetensors) nor a model.pt")


def load_source(source: bytes | Path, *, expect_stream: bool = False) -> Source:
    """Reads an input and recognizes it by content, never by its name.

    With `expect_stream` anything unknown counts as a damaged stream, which its reader then describes with a
    BitstreamError; otherwise InputError is raised.
    """
    data = source if isinstance(source, bytes) else read_bytes(source)
    name = str(source) if isinstance(source, Path) else "stdin"
    with naming(name):
        try:
            kind = sniff(data[:16])
        except InputError:
            if not expect_stream:
                raise
            kind = "pcgs"
    return Source(name, kind, data, kind)
