"""The data that travels between rooms: frozen dataclasses over numpy, no torch.

Legend for shape comments: N anchors, K offsets per anchor, M Gaussians, F features, L levels, H W image.
Cameras are world-to-camera with OpenCV axes (x right, y down, z forward); quaternions are wxyz; colours are
sRGB-encoded value / 255.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera. Focal lengths and principal point in pixels; pixel centers lie at +0.5. In its own
    coordinates x points right, y down and z forward, as in OpenCV and COLMAP.

    >>> import gspc
    >>> import numpy as np
    >>> pose = np.eye(4)  # looks along z
    >>> pose[:3, 3] = (0, 0, 3)  # at the origin, from 3 units away
    >>> camera = gspc.Camera("mine", 64, 48, 60.0, 60.0, 32.0, 24.0, pose)
    >>> camera.center.tolist(), gspc.render("scene.pcgs", camera).shape
    ([0.0, 0.0, -3.0], (48, 64, 3))
    """

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    world_to_camera: F64  # [4, 4]

    @property
    def center(self) -> F64:  # [3]
        """Camera position in world space."""
        rotation = self.world_to_camera[:3, :3]
        return -rotation.T @ self.world_to_camera[:3, 3]

    def to_plain(self) -> dict[str, Any]:
        """Names, numbers and lists, as files hold a camera."""
        return {
            "name": self.name,
            "size": [int(self.width), int(self.height)],
            "intrinsics": [float(value) for value in (self.fx, self.fy, self.cx, self.cy)],
            "world_to_camera": [[float(value) for value in row] for row in self.world_to_camera],
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Camera:
        """The reverse of `to_plain`. KeyError, TypeError and ValueError say that `values` are something else.

        What the numbers are is for `gspc.format.usable` to judge.
        """
        width, height = values["size"]
        fx, fy, cx, cy = (float(value) for value in values["intrinsics"])
        pose = np.array([[float(value) for value in row] for row in values["world_to_camera"]])
        if pose.shape != (4, 4):
            raise ValueError("a pose is a 4x4 matrix")
        return cls(values["name"], width, height, fx, fy, cx, cy, pose)

    def resized(self, width: int, height: int) -> Camera:
        """The same view on another pixel grid."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=self.cx * sx,
            cy=self.cy * sy,
        )


@dataclass(frozen=True)
class Frame:
    """Where a scene's own coordinates lie in the user's: user = scale * rotation @ own + translation."""

    scale: float = 1.0  # user's units per own unit, positive
    rotation: F64 = field(default_factory=lambda: np.eye(3))  # [3, 3]
    translation: F64 = field(default_factory=lambda: np.zeros(3))  # [3]

    def to_user(self, points: NDArray[np.floating]) -> F64:  # [n, 3] -> [n, 3]
        """Own coordinates in the user's."""
        return self.scale * (points @ self.rotation.T) + self.translation

    def to_canonical(self, points: F64) -> F64:  # [n, 3] -> [n, 3]
        """The user's coordinates in the scene's own."""
        return (points - self.translation) @ self.rotation / self.scale

    def to_plain(self) -> dict[str, Any]:
        """Names, numbers and lists, as files hold a frame."""
        return {
            "scale": float(self.scale),
            "rotation": [[float(value) for value in row] for row in self.rotation],
            "translation": [float(value) for value in self.translation],
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Frame:
        """The reverse of `to_plain`. KeyError, TypeError and ValueError say that `values` are something else.

        What the numbers are is for `gspc.format.usable` to judge.
        """
        rotation = np.array([[float(value) for value in row] for row in values["rotation"]])
        translation = np.array([float(value) for value in values["translation"]])
        if rotation.shape != (3, 3) or translation.shape != (3,):
            raise ValueError("a frame has a 3x3 matrix and three numbers")
        return cls(float(values["scale"]), rotation, translation)

    @property
    def identity(self) -> bool:
        """Whether own and user's coordinates are the same."""
        return self.scale == 1 and not self.translation.any() and np.array_equal(self.rotation, np.eye(3))

    def camera_to_canonical(self, camera: Camera) -> Camera:
        """The camera that sees in own coordinates what `camera` sees in the user's: the same picture, since
        depths all shrink alike."""
        if self.identity:
            return camera
        pose = np.eye(4)
        pose[:3, :3] = camera.world_to_camera[:3, :3] @ self.rotation
        pose[:3, 3] = -pose[:3, :3] @ self.to_canonical(camera.center)
        return replace(camera, world_to_camera=pose)

    def camera_to_user(self, camera: Camera) -> Camera:
        """The reverse of `camera_to_canonical`."""
        if self.identity:
            return camera
        pose = np.eye(4)
        pose[:3, :3] = camera.world_to_camera[:3, :3] @ self.rotation.T
        pose[:3, 3] = -pose[:3, :3] @ self.to_user(camera.center)
        return replace(camera, world_to_camera=pose)


@dataclass(frozen=True)
class View:
    """A photograph: its camera (already at the training resolution) and how to get its pixels."""

    camera: Camera
    # -> [H, W, 3] at the camera's size, may be read-only
    load: Callable[[], U8] = field(compare=False, repr=False)
    path: Path | None = None
    # -> [H, W] True where the photograph counts; None where all of it does
    mask: Callable[[], NDArray[np.bool_]] | None = field(default=None, compare=False, repr=False)
    mask_path: Path | None = None  # None where no file masks the photograph; its lens still may
    turned: int = 1  # the EXIF orientation that loading undoes
    # -> [H, W] how much of each pixel the photograph covers, 255 for all of it; None where that is everywhere
    # so
    alpha: Callable[[], U8] | None = field(default=None, compare=False, repr=False)
    # -> the view to train on in this iteration, of a source that can be drawn from anywhere
    fresh: Callable[[int], View] | None = field(default=None, compare=False, repr=False)

    def at(self, iteration: int) -> View:
        """What to train on in an iteration: a fresh view near this one where there is one, else this."""
        return self if self.fresh is None else self.fresh(iteration)


@dataclass(frozen=True)
class Note:
    """One line on what was found in the input, mended or left out; a warning where the user may want to
    act."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class SceneData:
    """What a fit starts from."""

    name: str
    train: tuple[View, ...]
    test: tuple[View, ...]
    points: F64  # [P, 3] world space; none: the fit starts from random ones
    colors: U8  # [P, 3]
    background: tuple[float, float, float]
    notes: tuple[Note, ...] = ()

    @property
    def views(self) -> tuple[View, ...]:
        """All views, sorted by name."""
        return tuple(sorted((*self.train, *self.test), key=lambda view: view.camera.name))


@dataclass(frozen=True)
class Gaussians:
    """Neural Gaussians decoded from anchors for one view.

    >>> import gspc
    >>> scene = gspc.open("scene.pcgs")
    >>> found = scene.gaussians(scene.cameras[0])
    >>> found.means.shape[1], found.quats.shape[1], bool((found.opacities > 0).all())
    (3, 4, True)
    """

    means: F32  # [M, 3] world space
    quats: F32  # [M, 4] wxyz, normalized
    scales: F32  # [M, 3] standard deviations in world units, after exp
    opacities: F32  # [M] in (0, 1]
    colors: F32  # [M, 3] in [0, 1]

    @property
    def parts(self) -> tuple[F32, F32, F32, F32, F32]:
        """Means, quats, scales, opacities and colors [M, ...]: what a rasterizer takes, in its order."""
        return self.means, self.quats, self.scales, self.opacities, self.colors


@dataclass(frozen=True)
class Heads:
    """Weights of the Gaussian heads (method section 1): three two-layer ReLU networks that share their input.

    The input of an anchor is [feature (F), unit view direction from camera to anchor (3), distance *
    distance_scale (1)]. The three hidden layers (opacity, color, cov, H units each) are stacked into w1, b1.
    Outputs are ordered offset-major: rows [k * C, (k + 1) * C) belong to offset k.
    """

    w1: F32  # [3H, F + 4]
    b1: F32  # [3H]
    w_opacity: F32  # [K, H]
    b_opacity: F32  # [K]
    w_color: F32  # [3K, H]
    b_color: F32  # [3K]
    w_cov: F32  # [7K, H]: per offset 3 scale logits, then 4 quaternion components wxyz
    b_cov: F32  # [7K]
    distance_scale: float


@dataclass(frozen=True)
class DecodedScene:
    """A scene restored from a stream (or exported from a model) at one level: all a renderer needs,
    nothing trainable.

    >>> import gspc
    >>> scene = gspc.open("scene.pcgs").decoded
    >>> scene.anchors.shape[0] == scene.features.shape[0] == scene.gaussian_mask.shape[0]
    True
    """

    level: int  # level this scene was restored to, counted from 1
    levels: int  # levels the stream holds
    anchors: F32  # [N, 3] in the scene's own coordinates
    features: F32  # [N, F]
    log_scales: F32  # [N, 6]
    offsets: F32  # [N, K, 3]
    gaussian_mask: NDArray[np.bool_]  # [N, K]
    heads: Heads
    background: tuple[float, float, float]
    cameras: tuple[Camera, ...]  # suggested views, at most 64
    metadata: Mapping[str, str] = field(default_factory=dict)
    # How many of the last features are stored residuals; those before come from the pool. 0: no pool.
    residuals: int = 0
    frame: Frame = field(default_factory=Frame)  # of the user's coordinates, which cameras are in

    def in_own_coordinates(self) -> DecodedScene:
        """The same scene with its cameras where its anchors are, and nothing left to convert."""
        cameras = tuple(self.frame.camera_to_canonical(camera) for camera in self.cameras)
        return replace(self, cameras=cameras, frame=Frame())
