"""What a scene may hold so that everything behind the decoder stays finite in float32, whoever wrote it.

Encoder, reader and writer of decoded scenes, and renderer ask here. The core asks the same of a stream
(format/usable.cpp), in the same words, whether it reads or writes. The bounds are in `limits`, their reasons
in pcgs(5), LIMITS. Each function returns None, or what is wrong, to follow the name of what was asked about.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gspc.format import limits

if TYPE_CHECKING:
    from gspc.scene import Camera, DecodedScene, Frame

_POSE_END = (0.0, 0.0, 0.0, 1.0)
_HEAD_ARRAYS = ("w1", "b1", "w_opacity", "b_opacity", "w_color", "b_color", "w_cov", "b_cov")


def camera_problem(camera: Camera) -> str | None:
    """Name, size, lens and pose of a camera."""
    problem = name_problem(camera.name) or _lens_problem(camera)
    return problem or _pose_problem([[float(value) for value in row] for row in camera.world_to_camera])


def cameras_problem(cameras: Sequence[Camera]) -> str | None:
    """How many there are, and the first that cannot be used, counted from 1."""
    if len(cameras) > limits.MAX_CAMERAS:
        return f"more than {limits.MAX_CAMERAS} cameras"
    for number, camera in enumerate(cameras, start=1):
        if (problem := camera_problem(camera)) is not None:
            return f"camera {number}: {problem}"
    return None


def name_problem(name: str | bytes) -> str | None:
    """A camera's name: UTF-8 of at most 1,024 bytes without characters that steer a terminal."""
    data = name if isinstance(name, bytes) else name.encode("utf-8", "surrogatepass")
    if len(data) > limits.MAX_NAME_BYTES:
        return f"its name is longer than {limits.MAX_NAME_BYTES} bytes"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "its name is not UTF-8 text"
    control = any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in text)
    return "its name has control characters" if control else None


def _lens_problem(camera: Camera) -> str | None:
    if not all(_whole(side) and 1 <= side <= limits.MAX_SIDE for side in (camera.width, camera.height)):
        return f"its width and height must be 1 to {limits.MAX_SIDE} pixels"
    if not all(limits.MIN_FOCAL <= focal <= limits.MAX_FOCAL for focal in (camera.fx, camera.fy)):
        return "its focal lengths must be 2^-10 to 2^30 pixels"
    if not all(abs(center) <= limits.MAX_CENTER for center in (camera.cx, camera.cy)):
        return "its principal point must be within 2^24 pixels"
    return None


def _pose_problem(pose: list[list[float]]) -> str | None:
    if [len(row) for row in pose] != [4, 4, 4, 4]:
        return "its pose is no 4x4 matrix"
    if not _rotation(*pose[:3]):
        return "its pose has no rotation"
    if not all(abs(row[3]) <= limits.MAX_TRANSLATION for row in pose[:3]):
        return "its pose moves by more than 2^33"
    return None if tuple(pose[3]) == _POSE_END else "its pose does not end with 0 0 0 1"


