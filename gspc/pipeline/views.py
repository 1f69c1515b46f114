"""Which cameras to look through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.errors import UsageError
from gspc.pipeline.camera_paths import camera_path

if TYPE_CHECKING:
    from gspc.choices import LensField
    from gspc.pipeline.plain import PlainScene
    from gspc.scene import Camera, DecodedScene, Note


def choose_cameras(
    scene: DecodedScene | PlainScene,
    *,
    directory: Path | None = None,
    view: str | None = None,
    size: str | None = None,
    field: LensField = "full",
    path: str | None = None,
    frames: int | None = None,
    on_note: Callable[[Note], None] = lambda note: None,
) -> tuple[Camera, ...]:
    """The cameras to render: a directory's or the scene's suggested ones, narrowed to one view, resized.

    `view` is a name or an index, `size` is WIDTH or WIDTHxHEIGHT; `field` says what is kept of lenses that
    bend lines, `on_note` hears what was found in the directory. `path` makes a path of `frames` cameras of
    them instead; see `camera_path`. Raises UsageError, InputError.
    """
    from gspc.rendering import select_cameras

    if directory is None:
        found = scene.cameras
    else:
        from gspc.data import read_cameras

        found, notes = read_cameras(directory, field)
        for note in notes:
            on_note(note)
    if path is not None:
        if view is not None:
            raise UsageError("--view draws one picture and --path many; give one")
        found = camera_path(scene, path, frames=frames, cameras=found, field=field, on_note=on_note)
    elif frames is not None:
        raise UsageError("--frames says how long a path is; add --path")
    return select_cameras(found, () if view is None else (view,), size)
