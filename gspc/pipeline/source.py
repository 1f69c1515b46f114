"""What an input is: read once, recognized once by its content."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias, Union

from gspc.errors import BitstreamError, GspcError, InputError
from gspc.format import limits

Kind = Literal["pcgs", "scene", "model", "splats", "tiles"]

# How a pickled checkpoint begins, within its zip; loading it would take torch.
CHECKPOINT, CHECKPOINT_HEAD = re.compile(rb"format.{0,8}gspc-checkpoint", re.DOTALL), 4096
ZIP_MAGIC = b"PK\x03\x04"  # torch writes models as zip files
TILES = re.compile(rb'\s{0,64}\{\s{0,64}"format"\s{0,64}:\s{0,64}"gspc-tiles"')  # an index of tiles


@dataclass(frozen=True)
class Source:
    """An input: a `.pcgs` stream, a decoded scene, a trained model, plain splats of another tool, or the
    index of a tiled scene.

    `kind` says what `data` is. `given` says what the input was: a model that was compressed on the way is a
    stream now (`encoded_as`), and reports still call it a model.
    """

    name: str
    kind: Kind
    data: bytes = field(repr=False)
    given: Kind

    def encoded_as(self, stream: bytes) -> Source:
        """The same input as a stream."""
        return replace(self, kind="pcgs", data=stream)


# What every use case takes: an input that was read already, the content of a file, or its path.
Given: TypeAlias = Union[Source, bytes, str, "os.PathLike[str]"]


@contextmanager
def naming(name: str, kind: type[GspcError] = GspcError) -> Iterator[None]:
    """Gives errors that do not know yet which input they are about its name; only those of a `kind` where
    others can be about something else."""
    try:
        yield
    except kind as error:
        if error.source is not None:
            raise
        raise type(error)(error.problem + _what_to_do(error), source=name) from error


def _what_to_do(error: GspcError) -> str:
    """What to do about a stream that cannot be read. Readers say where it is damaged; the way out is the same
    for all of it, and where it is another, they name it after a semicolon."""
    if not isinstance(error, BitstreamError) or ";" in error.problem:
        return ""
    if error.problem.startswith("truncated"):
        return "; get the whole file"
    if "was asked for" in error.problem:
        return "; ask for one of those"
    return "; get the file again, or see what gspc decompress --salvage restores"


def read_bytes(path: Path) -> bytes:
    """The content of a file; InputError says why it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        problem = "no such file; check the path"
    except IsADirectoryError:
        problem = f"is a directory; {_advice(path)}"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        problem = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise InputError(problem, source=str(path))


def _advice(folder: Path) -> str:
    from gspc.data import kinds

    splat = kinds.splat_in(folder)
    if splat is None:
        return "name a .pcgs, decoded scene or model file"
    return f"its splat is {splat.relative_to(folder).as_posix()}: name that file"


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
    raise InputError(
        "is neither a .pcgs stream, a decoded scene (safetensors) nor a model.pt; name a file that gspc "
        "compress, decompress or fit wrote"
    )


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
    """Raises InputError for plain splats, and for an index of tiles, where only one scene of gspc will do;
    `what` says why not, and what to do."""
    if source.kind == "tiles":
        raise InputError(
            "is an index of tiles; gspc render, view, inspect-bitstream and export take it whole, the other "
            "commands take its streams",
            source=source.name,
        )
    if source.kind == "splats":
        raise InputError(f"is a splat of another tool, which {what}", source=source.name)


def load_source(source: Given, *, name: str = "stdin") -> Source:
    """Reads an input and recognizes it by content, never by its name; `name` is what messages call bytes.
    Raises InputError for anything that is none of ours, in every command alike."""
    if isinstance(source, Source):
        return source
    if isinstance(source, bytes):
        data = source
    else:
        path = Path(source)
        data, name = read_bytes_or_folder(path), str(path)
    with naming(name):
        kind = _kind(data)
    return Source(name, kind, data, kind)


def source_of(given: Given) -> Source:
    """What a use case was given, read unless it was read already."""
    return load_source(given, name="data")


def _kind(data: bytes) -> Kind:
    if data.startswith(limits.MAGIC):  # known without more imports: inspection answers at once
        return "pcgs"
    if TILES.match(data):
        return "tiles"
    try:
        kind: Kind = sniff(data[:16])
    except InputError:
        if is_splats(data):
            return "splats"
        _refuse_other_kinds(data)
        if not resembles_stream(data):
            raise
        return "pcgs"
    if kind == "model":
        if is_splats(data):
            return "splats"
        if CHECKPOINT.search(data[:CHECKPOINT_HEAD]):
            raise InputError("is a checkpoint of a fit that is not done; gspc fit --resume goes on from it")
        _refuse_other_kinds(data, zipped=True)
    return kind


def resembles_stream(data: bytes) -> bool:
    """Whether these are the remains of a stream whose first bytes are damaged or cut. Its reader says so with
    a BitstreamError."""
    if len(data) < len(limits.MAGIC):
        return bool(data) and limits.MAGIC.startswith(data)
    return sum(a == b for a, b in zip(data, limits.MAGIC, strict=False)) >= len(limits.MAGIC) // 2


def _refuse_other_kinds(data: bytes, *, zipped: bool = False) -> None:
    """Raises InputError for pointers, photographs and the like, in every command alike, and for splats that
    their own readers do not recognize. A zip may be a damaged model, of which its reader says more."""
    from gspc.data import kinds

    kind = kinds.recognize(data[: kinds.HEAD], len(data))
    if kind is not None and kind.splat:
        raise InputError(f"is {kind.what} that does not fit its format; get the file again")
    if kind is not None and not zipped:
        raise InputError(f"is {kind.what}; {kind.advice}")
