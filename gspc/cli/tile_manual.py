"""What the man pages say of tiles beyond the commands' help; paragraphs in capitals are titles."""

from __future__ import annotations

TILE = """
BLOCKS

The vertical follows from how the photographs were taken. Columns divide the ground plane, rows each
column; all blocks have about as many points, and those at the edge reach to infinity. A block has the
photographs that were taken in it or that show it in a tenth of what they show, by COLMAP's tracks
where there are some. It has its own points, those around it and those that its photographs show: that
halo is for training alone, and gspc compress leaves out anchors outside of the tile's box. Each tile
has networks, a grid and a lattice of its own.

FOLDERS

A folder has sparse/0, links in images/ and masks/ that lead to the scene's photographs relative to
the folder, and tile.json, which says which box of which scene the tile is. All folders appear, or
none does. -f replaces a folder that has nothing but tiles in it. Photographs that a scene keeps for
tests are in no tile.
"""

JOIN = """
TILES

Streams that are joined come from one run of gspc tile: their frames are equal, their boxes do not
overlap, their backgrounds are the same. They lie in the index's folder or below and are named
relative to it; links that lead out of it are not followed. Each stream is decoded once for each
level, to say what it takes to draw it.
"""

# Indented as the page that it begins.
RENDER = """
        TILES

        Of the index of a tiled scene (pcgsx(5)) a picture decodes the tiles that can touch it, one after
        another and no byte beyond the level that is drawn, and draws their Gaussians together. --max-memory
        is what decoded tiles and Gaussians take at most. Tiles stay decoded for the next picture as far as
        that goes. Where a picture would take more, its farthest tiles are drawn at a coarser level, which is
        said once.
"""
