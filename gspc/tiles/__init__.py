"""Scenes larger than a machine: split into tiles, fitted one by one, joined by an index and drawn as one."""

from gspc.tiles.drawing import TiledScene, TileRenderer
from gspc.tiles.files import TileFiles
from gspc.tiles.folders import Block, SplitReport, coarse_of_folder, split_scene, tile_of_folder
from gspc.tiles.index import (
    TileEntry,
    TileIndex,
    TileLevel,
    read_index,
    stays_inside,
    write_index,
)
from gspc.tiles.join import COARSE_KEY, united
from gspc.tiles.pack import packed

__all__ = [
    "COARSE_KEY",
    "Block",
    "SplitReport",
    "TileEntry",
    "TileFiles",
    "TileIndex",
    "TileLevel",
    "TileRenderer",
    "TiledScene",
    "coarse_of_folder",
    "packed",
    "read_index",
    "split_scene",
    "stays_inside",
    "tile_of_folder",
    "united",
    "write_index",
]
