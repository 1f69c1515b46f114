"""Inputs that are not read whole: pipes, seekable files and web servers that answer range requests."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from gspc.errors import BitstreamError, InputError
from gspc.format import limits
from gspc.format.limits import MAX_MEMORY
from gspc.pipeline.source import Source, naming

if TYPE_CHECKING:
    from gspc.codec import ArrivingStream
    from gspc.format.scene import Decoded

PIECE = 1 << 16
SECONDS = 60.0  # that a server may stay silent
SCHEMES = ("http://", "https://")

Decoder = Callable[[], "ArrivingStream"]  # makes one for a stream, once it is known to be one


class Ranges(Protocol):
    """A file of which any bytes can be had. `taken` counts them."""

    name: str
    taken: int

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from `offset` on, fewer than `size` where the file ends. Raises InputError."""


class FileRanges:
    """A file on disk."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name, self.taken, self._file = name, 0, file

    def read(self, offset: int, size: int) -> bytes:
        """See `Ranges`."""
        try:
            self._file.seek(offset)
            found = self._file.read(size)
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror or error})", source=self.name) from None
        self.taken += len(found)
        return found


class WebRanges:
    """A file on a web server. One that does not answer ranges sends all of it, once."""

    def __init__(self, address: str) -> None:
        self.name, self.taken = address, 0
        self._whole: bytes | None = None

    def read(self, offset: int, size: int) -> bytes:
        """See `Ranges`."""
        if size == 0:
            return b""
        if self._whole is None:
            found = self._request(offset, size)
            if self._whole is None:
                return found
        return self._whole[offset : offset + size]

    def _request(self, offset: int, size: int) -> bytes:
        import urllib.error
        import urllib.request

        asked = {"Range": f"bytes={offset}-{offset + size - 1}", "Accept-Encoding": "identity"}
        try:
            request = urllib.request.Request(self.name, headers=asked)
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                partial = answer.status == 206
                found: bytes = answer.read(size if partial else MAX_MEMORY + 1)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing there: the file ends before `offset`
                return b""
            raise InputError(f"the server answers {error.code} {error.reason}", source=self.name) from None
        except (OSError, ValueError, HTTPException) as error:  # ValueError: an address that is none
            reason = getattr(error, "reason", None) or error or type(error).__name__
            raise InputError(f"cannot be fetched ({reason})", source=self.name) from None
        if len(found) > MAX_MEMORY:
            raise InputError(f"the server sends more than {MAX_MEMORY} bytes", source=self.name)
        self.taken += len(found)
        if not partial:
            self._whole = found
        return found


def ranges_of(given: object, *, stored: bool) -> Ranges | None:
    """An input as ranges: a web address, and if `stored` a file or bytes too. None: it is to be read whole.
    Raises InputError."""
    if is_address(given):
        return WebRanges(str(given))
    if not stored:
        return None
    if isinstance(given, bytes):
        return FileRanges("data", io.BytesIO(given))
    if isinstance(given, Source):
        return FileRanges(given.name, io.BytesIO(given.data)) if given.kind == "pcgs" else None
    if not isinstance(given, str | os.PathLike):
        return None
    path = Path(given)
    return FileRanges(str(path), path.open("rb")) if path.is_file() else None


def is_address(name: object) -> bool:
    """Whether an input's name is a web address."""
    return isinstance(name, str) and name.lower().startswith(SCHEMES)


def is_stream(head: bytes) -> bool:
    """Whether these first bytes are a stream's that can be decoded in pieces; a torchac one cannot."""
    from gspc.codec.recode import coder_of

    return head.startswith(limits.MAGIC) and coder_of(head) == "lanes"


def decode_ranges(file: Ranges, head: bytes, decoder: ArrivingStream) -> Decoded:
    """Decodes a stream whose first bytes are `head`, reading no byte that is not needed."""
    with naming(file.name):
        decoder.feed_at(0, head)
        while not decoder.done:
            offset, size = decoder.wanted
            found = file.read(offset, size)
            if not found:
                break
            decoder.feed_at(offset, found)
        if not decoder.level:
            offset, size = decoder.wanted
            raise BitstreamError(f"truncated: level 1 needs {size} bytes from byte {offset} on")
        return decoder.finish()


def decode_pipe(name: str, read: Callable[[int], bytes], make: Decoder) -> tuple[Decoded | None, bytes]:
    """Decodes a stream while it comes, and stops reading once the level asked for is whole.

    `read` gives some bytes, at most so many, none at the end. For anything but a stream, and for one that
    ends before level 1, this is None and all the bytes, for others to say what they are.
    """
    head = io.BytesIO()
    while head.tell() < limits.INDEX_WINDOW and (piece := read(PIECE)):
        head.write(piece)
    if not is_stream(head.getvalue()):
        while piece := read(PIECE):
            head.write(piece)
        return None, head.getvalue()
    with naming(name):
        decoder = make()
        decoder.feed(head.getvalue())
        while not decoder.done and (piece := read(PIECE)):
            if not decoder.level:
                head.write(piece)
            decoder.feed(piece)
        if not decoder.level:
            return None, head.getvalue()
        if decoder.whole and (piece := read(1)):
            decoder.feed(piece)  # which refuses bytes after the end
        return decoder.finish(), b""