def _rotation(a: list[float], b: list[float], c: list[float]) -> bool:
    """Rows orthonormal and right-handed; sums in the order of the core, which must agree to the last bit."""
    rows = (a, b, c)
    for i, x in enumerate(rows):
        for j in range(i, 3):
            y = rows[j]
            product = x[0] * y[0] + x[1] * y[1] + x[2] * y[2]
            if not abs(product - (i == j)) <= limits.MAX_ROTATION_ERROR:
                return False
    determinant = (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
    return determinant > 0


def placement_problem(
    step_base: Iterable[float], origin: Iterable[float], voxel_size: float, background: Iterable[float]
) -> str | None:
    """Steps [3] of features, scaling and offsets, origin [3] and voxel size in world units, a color [3]."""
    if not all(0 < step <= limits.MAX_STEP for step in step_base):
        return "quantization steps must be positive and at most 2^20"
    if not all(abs(value) <= limits.MAX_ORIGIN for value in origin):
        return "the origin must be within 2^32"
    if not 0 < voxel_size <= limits.MAX_VOXEL:
        return "voxel size must be positive and at most 2^11"
    return background_problem(background)


def background_problem(background: Iterable[float]) -> str | None:
    """Red, green and blue."""
    usable = all(0 <= value <= 1 for value in background)
    return None if usable else "the background must be a color, 0 to 1"


def frame_problem(frame: Frame) -> str | None:
    """Scale, rotation and translation from a scene's own coordinates to the user's."""
    if not limits.MIN_FRAME_SCALE <= frame.scale <= limits.MAX_FRAME_SCALE:
        return "the frame's scale must be 2^-64 to 2^32"
    if not _rotation(*frame.rotation.tolist()):
        return "the frame has no rotation"
    if not all(abs(value) <= limits.MAX_ORIGIN for value in frame.translation):
        return "the frame's translation must be within 2^32"
    return None


def stored_heads_problem(heads: Any) -> str | None:
    """Scales and biases of every layer of a `QuantizedHeads`."""
    for layer in heads.layers():
        if not (_bounded(layer.scale, limits.MAX_HEAD_FLOAT) and _bounded(layer.bias, limits.MAX_HEAD_FLOAT)):
            return "scales and biases must be within 2^20"
    return distance_problem(heads.distance_scale)


def distance_problem(distance_scale: float) -> str | None:
    """What heads multiply distances with."""
    usable = abs(distance_scale) <= limits.MAX_HEAD_FLOAT
    return None if usable else "the distance scale must be within 2^20"


def is_text(value: object) -> bool:
    """Whether a value is text that can be written as UTF-8."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def metadata_problem(metadata: Mapping[str, str]) -> str | None:
    """Text to text, no longer than a stream may hold."""
    if not all(is_text(part) for entry in metadata.items() for part in entry):
        return "metadata must be text"
    length = sum(len(part) for entry in metadata.items() for part in entry)
    most = limits.MAX_METADATA_BYTES
    return None if length <= most else f"metadata is longer than {most} characters"


def scene_problem(scene: DecodedScene) -> str | None:
    """Everything of a decoded scene but the shapes of its arrays: what the decoder gives is usable."""
    if not 1 <= scene.level <= scene.levels <= limits.MAX_LEVELS:
        return "its level makes no sense"
    if not 0 <= scene.residuals <= scene.features.shape[1]:
        return "its number of residuals makes no sense"
    count, offsets = scene.gaussian_mask.shape
    sizes = (
        (scene.features.shape[1], limits.MAX_FEATURES + limits.MAX_POOL, "features"),
        (offsets, limits.MAX_OFFSETS, "offsets"),
        (scene.heads.w_opacity.shape[1], 2 * limits.MAX_HIDDEN, "hidden units"),
    )
    for size, most, what in sizes:
        if not 1 <= size <= most:
            return f"it has {size} {what}, not 1 to {most}"
    for name in ("anchors", "features", "log_scales", "offsets"):
        most = limits.MAX_ANCHOR if name == "anchors" else limits.MAX_VALUE
        if count and not _bounded(getattr(scene, name), most):
            return f"'{name}' holds numbers that are not finite, or beyond {most:g}"
    for name in _HEAD_ARRAYS:
        if not _bounded(getattr(scene.heads, name), limits.MAX_HEAD_WEIGHT):
            return f"'heads.{name}' holds numbers that are not finite, or beyond {limits.MAX_HEAD_WEIGHT:g}"
    return (
        distance_problem(scene.heads.distance_scale)
        or background_problem(scene.background)
        or frame_problem(scene.frame)
        or cameras_problem(scene.cameras)
        or metadata_problem(scene.metadata)
    )


def _whole(value: object) -> bool:
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _bounded(values: Any, most: float) -> bool:
    """Whether every number of a numpy array is within +-most; false for NaN. An empty one is not."""
    return bool(-most <= values.min() and values.max() <= most)
