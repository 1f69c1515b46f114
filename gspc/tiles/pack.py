"""A tiled scene up to a level, as an index and files with names of their own: what a page is given."""

from __future__ import annotations

from dataclasses import replace

from gspc.tiles.files import TileFiles
from gspc.tiles.index import Shared, TileIndex

FOLDER = "tiles"
COMMON = f"{FOLDER}/shared.part"  # what tiles have in common


def packed(files: TileFiles, level: int) -> tuple[TileIndex, dict[str, bytes]]:
    """The index of tiles without the levels above `level`, and the files that it names. Raises InputError."""
    index, parts = files.index, {}
    pieces, end = {}, 0
    for piece in dict.fromkeys(cut.piece for tile in index.tiles for cut in tile.cuts_up_to(level)):
        pieces[piece] = replace(piece, offset=end)
        end += piece.length
    tiles = []
    for number, tile in enumerate(index.tiles, start=1):
        name = f"{FOLDER}/{number}.part"
        parts[name] = files.own(tile, level)
        cuts = tuple(replace(cut, piece=pieces[cut.piece]) for cut in tile.cuts_up_to(level))
        tiles.append(replace(tile, file=name, levels=tile.levels[:level], cuts=cuts))
    if pieces:
        parts[COMMON] = b"".join(files.piece(piece) for piece in pieces)
    shared = Shared(COMMON, tuple(pieces.values())) if pieces else Shared()
    return replace(index, tiles=tuple(tiles), shared=shared), parts
