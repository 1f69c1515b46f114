"""Photographs: checked by their headers up front, decoded when a view is used, kept while memory allows.

Decoded with imageio as stored, turned as EXIF says only where exif.py found that the camera wants it so.
Reduced by exact area averaging (each new pixel is the mean of the area it covers), alpha composed before.
"""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gspc.data import kinds
from gspc.errors import InputError, OutputError
from gspc.format.limits import MAX_SIDE
from gspc.output import write_atomically
from gspc.scene import U8

DEFAULT_WIDTH = (
    1600  # pixels; the field's convention: wider photographs are reduced to it unless asked otherwise
)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".ppm", ".tga")
_EXIF_ORIENTATION = 0x0112
MAX_PIXELS = 1 << 27  # as many as are drawn: 0.4 GB decoded, of a file that may be a thousandth of that
_STRIP = 1 << 22  # values that are widened at once
_TAIL = 1 << 20  # bytes at the end of a file in which its last marker is looked for


@dataclass(frozen=True)
class Photo:
    """What a header says. Width and height are those of the decoded pixels: turned where `turned` is set."""

    path: Path
    width: int
    height: int
    mode: str  # Pillow's name of the pixel format
    transparent: bool  # has an alpha channel or a transparent color
    orientation: int = 1  # EXIF's, 1 to 8; 1 is upright
    turned: int = 1  # the orientation that decoding undoes


def inspect_photo(path: Path) -> Photo:
    """Read the header of an image file; raises InputError where there is none or it cannot be used."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limits follow
            with Image.open(path) as image:
                (width, height), mode = image.size, image.mode
                transparent = mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
                orientation = _orientation(image)
    except FileNotFoundError:
        raise InputError(
            "no such image; check the folder of photographs (--images DIR)", source=str(path)
        ) from None
    except UnidentifiedImageError:
        raise _not_an_image(path) from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot be read as an image: {_reason(error)}", source=str(path)) from error
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(f"{width}x{height} pixels; at most {MAX_SIDE} a side can be used", source=str(path))
    if width * height > MAX_PIXELS:
        most = f"at most {MAX_PIXELS / 1e6:.0f} million can be used; reduce it"
        raise InputError(f"{width}x{height} pixels; {most}", source=str(path))
    return Photo(path, width, height, mode, transparent, orientation)


def _not_an_image(path: Path) -> InputError:
    """Says what the file is instead, where that is known."""
    if not path.stat().st_size:
        return InputError("an empty file, not an image that can be decoded; replace it", source=str(path))
    kind = kinds.look(path)
    if kind is None or kind.image:
        return InputError("not an image that can be decoded; replace it", source=str(path))
    return InputError(f"{kind.what}, not an image that can be decoded; {kind.advice}", source=str(path))


def _orientation(image: Any) -> int:
    """EXIF's orientation, 1 where it is absent or makes no sense."""
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged EXIF raises nearly anything, and is no reason to refuse the pixels
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [H, W, ...] as stored, turned upright from EXIF `orientation` (TIFF 6.0, "Orientation")."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def decode(photo: Photo, background: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> U8:
    """All pixels as sRGB bytes [H, W, 3], alpha composed on `background` (0 to 1); raises InputError."""
    pixels = _pixels(photo)
    return compose(pixels, background) if pixels.shape[2] == 4 else np.ascontiguousarray(pixels)


def decode_alpha(photo: Photo) -> U8:
    """How much of each pixel a photograph covers, [H, W], 255 for all of it; raises InputError."""
    pixels = _pixels(photo)
    if pixels.shape[2] == 4:
        return np.ascontiguousarray(pixels[:, :, 3])
    return np.full(pixels.shape[:2], 255, np.uint8)


