"""The files of a tiled scene: streams of tiles, whole, or put together from what a tile has alone and what it
shares with others."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from gspc.errors import InputError
from gspc.tiles.index import Piece, TileEntry, TileIndex


class TileFiles:
    """What everything that opens a tile of an index reads it by. Shared pieces are read once and kept:
    `index.shared.size` bytes at most."""

    def __init__(self, index: TileIndex, folder: Path) -> None:
        self.index, self.folder = index, folder
        self._kept: dict[Piece, bytes] = {}

    def size(self, entry: TileEntry) -> int:
        """Bytes of a tile's own file. Raises InputError where there is none."""
        return self._file(entry.file).stat().st_size

    def own(self, entry: TileEntry, level: int) -> bytes:
        """What a tile's own file has of its stream up to a level. Raises InputError."""
        return self._bytes(entry.file, 0, entry.stored(level))

    def read(self, entry: TileEntry, level: int) -> bytes:
        """The beginning of a tile's stream up to a level; of no file more than that is read. Raises
        InputError."""
        own = self.own(entry, level)
        if not entry.cuts:
            return own
        parts, at, taken = [], 0, 0  # in the stream and in the tile's file
        for cut in entry.cuts_up_to(level):
            parts.append(own[taken : taken + cut.at - at])
            taken += cut.at - at
            at = cut.end
            parts.append(self.piece(cut.piece))
        return b"".join([*parts, own[taken:]])

    def piece(self, piece: Piece) -> bytes:
        """Shared bytes. Raises InputError where they are not those that the index means."""
        if piece not in self._kept:
            data = self._bytes(self.index.shared.file, piece.offset, piece.length)
            if sha256(data).hexdigest() != piece.digest:
                raise InputError(
                    f"{self.folder / self.index.shared.file}: is damaged at byte {piece.offset:,}, or belongs"
                    " to another index; get it again, or run gspc join again"
                )
            self._kept[piece] = data
        return self._kept[piece]

    def _bytes(self, name: str, offset: int, length: int) -> bytes:
        path = self._file(name)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
        if len(data) < length:
            raise InputError(f"{path}: is shorter than its index says; get it again, or run gspc join again")
        return data

    def _file(self, name: str) -> Path:
        """A file below the folder of the index even through links. Raises InputError."""
        path = self.folder / name
        try:
            inside = path.resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"{path}: cannot be found ({error})") from None
        if not inside:
            raise InputError(f"{path}: is a link that leads out of the index's folder, and is not followed")
        if not path.is_file():
            raise InputError(f"{path}: no such file, which the index names; get it, or run gspc join again")
        return path
