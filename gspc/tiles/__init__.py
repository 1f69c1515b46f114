"""Scenes larger than a machine: split into tiles, fitted one by one, joined by an index and drawn as one."""

from gspc.tiles.drawing import TiledScene, TileRenderer
from gspc.tiles.folders import Block, SplitReport, split_scene, tile_of_folder
from gspc.tiles.index import (
    TileEntry,
    TileIndex,
    TileLevel,
    read_index,
    read_tile,
    stays_inside,
    tile_size,
    write_index,
)
from gspc.tiles.join import united

__all__ = [
    "Block",
    "SplitReport",
    "TileEntry",
    "TileIndex",
    "TileLevel",
    "TileRenderer",
    "TiledScene",
    "read_index",
    "read_tile",
    "split_scene",
    "stays_inside",
    "tile_of_folder",
    "tile_size",
    "united",
    "write_index",
]
