"""COLMAP models: `cameras`, `images` and `points3D`, each as `.bin` (binary.py) or `.txt` (text.py).

What both forms have in common is checked in model.py, so that both readers agree on what a sound model is.
"""

from gspc.data.colmap.model import find_points, member, read_cameras, read_model, read_points, write_model
from gspc.data.colmap.types import (
    MAX_COORDINATE,
    ColmapCamera,
    ColmapImage,
    ColmapModel,
    ColmapPoints,
    without_tracks,
)

__all__ = [
    "MAX_COORDINATE",
    "ColmapCamera",
    "ColmapImage",
    "ColmapModel",
    "ColmapPoints",
    "find_points",
    "member",
    "read_cameras",
    "read_model",
    "read_points",
    "without_tracks",
    "write_model",
]
