"""Scenes to pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.errors import UsageError

if TYPE_CHECKING:
    from gspc.pipeline.source import Source
    from gspc.scene import Camera, DecodedScene, Note


def choose_cameras(
    scene: DecodedScene,
    *,
    directory: Path | None = None,
    view: str | None = None,
    size: str | None = None,
    field: str = "full",
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


def render_png(scene: DecodedScene, camera: Camera, *, device: str = "cpu") -> bytes:
    """One view as a PNG file."""
    from gspc.rendering import encode_png, render_view

    return encode_png(render_view(scene, camera, backend=device))


def render_directory(
    scene: DecodedScene,
    cameras: Sequence[Camera],
    directory: Path,
    *,
    device: str = "cpu",
    force: bool = False,
    on_picture: Callable[[Path], None] | None = None,
) -> tuple[Path, ...]:
    """The views as PNG files named after them. Raises OutputError, before rendering, when one exists."""
    from gspc.rendering import write_frames

    return write_frames(scene, cameras, directory, backend=device, overwrite=force, on_frame=on_picture)


def coarse(scene: DecodedScene) -> DecodedScene:
    """The scene without its residual features: what the feature pool alone predicts.

    Raises UsageError for a scene without residuals: of the plain family, or of a pool alone.
    """
    import numpy as np

    if scene.residuals == 0:
        raise UsageError(
            "has no residual features to leave out; --coarse is for models with a pool and residuals"
        )
    features = np.array(scene.features)
    features[:, features.shape[1] - scene.residuals :] = 0
    return replace(scene, features=features)


def draw_bit_map(source: Source, *, view: str | None = None, threads: int = 0) -> bytes:
    """A PNG: per level a panel of balls, sized by the anchors in a voxel and colored by the bits that the
    level adds there; below, voxels with newly decoded anchors in red.

    Seen from the suggested camera `view` (a name or an index; the first by default). Raises UsageError,
    InputError, BitstreamError.
    """
    from gspc.pipeline.bit_map import render_bit_map

    return render_bit_map(source, view=view, threads=threads)