def _pixels(photo: Photo) -> U8:  # [H, W, 3] or with alpha [H, W, 4]
    import imageio.v3 as iio

    convert: str | None
    if photo.mode.startswith(("I", "F")) or (photo.mode in ("RGB", "L") and not photo.transparent):
        convert = None
    else:
        convert = "RGBA" if photo.transparent else "RGB"  # palettes, CMYK, bilevel, YCbCr
    try:
        pixels = iio.imread(photo.path, plugin="pillow", index=0, mode=convert)
    except FileNotFoundError:
        raise InputError(
            "no such image; check the folder of photographs (--images DIR)",
            source=str(photo.path),
        ) from None
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise InputError(
            f"cannot be decoded: {_reason(error)}; replace it", source=str(photo.path)
        ) from error
    pixels = turn(pixels, photo.turned)
    if pixels.shape[:2] != (photo.height, photo.width):
        raise InputError("changed while it was in use; start again", source=str(photo.path))
    if pixels.dtype != np.uint8:
        pixels = _to_bytes(photo.path, pixels)
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def _to_bytes(path: Path, pixels: np.ndarray) -> U8:
    """16-bit and wider gray pixels, and floats of 0 to 1, as bytes."""
    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f":
        return np.rint(np.clip(np.nan_to_num(pixels), 0, 1) * 255).astype(np.uint8)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise InputError("pixels beyond 16 bits; convert it to 8 or 16 bits", source=str(path))
    result = np.empty(pixels.shape, np.uint8)
    for rows in _strips(pixels):
        result[rows] = (pixels[rows].astype(np.uint32) * 255 + 32767) // 65535
    return result


def intact(path: Path) -> bool:
    """Whether a photograph's file reaches its end, judged without decoding: by the last marker of a JPEG or
    PNG file. True for other formats, whose decoders find out."""
    with path.open("rb") as file:
        head = file.read(4)
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    if head.startswith(b"\xff\xd8"):
        return b"\xff\xd9" in tail  # cameras append previews and the like after it
    return b"IEND" in tail if head.startswith(b"\x89PNG") else True


def compose(pixels: U8, background: tuple[float, float, float]) -> U8:
    """Put RGBA pixels [H, W, 4] on a plain color, in sRGB values as the field does; to the nearest byte."""
    behind = np.rint(np.array(background) * 255).astype(np.uint16)
    result = np.empty((*pixels.shape[:2], 3), np.uint8)
    for rows in _strips(pixels):
        alpha = pixels[rows, :, 3:].astype(np.uint16)
        mixed = pixels[rows, :, :3].astype(np.uint16) * alpha + behind * (255 - alpha)  # <= 255^2
        result[rows] = (mixed.astype(np.uint32) + 127) // 255
    return result


