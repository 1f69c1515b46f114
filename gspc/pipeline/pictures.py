"""Scenes to pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.errors import UsageError
from gspc.format.limits import MAX_MEMORY
from gspc.pipeline.plain import PlainScene, drawing

if TYPE_CHECKING:
    from gspc.pipeline.source import Source
    from gspc.rendering.frames import Drawing
    from gspc.scene import Camera, DecodedScene
    from gspc.tiles import TiledScene

    Drawable = DecodedScene | PlainScene | TiledScene


def _drawn(scene: Drawable, device: str, max_memory: int) -> Drawing:
    """What draws a scene and takes at most `max_memory` bytes; a tiled one has a limit of its own. Raises
    BackendError, InputError."""
    from gspc.rendering import Renderer
    from gspc.scene import DecodedScene

    if isinstance(scene, PlainScene):
        return drawing(scene, device, max_memory)
    if not isinstance(scene, DecodedScene):
        return scene.renderer(device)
    return Renderer(scene, device, max_memory=max_memory)


def render_picture(
    scene: Drawable,
    camera: Camera,
    kind: str,
    *,
    device: str = "cpu",
    max_memory: int = MAX_MEMORY,
) -> bytes:
    """One view as a file, `kind` "png" or "jpg"."""
    from gspc.rendering import encode_jpeg, encode_png

    encode = encode_jpeg if kind == "jpg" else encode_png
    return encode(_drawn(scene, device, max_memory).render(camera))


def render_film(
    scene: Drawable,
    cameras: Sequence[Camera],
    path: Path,
    *,
    fps: float,
    device: str = "cpu",
    max_memory: int = MAX_MEMORY,
    force: bool = False,
    on_picture: Callable[[int], None] | None = None,
) -> None:
    """The views, one after another, as a film whose format the suffix of `path` says, whole or not at all.
    Raises OutputError, BackendError."""
    from gspc.rendering.video import write_video

    shown = _drawn(scene, device, max_memory)
    write_video(shown, cameras, path, fps=fps, overwrite=force, on_frame=on_picture)


def render_directory(
    scene: Drawable,
    cameras: Sequence[Camera],
    directory: Path,
    *,
    device: str = "cpu",
    max_memory: int = MAX_MEMORY,
    force: bool = False,
    on_picture: Callable[[Path], None] | None = None,
) -> tuple[Path, ...]:
    """The views as PNG files named after them. Raises OutputError, before rendering, when one exists."""
    from gspc.rendering import write_frames

    shown = _drawn(scene, device, max_memory)
    return write_frames(shown, cameras, directory, overwrite=force, on_frame=on_picture)


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


def draw_bit_map(
    source: Source, *, view: str | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> bytes:
    """A PNG: per level a panel of balls, sized by the anchors in a voxel and colored by the bits that the
    level adds there; below, voxels with newly decoded anchors in red.

    Seen from the suggested camera `view` (a name or an index; the first by default). Raises UsageError,
    InputError, BitstreamError.
    """
    from gspc.pipeline.bit_map import render_bit_map

    return render_bit_map(source, view=view, threads=threads, max_memory=max_memory)
