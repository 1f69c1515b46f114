"""SOG version 2 (PlayCanvas): a zip, or a folder, of meta.json and lossless WebP pictures.

A Gaussian is the same pixel of every picture, row by row. means_l and means_u are the low and high bytes of
x y z as 16 bits between meta's mins and maxs, after sign(v) log(1 + |v|). quats is three components in
+-sqrt(1/2) and, as alpha, 252 plus the index in wxyz of the one left out. scales is indices into a codebook
of 256 log scales; sh0 indices into one of f_dc, its alpha the opacity. Harmonics are a palette: shN_labels
has 16 bits per Gaussian (red low, green high), shN_centroids 64 entries a row, one pixel per coefficient, r
g b being indices into a codebook. The page says y up, but every tool keeps the axes of the `.ply`: RDF here
too.

Pictures go through Pillow. gaussforge could write these files as well; it takes minutes for a palette.
"""

from __future__ import annotations

import io
import json
import math
import warnings
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.scene import F32
from gspc.splats import packing
from gspc.splats.palette import codebook, palette
from gspc.splats.splats import Splats

ZIP_MAGIC = b"PK\x03\x04"
META = "meta.json"
COLUMNS = 64  # palette entries per row of shN_centroids
HALF_DIAGONAL = math.sqrt(0.5)
MAX_META = 1 << 20
_PICTURES = ("means", "scales", "quats", "sh0")


def is_sog(data: bytes) -> bool:
    """Whether the bytes are a zip whose names are those of a SOG."""
    return data.startswith(ZIP_MAGIC) and b"meta.json" in data and b".webp" in data


def read(data: bytes) -> Splats:
    """The Gaussians of a bundled file; raises InputError."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = {entry.filename.rpartition("/")[2]: entry for entry in archive.infolist()}

            def get(name: str) -> bytes:
                if name not in entries:
                    raise InputError(f"lacks {name}; get the file again")
                packing.check_expansion(entries[name].file_size, len(data))
                return archive.read(entries[name])

            return read_parts(get)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(f"is a damaged zip ({str(error)[:80]}); get the file again") from error


def is_folder(path: Path) -> bool:
    """Whether a folder holds an unbundled SOG."""
    return (path / META).is_file()


def bundle(folder: Path) -> bytes:
    """The zip of an unbundled SOG: meta.json and the pictures it names. Raises InputError."""

    def get(name: str) -> bytes:
        try:
            return (folder / name).read_bytes()
        except OSError as error:
            raise InputError(f"{name} cannot be read ({error.strerror or error}); check it") from error

    meta = _meta(get(META))
    sections = [*_PICTURES, *(["shN"] if isinstance(meta.get("shN"), dict) else [])]
    names = [_file(meta, name, which) for name in sections for which in _counted(meta[name])]
    return _zip({name: get(name) for name in [*names, META]})


def _counted(section: Mapping[str, Any]) -> range:
    files = section.get("files")
    return range(len(files) if isinstance(files, list) else 1)


def unbundle(data: bytes) -> dict[str, bytes]:
    """The files of a bundle by name, meta.json last."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # with the date of ZipInfo: the same every time
    return packed.getvalue()


def read_parts(get: Callable[[str], bytes]) -> Splats:
    """The Gaussians of meta.json and the pictures that it names, read by `get`; raises InputError."""
    meta = _meta(get(META))
    count = meta["count"]

    def picture(section: str, which: int) -> NDArray[np.uint8]:  # [M, 4]
        return _pixels(get(_file(meta, section, which)), count)

    sh0, scales = picture("sh0", 0), picture("scales", 0)
    quats = picture("quats", 0)
    if (quats[:, 3] < 252).any():
        raise InputError("has rotations that were compressed with loss; get a lossless file")
    three = (quats[:, :3].astype(np.float32) / 255 * 2 - 1) * np.float32(HALF_DIAGONAL)
    rest = _rest(meta, get) if "shN" in meta else np.zeros((count, 0, 3), np.float32)
    return Splats(
        means=_positions(meta["means"], picture("means", 0), picture("means", 1)),
        quats=packing.from_smallest_three(quats[:, 3] - 252, three),
        log_scales=_book(meta, "scales")[scales[:, :3]],
        logits=packing.logits_from_bytes(sh0[:, 3]),
        sh=np.concatenate([_book(meta, "sh0")[sh0[:, None, :3]], rest], axis=1),
        metadata={"antialiased": "yes"} if meta.get("antialias") is True else {},
    )


