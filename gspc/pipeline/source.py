"""What an input is: read once, recognized by content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gspc.errors import GspcError, InputError

Kind = Literal["pcgs", "scene", "model", "splats"]

SNIFF_BYTES = 4096


@dataclass(frozen=True)
class Source:
    """An input and what its content says it is: a `.pcgs` stream, a decoded scene, a trained model, or plain
    splats of another tool."""

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


def read_bytes_or_folder(path: Path) -> bytes:
    """The content of a file, or an unbundled SOG's folder as the zip that it also comes as."""
    if not path.is_dir():
        return read_bytes(path)
    from gspc.splats.sog import bundle, is_folder

    if not is_folder(path):
        return read_bytes(path)  # which says what is wrong with a folder
    with naming(str(path)):
        return bundle(path)


def is_splats(data: bytes) -> bool:
    """Whether these are plain splats of another tool. Both a SOG and a model are zip files."""
    from gspc.splats.formats import recognize

    return recognize(data) is not None


def refuse_splats(source: Source, what: str) -> None:
    """Raises InputError for plain splats where only scenes of gspc will do; `what` is what was asked for."""
    if source.kind == "splats":
        raise InputError(
            f"{source.name}: is a splat of another tool, which {what}; gspc render, inspect-bitstream and "
            "export take it"
        )


def load_source(source: bytes | Path, *, expect_stream: bool = False) -> Source:
    """Reads an input and recognizes it by content, never by its name.

    With `expect_stream` anything unknown counts as a damaged stream, which its reader then describes with a
    BitstreamError; otherwise InputError is raised.
    """
    data = source if isinstance(source, bytes) else read_bytes_or_folder(source)
    name = str(source) if isinstance(source, Path) else "stdin"
    from gspc.format.limits import MAGIC

    if data.startswith(MAGIC):  # known without the imports that follow: inspection answers at once
        return Source(name, "pcgs", data)
    from gspc.rendering.scene_file import sniff

    try:
        kind: Kind = sniff(data[:SNIFF_BYTES], name)
        return Source(name, "splats" if kind == "model" and is_splats(data) else kind, data)
    except InputError:
        if is_splats(data):
            return Source(name, "splats", data)
        if not expect_stream:
            raise
        return Source(name, "pcgs", data)
