"""An input as an object: what is in it, what a level of it looks like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from gspc.errors import UsageError
from gspc.pipeline.compressing import as_stream
from gspc.pipeline.decompressing import restore
from gspc.pipeline.exporting import placed, representable
from gspc.pipeline.plain import PlainScene, drawing, plain_scene
from gspc.pipeline.source import Given, Source, naming, refuse_splats, source_of
from gspc.pipeline.tiling import tiled_scene
from gspc.pipeline.views import choose_cameras

if TYPE_CHECKING:
    from gspc.rendering.frames import Drawing
    from gspc.scene import U8, Camera, DecodedScene, Frame, Gaussians
    from gspc.splats import Splats
    from gspc.tiles import TiledScene

Size: TypeAlias = int | tuple[int, int] | str  # width, both sides, or as --size takes it


@dataclass(frozen=True)
class Scene(Source):
    """An opened file: a stream, a decoded scene, a model, an index of tiles, or splats of another tool.

    Every function of gspc takes it in place of a path. Nothing is decoded before it is asked for, and nothing
    twice. A model is compressed first: it looks as its stream will. Of tiles a picture decodes those that it
    shows; arrays are had of their streams, one by one.

    >>> import gspc
    >>> scene = gspc.open("scene.pcgs")
    >>> scene.kind, scene.levels, len(scene.cameras)
    ('pcgs', 2, 8)
    >>> scene.level(1).render(scene.cameras[0]).shape
    (48, 64, 3)
    """

    upto: int | None = None  # level of an index's tiles; None for the last

    @cached_property
    def _stream(self) -> Source:
        return as_stream(self)

    @cached_property
    def _plain(self) -> PlainScene:
        return plain_scene(self)

    @cached_property
    def _tiled(self) -> TiledScene:
        return tiled_scene(self, upto=self.upto)

    @property
    def _views(self) -> PlainScene | TiledScene | DecodedScene:
        """What suggests cameras."""
        if self.kind == "tiles":
            return self._tiled
        return self._plain if self.kind == "splats" else self.decoded

    @cached_property
    def _drawings(self) -> dict[str, Drawing]:
        return {}

    @cached_property
    def levels(self) -> int:
        """Whole levels that are here; 1 for decoded scenes and splats. Raises InputError, BitstreamError."""
        if self.kind == "tiles":
            return self._tiled.level
        if self._stream.kind != "pcgs":
            return 1
        from gspc.format import describe

        with naming(self.name):
            return describe(self._stream.data).whole_levels

    def level(self, level: int) -> Scene:
        """The scene as the stream holds it that ends with this level, counted from 1.

        Nothing is decoded for it. Raises UsageError when there is no such level, InputError for splats.

        >>> import gspc
        >>> scene = gspc.open("scene.pcgs")
        >>> len(scene.level(1).data) < len(scene.level(2).data) == len(scene.data)
        True
        """
        if self.kind != "tiles":
            refuse_splats(self, "has no levels")
        if not 1 <= level <= self.levels:
            raise UsageError(f"has {self.levels} levels; there is no level {level}", source=self.name)
        if self.kind == "tiles":
            return replace(self, upto=level)
        if self._stream.kind != "pcgs":
            return self
        from gspc.codec import truncate_levels

        with naming(self.name):
            data = truncate_levels(self._stream.data, level)
        return Scene(self.name, "pcgs", data, self.given)

    @cached_property
    def decoded(self) -> DecodedScene:
        """Anchors, features and heads of the last level as arrays. Anchors lie in the scene's own
        coordinates, from which `decoded.frame` leads to those of the cameras.

        Raises InputError, for splats too, and BitstreamError.
        """
        return restore(self._stream).scene

    @property
    def cameras(self) -> tuple[Camera, ...]:
        """Suggested views; for splats, which suggest none, views from a circle around them."""
        return self._views.cameras

    def camera(self, view: str | int = 0, *, size: Size | None = None) -> Camera:
        """A suggested view by its name or number, on request resized to a width or to (width, height).

        Raises UsageError when it is not there.

        >>> import gspc
        >>> camera = gspc.open("scene.pcgs").camera(2, size=32)
        >>> camera.width, camera.height
        (32, 24)
        """
        with naming(self.name):
            return choose_cameras(self._views, view=str(view), size=_size_text(size))[0]

    def gaussians(self, camera: Camera) -> Gaussians:
        """All Gaussians as they look from the place of a camera, in or out of its picture. Both are in the
        user's coordinates, which are those of the suggested cameras.

        >>> import gspc
        >>> scene = gspc.open("scene.pcgs")
        >>> found = scene.level(2).gaussians(scene.cameras[0])
        >>> found.means.shape == found.colors.shape == found.scales.shape
        True
        """
        if self.kind == "splats":
            from gspc.splats import gaussians_for_camera

            return gaussians_for_camera(self._plain.splats, camera)
        from gspc.rendering.heads import gaussians_for_view

        frame = self.decoded.frame
        return _in_user_coordinates(
            gaussians_for_view(self.decoded, frame.camera_to_canonical(camera)), frame
        )

    def splats(self, degree: int = 3) -> Splats:
        """Plain Gaussians with harmonics up to `degree`, as export writes them; baked for the suggested
        cameras where the scene is gspc's own.

        Raises UsageError for a degree outside of 0 to 3, InputError for a scene without cameras or Gaussians,
        BackendError.

        >>> import gspc
        >>> splats = gspc.open("scene.pcgs").splats(degree=1)
        >>> splats.sh.shape[1:], splats.frame
        ((4, 3), 'RDF')
        """
        if not 0 <= degree <= 3:
            raise UsageError(f"harmonics have degrees 0 to 3, not {degree}", source=self.name)
        if self.kind == "splats":
            return self._plain.splats.with_degree(degree)
        from gspc.splats import bake

        with naming(self.name):
            splats = bake(self.decoded.in_own_coordinates(), degree)
        return placed(splats, representable(self.decoded.frame)[0])

    def render(self, camera: Camera | str | int = 0, *, size: Size | None = None, device: str = "cpu") -> U8:
        """The picture from a camera, or from a suggested view by name or number, as in the PNG files of
        `gspc render`: [H, W, 3].

        `size` resizes the picture, see `camera`. `device` is "auto", "cpu", "cuda" or "cuda:N". Raises
        UsageError, InputError, BitstreamError, BackendError.

        >>> import gspc
        >>> scene = gspc.open("scene.pcgs")
        >>> pictures = [scene.render(camera) for camera in scene.cameras]
        >>> len(pictures), pictures[0].shape, pictures[0].dtype.name
        (8, (48, 64, 3), 'uint8')
        """
        from gspc.rendering.frames import select_cameras, to_uint8

        if isinstance(camera, str | int):
            seen = self.camera(camera, size=size)
        else:
            (seen,) = select_cameras((camera,), size=_size_text(size))
        return to_uint8(self._drawing(device).render(seen))

    def _drawing(self, device: str) -> Drawing:
        if device not in self._drawings:
            self._drawings[device] = self._made(device)
        return self._drawings[device]

    def _made(self, device: str) -> Drawing:
        from gspc.rendering import Renderer

        if self.kind == "tiles":
            return self._tiled.renderer(device)
        return drawing(self._plain, device) if self.kind == "splats" else Renderer(self.decoded, device)


def _in_user_coordinates(found: Gaussians, frame: Frame) -> Gaussians:
    if frame.identity:
        return found
    import numpy as np

    from gspc.rotations import quaternion_of
    from gspc.splats.transform import multiply

    return replace(
        found,
        means=frame.to_user(found.means).astype(np.float32),
        quats=multiply(quaternion_of(frame.rotation), found.quats),
        scales=found.scales * np.float32(frame.scale),
    )


def _size_text(size: Size | None) -> str | None:
    if size is None:
        return None
    return "x".join(map(str, size)) if isinstance(size, tuple) else str(size)


def open(source: Given) -> Scene:
    """Opens a file by its path, or its content if bytes are given; what it is shows in its content.

    Raises InputError for anything that is neither a stream, a decoded scene, a model, an index of tiles nor
    splats.

    >>> import gspc
    >>> scene = gspc.open("scene.pcgs")
    >>> gaussians = scene.level(2).gaussians(scene.camera(0))
    >>> gaussians.means.shape[1], gaussians.opacities.ndim
    (3, 1)
    """
    found = source_of(source)
    return found if isinstance(found, Scene) else Scene(found.name, found.kind, found.data, found.given)


def render(
    source: Given,
    camera: Camera | str | int = 0,
    *,
    upto: int | None = None,
    size: Size | None = None,
    device: str = "cpu",
) -> U8:
    """One picture of a scene at level `upto` (None: the last), [H, W, 3]; see `Scene.render`.

    For several pictures of one scene `open` it, so that it is decoded only once.

    >>> import gspc
    >>> gspc.render("scene.pcgs", size=(128, 96)).shape
    (96, 128, 3)
    """
    scene = open(source)
    return (scene if upto is None else scene.level(upto)).render(camera, size=size, device=device)
