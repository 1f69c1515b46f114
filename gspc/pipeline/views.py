"""Which cameras to look through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gspc.config import LensField
    from gspc.pipeline.plain import PlainScene
    from gspc.scene import Camera, DecodedScene, Note


def choose_cameras(
    scene: DecodedScene | PlainScene,
    *,
    directory: Path | None = None,
    view: str | None = None,
    size: str | None = None,
    field: LensField = "full",
    on_note: Callable[[Note], None] = lambda note: None,
) -> tuple[Camera, ...]:
    """The cameras to render: a directory's or the scene's suggested ones, narrowed to one view, resized.

    `view` is a name or an index, `size` is WIDTH or WIDTHxHEIGHT; `field` says what is kept of lenses that
    bend lines, `on_note` hears what was found in the directory. Raises UsageError, InputError.
    """
    from gspc.rendering import select_cameras

    if directory is None:
        found = scene.cameras
    else:
        from gspc.data import read_cameras

        found, notes = read_cameras(directory, field)
        for note in notes:
            on_note(note)
    return select_cameras(found, () if view is None else (view,), size)