def _meta(text: bytes) -> dict[str, Any]:
    try:
        meta = json.loads(text[:MAX_META])
    except (ValueError, RecursionError):
        raise InputError(f"{META} is no JSON; get the file again") from None
    if not isinstance(meta, dict) or not all(isinstance(meta.get(name), dict) for name in _PICTURES):
        raise InputError(f"{META} does not describe Gaussians; get the file again")
    if meta.get("version") != 2:
        raise InputError(
            f"is SOG of version {str(meta.get('version', 1))[:9]}, this gspc reads 2; convert it"
        )
    count = meta.get("count")
    if not isinstance(count, int) or not 0 < count < 1 << 31:
        raise InputError(f"{META} has no count that makes sense; get the file again")
    return meta


def _file(meta: Mapping[str, Any], section: str, which: int) -> str:
    files = meta[section].get("files")
    if not isinstance(files, list) or len(files) <= which or not isinstance(files[which], str):
        raise InputError(f"{META} names no files of '{section}'; get the file again")
    if "/" in files[which] or "\\" in files[which]:
        raise InputError(f"{META} names a file outside of it, '{files[which][:40]}'; get the file again")
    return str(files[which])


def _numbers(value: Any, count: int, what: str) -> F32:
    fits = isinstance(value, list) and len(value) == count
    if not fits or not all(isinstance(number, int | float) for number in value):
        raise InputError(f"{META}: {what} is not {count} numbers; get the file again")
    return np.array(value, np.float32)


def _book(meta: Mapping[str, Any], section: str) -> F32:
    return _numbers(meta[section].get("codebook"), 256, f"the codebook of '{section}'")


def _pixels(data: bytes, count: int, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The first `count` pixels, RGBA; the size is checked before anything is unpacked."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="error"), Image.open(io.BytesIO(data)) as image:
            pixels = image.width * image.height
            if pixels < count or (size is not None and image.size != size):
                raise InputError(f"has a picture of {image.width} x {image.height}, too small for its count")
            if pixels > 4 * count + (1 << 20):
                raise InputError(f"has a picture of {image.width} x {image.height} for {count:,} pixels")
            return np.asarray(image.convert("RGBA")).reshape(-1, 4)[:count]
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Warning,
        Image.DecompressionBombError,
    ) as error:
        raise InputError(f"has a picture that cannot be read ({str(error)[:80]})") from error


def _positions(section: Mapping[str, Any], low: NDArray[np.uint8], high: NDArray[np.uint8]) -> F32:
    mins, maxs = (_numbers(section.get(end), 3, f"'{end}'").astype(np.float64) for end in ("mins", "maxs"))
    parts = (low[:, :3].astype(np.float64) + 256.0 * high[:, :3]) / 65535
    logs = mins + parts * (maxs - mins)
    with np.errstate(over="ignore"):
        return (np.sign(logs) * np.expm1(np.abs(logs))).astype(np.float32)


