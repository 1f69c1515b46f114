"""Decoded scenes on disk and on pipes: one safetensors file, readable without seeking, no torch.

Layout (https://github.com/huggingface/safetensors, "Format"): 8 bytes little-endian header length, a JSON
header padded with spaces to a multiple of 8, then the tensors back to back. Everything that is not a tensor
travels as JSON strings in the header's `__metadata__`. The bytes are written here rather than by the
safetensors package, whose metadata order differs from run to run; files of either writer are read. Sizes are
checked against the bytes at hand before any array is made, and what they hold by `gspc.format.usable`: writer
and reader refuse the same scenes, and take every scene that a stream decodes to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.format import usable
from gspc.format.limits import MAX_CAMERAS, MAX_SCENE_HEADER
from gspc.scene import Camera, DecodedScene, Frame, Heads

FORMAT = "gspc-decoded-scene"
VERSION = 1

_DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "BOOL": np.dtype("u1")}
_HEAD_FIELDS = ("w1", "b1", "w_opacity", "b_opacity", "w_color", "b_color", "w_cov", "b_cov")
_SCENE_FIELDS = ("anchors", "features", "log_scales", "offsets", "gaussian_mask")


def write_scene(scene: DecodedScene) -> bytes:
    """The file's bytes; the same scene gives the same bytes on every machine.

    Raises InputError for a scene that `read_scene` would refuse.
    """
    if (problem := usable.scene_problem(scene)) is not None:
        raise InputError(f"the scene cannot be written: {problem}")
    tensors: dict[str, NDArray[Any]] = {key: getattr(scene, key) for key in _SCENE_FIELDS}
    tensors |= {f"heads.{key}": getattr(scene.heads, key) for key in _HEAD_FIELDS}
    header: dict[str, Any] = {
        "__metadata__": {
            "format": FORMAT,
            "version": str(VERSION),
            "scene": _dump(
                {
                    "level": scene.level,
                    "levels": scene.levels,
                    "residuals": scene.residuals,
                    "distance_scale": float(scene.heads.distance_scale),
                    "background": [float(value) for value in scene.background],
                    "frame": scene.frame.to_plain(),
                    "metadata": dict(scene.metadata),
                }
            ),
            "cameras": _dump([camera.to_plain() for camera in scene.cameras]),
        }
    }
    parts: list[Any] = []
    offset = 0
    # Wide types first: every tensor starts aligned.
    for key in sorted(tensors, key=lambda key: (tensors[key].dtype == np.bool_, key)):
        dtype = "BOOL" if tensors[key].dtype == np.bool_ else "F32"
        raw = np.ascontiguousarray(tensors[key], dtype=_DTYPES[dtype]).reshape(-1)
        header[key] = {
            "dtype": dtype,
            "shape": list(tensors[key].shape),
            "data_offsets": [offset, offset + raw.nbytes],
        }
        offset += raw.nbytes
        parts.append(raw)
    text = _dump(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_SCENE_HEADER:
        raise InputError(f"the scene cannot be written: its metadata takes {len(text)} bytes")
    return b"".join([len(text).to_bytes(8, "little"), text, *parts])


def read_scene(data: bytes | bytearray | memoryview, name: str = "scene") -> DecodedScene:
    """The scene in a file's bytes. Arrays are views of `data` where it is aligned, copies otherwise.

    Every size, type, range and number is checked; raises InputError, about `name`, for anything a renderer
    could not use.
    """
    try:
        scene = _read(memoryview(data), name)
        problem = usable.scene_problem(scene)
    except _Damaged as error:
        problem = str(error)
    if problem is None:
        return scene
    raise InputError(f"is not a usable decoded scene: {problem}; decompress it again", source=name)


class _Damaged(Exception):
    """What is wrong with the file, in words."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise _Damaged(message)


def _read(data: memoryview, name: str) -> DecodedScene:
    header, body = _header(data)
    meta = header.pop("__metadata__", None)
    _require(
        isinstance(meta, dict) and meta.get("format") == FORMAT, "the safetensors file is of another kind"
    )
    if meta.get("version") != str(VERSION):
        version = str(meta.get("version"))[:20]
        raise InputError(
            f"is a decoded scene of version {version}, this gspc reads version {VERSION}; update gspc",
            source=name,
        )
    info = _json(meta.get("scene"), "scene")
    cameras = _json(meta.get("cameras"), "cameras")
    _require(isinstance(info, dict), "its description is no object")
    _require(isinstance(cameras, list) and len(cameras) <= MAX_CAMERAS, f"more than {MAX_CAMERAS} cameras")

    sizes = _sizes(header)
    tensors = _tensors(header, body, _shapes(sizes))
    level, levels = info.get("level"), info.get("levels")
    _require(_is_int(level) and _is_int(levels), "its level makes no sense")
    residuals = info.get("residuals", 0)
    _require(_is_int(residuals), "its number of residuals makes no sense")
    distance_scale = _number(info.get("distance_scale"), "the distance scale")
    background = info.get("background")
    _require(isinstance(background, list) and len(background) == 3, "the background is no color")
    red, green, blue = (_number(value, "the background") for value in background)
    extra = info.get("metadata", {})
    _require(
        isinstance(extra, dict) and all(isinstance(value, str) for value in extra.values()),
        "its metadata is no text",
    )
    heads = Heads(**{key: tensors[f"heads.{key}"] for key in _HEAD_FIELDS}, distance_scale=distance_scale)
    return DecodedScene(
        level=level,
        levels=levels,
        **{key: tensors[key] for key in _SCENE_FIELDS},
        heads=heads,
        background=(red, green, blue),
        cameras=tuple(_camera_from_json(entry) for entry in cameras),
        metadata=extra,
        residuals=residuals,
        frame=_frame(info.get("frame")),
    )


