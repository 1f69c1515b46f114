"""Which cameras to look through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gspc.scene import Camera, DecodedScene


def choose_cameras(
    scene: DecodedScene, *, directory: Path | None = None, view: str | None = None, size: str | None = None
) -> tuple[Camera, ...]:
    """The cameras to render: a directory's or the scene's suggested ones, narrowed to one view, resized.

    `view` is a name or an index, `size` is WIDTH or WIDTHxHEIGHT. Raises UsageError, InputError.
    """
    from gspc.rendering import select_cameras

    if directory is None:
        found = scene.cameras
    else:
        from gspc.data import load_cameras

        found = load_cameras(directory)
    return select_cameras(found, () if view is None else (view,), size)
