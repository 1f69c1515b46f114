"""Pictures as files: which cameras, how large, under which names, and a PNG encoder of our own.

The encoder exists for speed: the row filters leave little for zlib to match, so run lengths and Huffman codes
alone give photograph-like pictures within a tenth of the usual encoders' size in a tenth of their time.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError, UsageError
from gspc.ops.conventions import MAX_SIDE
from gspc.output import check_target, cut_to_bytes, write_atomically, writing
from gspc.rendering.rasterizer import Backend
from gspc.rendering.render import Renderer
from gspc.scene import F32, U8, Camera, DecodedScene

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_QUALITY = 95
STRIP = 1 << 20  # bytes of the rows that are filtered at once
_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".exr", ".ppm"}


def to_uint8(image: F32 | U8) -> U8:  # [H, W, 3]
    """Nearest 8-bit values of a picture in [0, 1]; values outside are clamped, NaN becomes 0. uint8 passes
    through.
    """
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    scaled = np.multiply(image, np.float32(255), dtype=np.float32)
    scaled += np.float32(0.5)
    np.clip(scaled, 0, 255, out=scaled)
    return np.nan_to_num(scaled, copy=False, nan=0.0).astype(np.uint8)


def encode_png(image: F32 | U8) -> bytes:  # [H, W, 3]
    """An 8-bit RGB PNG (ISO/IEC 15948) with an sRGB chunk."""
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"a picture is [H, W, 3] and not empty, not {list(image.shape)}")
    height, width = image.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(3, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    body = b"".join([*(packer.compress(strip.data) for strip in _filtered_strips(image)), packer.flush()])
    chunks = ((b"IHDR", head), (b"sRGB", b"\0"), (b"IDAT", body), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(_chunk(tag, data) for tag, data in chunks)


def encode_jpeg(image: F32 | U8) -> bytes:  # [H, W, 3]
    """A JPEG of high quality, colors at full resolution."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _chunk(tag: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def _filtered_strips(image: F32 | U8) -> Iterator[NDArray[np.uint8]]:  # of [h, 1 + 3W]
    """The filtered rows, some at a time: a whole picture takes the filters eight times its own size."""
    height, width = image.shape[:2]
    strip = max(STRIP // (3 * width), 1)
    above = np.zeros((1, 3 * width), np.uint8)
    for start in range(0, height, strip):
        rows = to_uint8(image[start : start + strip]).reshape(-1, 3 * width)
        yield _filter_rows(rows, above)
        above = rows[-1:]


def _filter_rows(rows: U8, above: U8) -> NDArray[np.uint8]:  # [h, 3W], [1, 3W] -> [h, 1 + 3W]
    """Every row with the filter (None, Sub, Up or Average) whose signed residuals have the smallest sum of
    magnitudes. `above` is the row before.
    """
    height, values = rows.shape
    left, up = np.zeros_like(rows), np.concatenate([above, rows[:-1]])
    left[:, 3:] = rows[:, :-3]
    average = (left >> 1) + (up >> 1) + (left & up & 1)
    candidates = (rows, rows - left, rows - up, rows - average)
    cost = [
        np.abs(residual.view(np.int8)).view(np.uint8).sum(axis=1, dtype=np.uint32) for residual in candidates
    ]
    best = np.argmin(cost, axis=0)
    result = np.empty((height, 1 + values), dtype=np.uint8)
    result[:, 0] = best
    for kind, residual in enumerate(candidates):
        chosen = best == kind
        result[chosen, 1:] = residual[chosen]
    return result


def parse_size(text: str, camera: Camera) -> tuple[int, int]:
    """'640x480', or '640' (width; the height keeps the camera's proportions). Raises UsageError."""
    match = re.fullmatch(r"(\d{1,6})(?:[x×](\d{1,6}))?", text.strip())
    if match is None:
        raise UsageError(f"--size '{text}' is not WIDTH or WIDTHxHEIGHT")
    width = int(match[1])
    height = int(match[2]) if match[2] else max(1, round(width * camera.height / camera.width))
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise UsageError(f"--size '{text}' is out of range; sides go from 1 to {MAX_SIDE} pixels")
    return width, height


def fitted(camera: Camera, width: int, height: int) -> Camera:
    """The same view in a picture of another size, never squashed: a picture of another shape shows all of
    the view in its middle, and more of the scene at two sides."""
    scale = min(width / camera.width, height / camera.height)
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx * scale,
        fy=camera.fy * scale,
        cx=width / 2 + (camera.cx - camera.width / 2) * scale,
        cy=height / 2 + (camera.cy - camera.height / 2) * scale,
    )


