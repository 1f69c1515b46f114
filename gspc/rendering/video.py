"""Pictures as a film, through imageio's PyAV plugin (the extra gspc[video])."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gspc.errors import BackendError
from gspc.output import atomic_file, check_target
from gspc.rendering.frames import Drawing, to_uint8
from gspc.rendering.rasterizer import Backend
from gspc.rendering.render import Renderer
from gspc.scene import Camera, DecodedScene


@dataclass(frozen=True)
class Container:
    """A kind of file and the encoder that it gets."""

    name: str
    codec: str


CONTAINERS = {
    ".mp4": Container("mp4", "libx264"),
    ".mov": Container("mov", "libx264"),
    ".mkv": Container("matroska", "libx264"),
    ".webm": Container("webm", "libvpx-vp9"),
}


def require_video() -> None:
    """Raises BackendError where nothing here can write films."""
    try:
        import av  # noqa: F401
    except ImportError:
        raise BackendError(
            "films need PyAV: pip install 'gspc[video]', or name a directory for numbered pictures"
        ) from None


def even(camera: Camera) -> Camera:
    """The same view without the last column and row where their number is odd: films halve their colors."""
    return replace(camera, width=max(camera.width & ~1, 2), height=max(camera.height & ~1, 2))


def write_video(
    scene: DecodedScene | Drawing,
    cameras: Sequence[Camera],
    path: Path,
    *,
    fps: float,
    backend: str | Backend = "cpu",
    overwrite: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> None:
    """Draws `cameras`, all of the first one's size, into a film, whole or not at all; `on_frame` hears how
    many are done. No more than the encoder's few frames are in memory.

    Raises OutputError, BackendError (no PyAV, no such device), InputError.
    """
    require_video()
    check_target(path, force=overwrite)
    import imageio.v3 as iio

    kind = CONTAINERS[path.suffix.lower()]
    width, height = even(cameras[0]).width, even(cameras[0]).height
    renderer = Renderer(scene, backend) if isinstance(scene, DecodedScene) else scene
    with (
        atomic_file(path) as stream,
        iio.imopen(stream, "w", plugin="pyav", extension=path.suffix.lower(), container=kind.name) as film,
    ):
        film.init_video_stream(kind.codec, fps=fps, pixel_format="yuv420p")
        for number, camera in enumerate(cameras, start=1):
            film.write_frame(to_uint8(renderer.render(camera))[:height, :width])
            if on_frame is not None:
                on_frame(number)