def _strips(pixels: np.ndarray) -> Iterator[slice]:
    """Rows of [H, W, ...], some at a time: wider numbers for all of a large image would take gigabytes."""
    step = max(1, _STRIP // max(1, pixels[0].size))
    for start in range(0, len(pixels), step):
        yield slice(start, start + step)


def reduce_image(pixels: U8, width: int, height: int) -> U8:
    """Area-averaged copy [height, width, C] of `pixels` [H, W, C]; never enlarges, to the nearest byte."""
    if pixels.shape[:2] == (height, width):
        return pixels
    result = np.empty((height, width, pixels.shape[2]), np.uint8)
    step = max(1, _STRIP // pixels[0].size)
    for start in range(0, height, step):
        rows = _average_rows(pixels, height, range(start, min(start + step, height)))
        columns = _average_rows(np.ascontiguousarray(rows.transpose(1, 0, 2)), width, range(width))
        result[start : start + step] = np.rint(columns).transpose(1, 0, 2)
    return result


def _average_rows(pixels: np.ndarray, count: int, wanted: range) -> np.ndarray:
    """Rows of `pixels` [n, m, C] averaged to `count` <= n rows, of which the `wanted` ones are made, float32;
    cut rows count by their part."""
    scale = len(pixels) / count
    out = np.empty((len(wanted), *pixels.shape[1:]), np.float32)
    for place, row in enumerate(wanted):
        low, high = row * scale, min((row + 1) * scale, len(pixels))
        first, last = int(low), int(np.ceil(high - 1e-9))
        index = np.arange(first, last)
        weights = np.minimum(index + 1, high) - np.maximum(index, low)
        weights = (weights / weights.sum()).astype(np.float32)
        out[place] = np.tensordot(weights, pixels[first:last].astype(np.float32), 1)
    return out


def target_size(width: int, height: int, resolution: int | None) -> tuple[int, int]:
    """Size of a training image for a photograph of width x height (see config.DataOptions.resolution)."""
    if resolution is not None and resolution <= 8:
        return max(1, round_half_up(width / resolution)), max(1, round_half_up(height / resolution))
    limit = DEFAULT_WIDTH if resolution is None else resolution
    if width <= limit:
        return width, height
    return limit, max(1, round_half_up(height * limit / width))


def round_half_up(value: float) -> int:
    """Nearest integer, halves up."""
    return int(value + 0.5)


class PixelCache:
    """Decoded images by key, up to a number of bytes. What came first stays: training draws views in ever new
    order, where dropping the oldest would only trade one miss for another. Safe across threads."""

    def __init__(self, limit_bytes: int = 2 * 10**9) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._images: dict[tuple, U8] = {}
        self._lock = threading.Lock()

    def get(self, key: tuple) -> U8 | None:
        """The kept image, not to be changed by the caller."""
        with self._lock:
            return self._images.get(key)

    def put(self, key: tuple, pixels: U8) -> None:
        """Keep `pixels` if there is room."""
        with self._lock:
            if key not in self._images and self.bytes + pixels.nbytes <= self.limit_bytes:
                self._images[key] = pixels
                self.bytes += pixels.nbytes


@dataclass(frozen=True)
class PhotoLoader:
    """View.load of a photograph: its pixels [height, width, 3], read-only since others may hold them too.

    `reshape` makes them from the photograph's, by default by reducing it. What takes long to make is kept in
    the folder `store`, too, as PNG files.
    """

    photo: Photo
    width: int
    height: int
    background: tuple[float, float, float]
    cache: PixelCache | None = field(default=None, compare=False, repr=False)
    reshape: Callable[[U8], U8] | None = None
    store: Path | None = field(default=None, compare=False, repr=False)

    def __call__(self) -> U8:
        """What the cache or the store holds; else decode, compose, reshape. Raises InputError."""
        key = (self.photo, self.width, self.height, self.background, self.reshape)
        if self.cache is not None and (kept := self.cache.get(key)) is not None:
            return kept
        file = self._stored(key)
        pixels = None if file is None else read_stored(file, self.width, self.height)
        if pixels is None:
            pixels = self._made()
            if file is not None:
                write_stored(file, pixels)
        pixels.flags.writeable = False
        if self.cache is not None:
            self.cache.put(key, pixels)
        return pixels

    def _made(self) -> U8:
        decoded = decode(self.photo, self.background)
        if self.reshape is None:
            return reduce_image(decoded, self.width, self.height)
        return self.reshape(decoded)

    def _stored(self, key: tuple) -> Path | None:
        """The file in the store for what `key` says, at the photograph's present content."""
        if self.store is None:
            return None
        facts = self.photo.path.stat()
        text = f"{key} {facts.st_size} {facts.st_mtime_ns}"
        return self.store / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.png"


def read_stored(file: Path, width: int, height: int) -> U8 | None:
    """Pixels [height, width, 3] of a file in the store; None where there is none that can be used."""
    if not file.is_file():
        return None
    try:
        photo = inspect_photo(file)
        return decode(photo) if (photo.width, photo.height, photo.mode) == (width, height, "RGB") else None
    except InputError:
        return None


def write_stored(file: Path, pixels: U8) -> None:
    """Keep pixels in the store. A store that takes nothing more only costs time: what is missing is made
    anew."""
    import imageio.v3 as iio

    data = iio.imwrite("<bytes>", pixels, plugin="pillow", extension=".png", compress_level=1)
    with suppress(OSError, OutputError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, data)


def _reason(error: BaseException) -> str:
    """One short line of a decoder's complaint."""
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
    return text if len(text) <= 120 else text[:117] + "..."
