"""A tile: the block of a large scene that a stream holds, as the stream's metadata names it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.format.usable import frame_problem, name_problem
from gspc.scene import F64, Frame

KEY = "tile"  # of the metadata
PLAN = (0, 2)  # axes of the ground plane: y points down in the canonical frame
MAX_SIDE = 2.0**33  # of a box, in the scene's own units; as far as anchors can be

Pair = tuple[float, float]


@dataclass(frozen=True)
class Tile:
    """A box of the ground plane. What it holds is half open, so that a point lies in one box of a plane that
    boxes divide, and outer boxes are without end."""

    name: str
    frame: Frame  # of the whole scene; the box is in its coordinates
    low: Pair  # x and z, -inf where the box does not end
    high: Pair  # x and z, inf where it does not

    def owns(self, points: F64) -> NDArray[np.bool_]:  # [n, 3] -> [n]
        """Which points, in the user's coordinates, the tile holds."""
        return self.holds(self.frame.to_canonical(points))

    def holds(self, points: F64) -> NDArray[np.bool_]:  # [n, 3] -> [n]
        """The same of points in the frame's coordinates."""
        plan = points[:, PLAN]
        return np.asarray(((plan >= self.low) & (plan < self.high)).all(axis=1))

    def to_plain(self) -> dict[str, Any]:
        """Names, numbers and lists, as files hold a tile; null where a box does not end."""
        return {"name": self.name, "frame": self.frame.to_plain()} | box_to_plain(self.low, self.high)

    def to_text(self) -> str:
        """The tile in one line, for metadata."""
        return json.dumps(self.to_plain(), allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_plain(cls, values: Any) -> Tile:
        """The reverse of `to_plain`. Raises InputError for anything else."""
        try:
            name, frame = values["name"], Frame.from_plain(values["frame"])
            low, high = box_from_plain(values)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise InputError(f"its tile is damaged ({error})") from None
        problem = name_problem(name) if isinstance(name, str) else "its name is no text"
        problem = problem or frame_problem(frame)
        if problem is not None:
            raise InputError(f"its tile is damaged ({problem})")
        return cls(name, frame, low, high)


def box_to_plain(low: Pair, high: Pair) -> dict[str, list[float | None]]:
    """The sides along x and z; null where the box does not end."""
    ends = [float(end) if math.isfinite(end) else None for end in (*low, *high)]
    return {"x": [ends[0], ends[2]], "z": [ends[1], ends[3]]}


def box_from_plain(values: Mapping[str, Any]) -> tuple[Pair, Pair]:
    """The reverse: low and high corner. Raises KeyError, TypeError and ValueError for what is no box."""
    (left, right), (near, far) = (_side(values[axis], axis) for axis in "xz")
    return (left, near), (right, far)


def _side(values: Any, axis: str) -> Pair:
    if not isinstance(values, list) or len(values) != 2:
        raise ValueError(f"its side along {axis} is no pair of numbers")
    for value in values:
        if value is not None and (type(value) not in (int, float) or not abs(value) <= MAX_SIDE):
            raise ValueError(f"its side along {axis} does not end at a number within 2^33")
    low = -math.inf if values[0] is None else float(values[0])
    high = math.inf if values[1] is None else float(values[1])
    if not low < high:
        raise ValueError(f"its side along {axis} is empty")
    return low, high


def tile_in(metadata: Mapping[str, str]) -> Tile | None:
    """The tile that metadata of a model or a stream names; None where it names none. Raises InputError."""
    text = metadata.get(KEY)
    if text is None:
        return None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"its tile is damaged ({error})") from None
    return Tile.from_plain(values)
