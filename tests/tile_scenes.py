"""Tiles for tests: a model cut into four, and a generated city of small streams."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cli_tools import Cli
from synthetic import tiny

from gspc.codec import encode
from gspc.format.scene import QuantizedScene
from gspc.format.tile import KEY, Tile
from gspc.rotations import rotation_matrix
from gspc.scene import Camera, Frame

SIDE = 4.0  # of a block of the city, in its frame's units
STREET = Frame(2.0, rotation_matrix((0.9, 0.1, -0.2, 0.3)), np.array([300.0, -20.0, 100.0]))


def city_tile(block: QuantizedScene, column: int, row: int, frame: Frame = STREET) -> QuantizedScene:
    """A scene as a block of a city: its own frame lies where the block does in the city's."""
    middle = np.array([(column + 0.5) * SIDE, 0.0, (row + 0.5) * SIDE])
    own = Frame(frame.scale / 2, frame.rotation, frame.to_user(middle[None])[0])
    low = (column * SIDE, row * SIDE)
    tile = Tile(f"{column}-{row}", frame, low, (low[0] + SIDE, low[1] + SIDE))
    return replace(block, frame=own, metadata={KEY: tile.to_text()})


def write_city(folder: Path, columns: int, rows: int, *, levels: int = 2, count: int = 40) -> list[Path]:
    """Streams of a city, below `folder`/tiles."""
    block = tiny(count, levels=levels, views=1)
    (folder / "tiles").mkdir(parents=True)
    paths = []
    for column in range(columns):
        for row in range(rows):
            path = folder / "tiles" / f"{column}-{row}.pcgs"
            path.write_bytes(encode(city_tile(block, column, row)))
            paths.append(path)
    return paths


def street_camera(place: tuple[float, float, float], name: str = "street.png") -> Camera:
    """A camera of the user's coordinates, at a place of the city's frame, that looks along its z."""
    pose = np.eye(4)
    pose[:3, 3] = [-value for value in place]
    return STREET.camera_to_user(Camera(name, 64, 48, 60.0, 60.0, 32.0, 24.0, pose))


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of one value in the content of an index."""

    def change(content: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place: Any = content
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place[key]
        place[last] = value

    return change


def refused(city: Path, cli: Cli, change: Callable[[dict[str, Any]], None], words: str) -> None:
    """Asserts that an index with a change ends in one line with `words`, and in no picture."""
    content = json.loads(city.read_bytes())
    change(content)
    Path("bad.pcgsx").write_text(json.dumps(content))
    ran = cli("render", "bad.pcgsx", "-o", "a.png", "--view", "0")
    assert (ran.code, len(ran.lines)) == (3, 1), ran.err
    assert words in ran.err and "bad.pcgsx" in ran.err
    assert not Path("a.png").exists()