def _frame(values: Any) -> Frame:
    """Files of earlier versions have none: their scenes lie in the user's coordinates."""
    if values is None:
        return Frame()
    try:
        return Frame.from_plain(values)
    except (KeyError, TypeError, ValueError) as error:
        raise _Damaged("its frame makes no sense") from error


def _header(data: memoryview) -> tuple[dict[str, Any], memoryview]:
    _require(len(data) >= 8, "it ends inside its header")
    length = int.from_bytes(data[:8], "little")
    _require(2 <= length <= MAX_SCENE_HEADER, "its header length makes no sense")
    _require(len(data) >= 8 + length, "it ends inside its header")
    header = _json(bytes(data[8 : 8 + length]), "header")
    _require(isinstance(header, dict), "its header is no object")
    return header, data[8 + length :]


def _json(text: Any, what: str) -> Any:
    _require(isinstance(text, str | bytes), f"its {what} is missing")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _Damaged(f"its {what} is no JSON") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


@dataclass(frozen=True)
class _Sizes:
    anchors: int
    features: int
    offsets: int
    hidden: int


def _sizes(header: dict[str, Any]) -> _Sizes:
    def shape(key: str, rank: int) -> list[int]:
        entry: Any = header.get(key)
        _require(isinstance(entry, dict), f"'{key}' is missing")
        dims: Any = entry.get("shape")
        sane = isinstance(dims, list) and len(dims) == rank and all(_is_int(dim) and dim >= 0 for dim in dims)
        _require(sane, f"the shape of '{key}' makes no sense")
        return list(dims)

    anchors, features = shape("features", 2)
    offsets = shape("gaussian_mask", 2)[1]
    hidden = shape("heads.w_opacity", 2)[1]
    _require(min(features, offsets, hidden) >= 1, "it has no features, offsets or hidden units")
    return _Sizes(anchors, features, offsets, hidden)


def _shapes(size: _Sizes) -> dict[str, tuple[int, ...]]:
    n, f, k, h = size.anchors, size.features, size.offsets, size.hidden
    return {
        "anchors": (n, 3),
        "features": (n, f),
        "log_scales": (n, 6),
        "offsets": (n, k, 3),
        "gaussian_mask": (n, k),
        "heads.w1": (3 * h, f + 4),
        "heads.b1": (3 * h,),
        "heads.w_opacity": (k, h),
        "heads.b_opacity": (k,),
        "heads.w_color": (3 * k, h),
        "heads.b_color": (3 * k,),
        "heads.w_cov": (7 * k, h),
        "heads.b_cov": (7 * k,),
    }


def _tensors(
    header: dict[str, Any], body: memoryview, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Checks that the entries are exactly the expected ones and cover the bytes once, then views them as
    arrays.
    """
    for key in header:
        _require(key in shapes, f"it has an unknown tensor '{key[:40]}'")
    spans, result = [], {}
    for key, shape in shapes.items():
        entry: Any = header.get(key)
        _require(isinstance(entry, dict), f"'{key}' is missing")
        dtype = "BOOL" if key == "gaussian_mask" else "F32"
        _require(entry.get("dtype") == dtype, f"'{key}' is not {dtype}")
        _require(entry.get("shape") == list(shape), f"'{key}' has another shape than {list(shape)}")
        span: Any = entry.get("data_offsets")
        _require(
            isinstance(span, list) and len(span) == 2 and all(map(_is_int, span)), f"'{key}' has no place"
        )
        begin, end = span
        size = math.prod(shape) * _DTYPES[dtype].itemsize
        _require(0 <= begin <= end <= len(body), f"it ends inside '{key}'")
        _require(end - begin == size, f"'{key}' takes {end - begin} bytes, not {size}")
        spans.append((begin, end))
        result[key] = _array(body[begin:end], dtype, shape, key)
    position = 0
    for begin, end in sorted(spans):
        _require(begin == position, "its tensors overlap or leave gaps")
        position = end
    _require(position == len(body), f"{len(body) - position} bytes follow its end")
    return result


def _array(raw: memoryview, dtype: str, shape: tuple[int, ...], key: str) -> NDArray[Any]:
    array = np.frombuffer(raw, dtype=_DTYPES[dtype]).reshape(shape)
    if dtype == "BOOL":
        _require(array.size == 0 or int(array.max()) <= 1, f"'{key}' holds bytes other than 0 and 1")
        return array.view(np.bool_)
    return np.require(array, dtype=np.float32, requirements=["C", "A"])


def _camera_from_json(entry: Any) -> Camera:
    """What is in it and of which type; `usable` judges the values."""
    _require(isinstance(entry, dict), "a camera is no object")
    name, size, intrinsics = entry.get("name"), entry.get("size"), entry.get("intrinsics")
    matrix = entry.get("world_to_camera")
    _require(isinstance(name, str), "a camera has no name")
    _require(isinstance(size, list) and len(size) == 2 and all(map(_is_int, size)), "a camera has no size")
    _require(isinstance(intrinsics, list) and len(intrinsics) == 4, "a camera has no intrinsics")
    sane = isinstance(matrix, list) and len(matrix) == 4
    _require(
        sane and all(isinstance(row, list) and len(row) == 4 for row in matrix), "a camera has no 4x4 matrix"
    )
    for value in (*intrinsics, *(number for row in matrix for number in row)):
        _number(value, "a camera's lens or pose")
    return Camera.from_plain(entry)


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any, what: str) -> float:
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Damaged(f"{what} is no number")
    return number
