"""A tiled scene seen from above, as a page: each tile leads to a page of its own."""

from __future__ import annotations

import html
from collections.abc import Sequence

from gspc.tiles.index import TileEntry, TileIndex

WIDTH = 1000.0  # of the map, in its own units
EDGE = 0.01  # of the map's width, around it
GAP = 2.0  # between neighbors


def map_page(index: TileIndex, title: str, links: Sequence[str], level: int) -> bytes:
    """The page; `links` are the addresses of the tiles' pages, in the index's order. It needs no script and
    no other file."""
    left, top = (min(tile.floor[axis] for tile in index.tiles) for axis in (0, 2))
    right, bottom = (max(tile.ceiling[axis] for tile in index.tiles) for axis in (0, 2))
    scale = WIDTH / max(right - left, bottom - top, 1e-9)
    shapes = [
        _shape(tile, link, level, scale, (left, top)) for tile, link in zip(index.tiles, links, strict=True)
    ]
    rows = [_row(tile, link, level) for tile, link in zip(index.tiles, links, strict=True)]
    border = EDGE * WIDTH
    sides = [side * scale + 2 * border for side in (right - left, bottom - top)]
    view = f"{-border:.0f} {-border:.0f} {sides[0]:.0f} {sides[1]:.0f}"
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{html.escape(title)}</title></head>
<body>
<h1>{html.escape(title)}</h1>
<p>{len(index.tiles):,} tiles from above, up to level {level}. Choose one to look at it.</p>
<svg viewBox="{view}" width="100%" height="480" role="img" aria-label="Tiles from above">
{"".join(shapes)}</svg>
<table>
<tr><th>tile</th><th>anchors</th><th>bytes</th></tr>
{"".join(rows)}</table>
</body>
</html>
""".encode()


def _shape(tile: TileEntry, link: str, level: int, scale: float, origin: tuple[float, float]) -> str:
    """Where a tile's anchors lie."""
    x, y = ((tile.floor[axis] - start) * scale + GAP / 2 for axis, start in zip((0, 2), origin, strict=True))
    width, height = (max((tile.ceiling[axis] - tile.floor[axis]) * scale - GAP, GAP) for axis in (0, 2))
    name = html.escape(tile.name)
    size = min(width / max(len(tile.name), 1), height / 2, 40.0)
    middle = f'x="{x + width / 2:.1f}" y="{y + height / 2:.1f}"'
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return (
        f'<a href="{link}"><rect {box} fill="#38a" stroke="#fff">'
        f"<title>{name}: {tile.level(level).anchors:,} anchors</title></rect>"
        f'<text {middle} font-size="{size:.1f}" fill="#fff" text-anchor="middle">{name}</text></a>\n'
    )


def _row(tile: TileEntry, link: str, level: int) -> str:
    row = tile.level(level)
    name = html.escape(tile.name)
    return f'<tr><td><a href="{link}">{name}</a></td><td>{row.anchors:,}</td><td>{row.size:,}</td></tr>\n'