def select_cameras(
    cameras: Sequence[Camera], views: Sequence[str] = (), size: str | None = None
) -> tuple[Camera, ...]:
    """The cameras called for: all, or those in `views` by name (with or without its suffix) or index (from 0,
    or from the end when negative), resized to `size`.

    A name wins over an index, so that pictures named 000.png can be called by name. Raises UsageError,
    InputError (no cameras).
    """
    if not cameras:
        raise InputError("the scene suggests no cameras; give some with --cameras")
    chosen = [_find(cameras, view) for view in views] if views else list(cameras)
    if size is not None:
        chosen = [_sized(camera, size) for camera in chosen]
    return tuple(chosen)


def _sized(camera: Camera, size: str) -> Camera:
    width, height = parse_size(size, camera)
    whole = not re.search("[x×]", size)  # the height follows from the width, but for rounding
    return camera.resized(width, height) if whole else fitted(camera, width, height)


def _find(cameras: Sequence[Camera], view: str) -> Camera:
    exact = [camera for camera in cameras if camera.name == view]
    loose = exact or [camera for camera in cameras if _stem(camera.name) == view]
    if len(loose) > 1:
        raise UsageError(f"--view '{view}' names {len(loose)} cameras; give the full name")
    if loose:
        return loose[0]
    if re.fullmatch(r"-?\d{1,9}", view) and -len(cameras) <= int(view) < len(cameras):
        return cameras[int(view)]
    known = f"the views are 0 to {len(cameras) - 1} or names like '{cameras[0].name}'"
    raise UsageError(f"--view '{view}' is not there; {known}")


def _stem(name: str) -> str:
    head, dot, suffix = name.rpartition(".")
    return head if head and f"{dot}{suffix}".lower() in _SUFFIXES else name


def frame_names(cameras: Sequence[Camera]) -> tuple[str, ...]:
    """File names ending in .png, unique also where case does not count, and safe whatever a file calls its
    cameras.
    """
    names: list[str] = []
    used: set[str] = set()
    for camera in cameras:
        safe = re.sub(r"[^\w.+=@-]+", "_", _stem(camera.name)).strip("._")
        stem = cut_to_bytes(safe[:100], 200) or "view"
        name, number = stem, 1
        while name.casefold() in used:
            number += 1
            name = f"{stem}_{number}"
        used.add(name.casefold())
        names.append(f"{name}.png")
    return tuple(names)


class Drawing(Protocol):
    """Whatever draws itself; it has chosen its own backend."""

    def render(self, camera: Camera) -> F32:  # [H, W, 3]
        """The picture, not clamped."""
        ...


def write_frames(
    scene: DecodedScene | Drawing,
    cameras: Sequence[Camera],
    directory: Path,
    *,
    backend: str | Backend = "cpu",
    overwrite: bool = False,
    on_frame: Callable[[Path], None] | None = None,
) -> tuple[Path, ...]:
    """Renders `cameras` into PNGs in `directory` (made if missing); `on_frame` hears of each file once it is
    there.

    A picture is encoded while the next one is drawn, unless it is the larger one: it would take more memory
    than drawing was allowed to leave. Raises OutputError when a file exists and `overwrite` is
    not set (before anything is drawn) or cannot be written, BackendError, InputError.
    """
    paths = tuple(directory / name for name in frame_names(cameras))
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    for path in paths:
        check_target(path, force=overwrite)
    renderer = Renderer(scene, backend) if isinstance(scene, DecodedScene) else scene
    with ThreadPoolExecutor(1) as pool:
        pending: list[tuple[Path, int, Future[None]]] = []

        def finish_first() -> None:
            path, _, task = pending.pop(0)
            task.result()
            if on_frame is not None:
                on_frame(path)

        for path, camera in zip(paths, cameras, strict=True):
            pixels = camera.width * camera.height
            while len(pending) > 1 or (pending and pending[0][1] > pixels):
                finish_first()
            pending.append((path, pixels, pool.submit(write_png, path, renderer.render(camera))))
        while pending:
            finish_first()
    return paths


def write_png(path: Path, image: F32 | U8) -> None:
    """One PNG of a picture [H, W, 3], whole or not at all; replaces an existing file. Raises OutputError."""
    write_atomically(path, encode_png(image))