def _rest(meta: Mapping[str, Any], get: Callable[[str], bytes]) -> F32:  # [M, C - 1, 3]
    section, count = meta["shN"], meta["count"]
    degree = section.get("bands") if isinstance(section, dict) else None
    entries = section.get("count") if isinstance(section, dict) else None
    if degree not in (1, 2, 3) or not isinstance(entries, int) or not 0 < entries <= 1 << 16:
        raise InputError(f"{META}: 'shN' makes no sense; get the file again")
    width = (degree + 1) ** 2 - 1
    rows = -(-entries // COLUMNS)
    size = (COLUMNS * width, rows)
    pixels = _pixels(get(_file(meta, "shN", 0)), size[0] * rows, size)
    labels = _pixels(get(_file(meta, "shN", 1)), count).astype(np.int64)
    labels = labels[:, 0] + 256 * labels[:, 1]
    if labels.max() >= entries:
        raise InputError("has labels beyond its palette; get the file again")
    return _book(meta, "shN")[pixels.reshape(-1, width, 4)[:, :, :3]][labels]


def write(splats: Splats) -> bytes:
    """A bundled file, in Morton order."""
    return _zip(write_parts(splats))


def write_parts(splats: Splats) -> dict[str, bytes]:
    """meta.json and the pictures, by name."""
    splats = splats.take(packing.morton_order(splats.means))
    logs = np.sign(splats.means) * np.log1p(np.abs(splats.means.astype(np.float64)))
    mins, maxs = logs.min(axis=0), logs.max(axis=0)
    steps = np.rint((logs - mins) / np.maximum(maxs - mins, 1e-30) * 65535).astype(np.uint16)
    largest, three = packing.smallest_three(splats.quats)
    scale_book, scales = codebook(splats.log_scales)
    dc_book, dc = codebook(splats.sh[:, 0])
    tables: dict[str, NDArray[Any]] = {
        "means_l": steps & 255,
        "means_u": steps >> 8,
        "quats": np.column_stack(
            [packing.as_bytes((three / HALF_DIAGONAL + 1) * np.float32(127.5)), 252 + largest]
        ),
        "scales": scales,
        "sh0": np.column_stack([dc, packing.opacity_bytes(splats)]),
    }
    meta: dict[str, Any] = {
        "version": 2,
        "asset": {"generator": "gspc"},
        "count": splats.count,
        "antialias": splats.metadata.get("antialiased") == "yes",
        "means": {"mins": mins.tolist(), "maxs": maxs.tolist(), "files": ["means_l.webp", "means_u.webp"]},
        "scales": {"codebook": scale_book.tolist(), "files": ["scales.webp"]},
        "quats": {"files": ["quats.webp"]},
        "sh0": {"codebook": dc_book.tolist(), "files": ["sh0.webp"]},
    }
    width = max(4, 4 * math.ceil(math.sqrt(splats.count) / 4))
    images = {f"{name}.webp": _image(table, width) for name, table in tables.items()}
    if splats.degree:
        more, meta["shN"] = _palette_images(splats, width)
        images |= more
    with ThreadPoolExecutor(2) as pool:  # Pillow lets go of the interpreter while it packs
        packed = dict(zip(images, pool.map(_webp, images.values()), strict=True))
    return packed | {META: json.dumps(meta, separators=(",", ":")).encode()}


def _palette_images(splats: Splats, width: int) -> tuple[dict[str, NDArray[np.uint8]], dict[str, Any]]:
    centers, labels = palette(splats.sh[:, 1:].reshape(splats.count, -1))
    book, indices = codebook(centers)
    entries = indices.reshape(len(centers), -1, 3)
    images = {
        "shN_centroids.webp": _image(entries.reshape(-1, 3), COLUMNS * entries.shape[1]),
        "shN_labels.webp": _image(np.column_stack([labels & 255, labels >> 8, 0 * labels]), width),
    }
    return images, {
        "count": len(centers),
        "bands": splats.degree,
        "codebook": book.tolist(),
        "files": list(images),
    }


def _image(table: NDArray[Any], width: int) -> NDArray[np.uint8]:  # [n, 3 or 4] -> [H, W, 4]
    height = -(-len(table) // width)
    pixels = np.zeros((width * height, 4), np.uint8)
    pixels[:, 3] = 255
    pixels[: len(table), : table.shape[1]] = table
    return pixels.reshape(height, width, 4)


def _webp(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    # exact: colors below an alpha of zero are numbers here, too.
    Image.fromarray(pixels, "RGBA").save(file, "WEBP", lossless=True, exact=True, quality=60, method=4)
    return file.getvalue()
