"""A stream with its symbols coded by another coder: everything else keeps its bytes, but for parity, which
covers them.

The core decodes lanes only. Streams of the torchac extra are made from lane streams and turned back into
them, so that one core decodes, checks and measures both.
"""

from __future__ import annotations

import struct
import zlib

from gspc import _codec
from gspc.codec import torchac as extra
from gspc.errors import BitstreamError, UsageError
from gspc.format import limits
from gspc.format.parity import refreshed
from gspc.format.shape import CODERS, Coder

CODER_AT = 12  # byte of HEAD
HEADER = limits.CHUNK_HEADER_BYTES


def coder_of(data: bytes) -> Coder:
    """The coder that HEAD names. Without a whole HEAD that fits its checksum it counts as lanes.

    The core then says what is wrong, with or without the extra.
    """
    at = limits.PREAMBLE_BYTES
    if len(data) >= at + HEADER and data.startswith(limits.MAGIC):
        at += HEADER + struct.unpack_from("<I", data, at + 12)[0]
        head = data[at : at + HEADER]
        if len(head) == HEADER and head.startswith(b"HEAD"):
            length, crc = struct.unpack_from("<II", head, 12)
            payload = data[at + HEADER : at + HEADER + length]
            if len(payload) > CODER_AT and zlib.crc32(payload) == crc and payload[CODER_AT] == 1:
                return "torchac"
    return "lanes"


def require(coder: Coder) -> None:
    """Raises UsageError for a coder that is none, BackendError where the package that it needs is missing."""
    if coder not in CODERS:
        raise UsageError(f"there is no coder '{coder}'; choose one of {', '.join(CODERS)}")
    if coder != "lanes":
        extra.load()


def recode(
    data: bytes, coder: Coder, *, upto: int | None = None, max_memory: int = limits.MAX_MEMORY
) -> bytes:
    """The levels of a stream up to `upto`, or the whole ones, with symbols coded by `coder`.

    The index keeps all levels. Recoding back gives the same bytes. Raises BackendError without torchac,
    before anything else is done; BitstreamError for a stream that is damaged, lacks the level or needs more
    than `max_memory` bytes.
    """
    if coder_of(data) == coder:
        return data
    require("torchac")  # one side of it is torchac's
    try:
        return refreshed(
            bytes(_codec.transcode_stream(bytes(data), CODERS.index(coder), upto or 0, max_memory, extra))
        )
    except _codec.StreamError as error:
        raise BitstreamError(str(error)) from None
