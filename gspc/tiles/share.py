"""Tiles written once more, with what several of them have in common in a file of its own."""

from __future__ import annotations

import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from gspc.errors import InputError, OutputError
from gspc.output import writing
from gspc.tiles.folders import replace_folder
from gspc.tiles.index import MAX_PIECES, Cut, Piece, Shared, TileEntry, TileIndex
from gspc.tiles.join import Joined, Part

COMMON, PART = "shared.chunks", "tile-{}.part"  # names in the folder
OURS = re.compile(r"shared\.chunks|tile-\d+\.part")


def common(found: Sequence[Joined]) -> dict[str, Piece]:
    """What more than one of the streams has, by its digest, one behind the other; what saves most where there
    is too much for an index."""
    times = Counter(digest for one in found for digest in {part.digest for part in one.parts})
    lengths = {part.digest: part.length for one in found for part in one.parts if times[part.digest] > 1}
    best = set(sorted(lengths, key=lambda digest: -lengths[digest] * times[digest])[:MAX_PIECES])
    pieces, offset = {}, 0
    for digest, length in lengths.items():
        if digest in best:
            pieces[digest] = Piece(offset, length, digest)
            offset += length
    return pieces


def savings(found: Sequence[Joined]) -> int:
    """Bytes that need not be stored where streams share what they have in common."""
    pieces = common(found)
    everywhere = sum(part.length for one in found for part in one.parts if part.digest in pieces)
    return everywhere - sum(piece.length for piece in pieces.values())


def check_folder(folder: Path, *, force: bool) -> None:
    """Raises OutputError unless `folder` may be written: nothing but what an earlier join wrote is ever
    replaced, and that only with `force`."""
    with writing(folder):
        if not folder.exists() and not folder.is_symlink():
            return
        if not folder.is_dir() or folder.is_symlink():
            raise OutputError(f"{folder}: is no folder; name another")
        entries = list(folder.iterdir())
        if entries and not force:
            raise OutputError(f"{folder}: has files in it; add -f to replace what gspc join --share wrote")
        stray = next((entry for entry in entries if OURS.fullmatch(entry.name) is None), None)
        if stray is not None:
            raise OutputError(f"{stray}: is no part of a tile and would be lost; name another folder")


def write_shared(
    index: TileIndex, found: Sequence[Joined], read: Callable[[int], bytes], folder: Path, place: str
) -> TileIndex:
    """Writes what tiles share, and what each has alone, to `folder`, whole or not at all; the index's own
    folder knows it as `place`. Gives the index of that. `read` gives the stream of a tile by its number; one
    is in memory at a time. Raises InputError for a stream that is not the one that was joined,
    OutputError."""
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    with writing(folder):
        try:
            temporary.mkdir()
            made = _write(index, found, read, temporary, place)
            replace_folder(folder, temporary)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return made


def _write(
    index: TileIndex, found: Sequence[Joined], read: Callable[[int], bytes], folder: Path, place: str
) -> TileIndex:
    pieces = common(found)
    written: set[str] = set()
    tiles = []
    with (folder / COMMON).open("wb") as store:
        for number, (entry, one) in enumerate(zip(index.tiles, found, strict=True)):
            parts = [part for part in one.parts if part.digest in pieces]
            data = memoryview(read(number))
            _check_same(entry, data, parts)
            for part in parts:
                if part.digest not in written:
                    store.seek(pieces[part.digest].offset)
                    store.write(data[part.at : part.end])
                    written.add(part.digest)
            name = PART.format(number + 1)
            (folder / name).write_bytes(_without(data, parts))
            cuts = tuple(Cut(part.at, pieces[part.digest]) for part in parts)
            tiles.append(replace(entry, file=f"{place}/{name}", cuts=cuts))
    shared = Shared(f"{place}/{COMMON}", tuple(pieces.values())) if pieces else Shared()
    return replace(index, tiles=tuple(tiles), shared=shared)


def _check_same(entry: TileEntry, data: memoryview, parts: Sequence[Part]) -> None:
    same = len(data) == entry.levels[-1].size
    if not same or any(sha256(data[part.at : part.end]).hexdigest() != part.digest for part in parts):
        raise InputError(f"{entry.file}: changed while it was joined; run gspc join again")


def _without(data: memoryview, parts: Sequence[Part]) -> bytes:
    """A stream but for some parts of it."""
    begins, ends = [0, *(part.end for part in parts)], [*(part.at for part in parts), len(data)]
    return b"".join(data[begin:end] for begin, end in zip(begins, ends, strict=True))
