"""Files that people hand to gspc and that are something else: recognized by content, named, with what to do.

Facts about the formats: the PLY header of "3D Gaussian Splatting" (Kerbl et al. 2023) and of PlayCanvas's
compressed PLY, Niantic's .spz, PlayCanvas's SOG (a zip with meta.json), antimatter15's .splat (records of 32
bytes), mkkellogg's .ksplat, glTF's binary form, Git LFS's pointer files.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from gspc.errors import InputError

HEAD = 4096  # bytes of a file's beginning that recognizing it takes

_SPLAT_ADVICE = "gspc fit, render, inspect-bitstream and export take the file itself"


@dataclass(frozen=True)
class Kind:
    """What a file is, in words, and what to do about it."""

    what: str
    advice: str
    splat: bool = False
    image: bool = False
    instead: bool = False  # stands where another file should be


_LFS = Kind("a Git LFS pointer, not the file itself", "fetch the content with git lfs pull", instead=True)
_ZIP = Kind("a zip archive", "unpack it and name the folder")
_VIDEO = Kind("a video", "take photographs from it first, such as ffmpeg -i VIDEO -vf fps=2 photos/%04d.jpg")
_HEIC = Kind(
    "a HEIC photograph, which cannot be decoded here", "convert it to JPEG (the phone can export that, too)"
)
_PHOTO = Kind("a photograph", "gspc fit takes the folder of all photographs of a scene", image=True)
_RAW = Kind("a raw photograph of a camera", "develop it to JPEG or PNG first")
_PAGE = Kind("a web page, not the file itself", "download the file again", instead=True)
_CLOUD = Kind(
    "a PLY point cloud or mesh",
    "give the folder of photographs and cameras it belongs to",
)


def _splat(name: str) -> Kind:
    return Kind(f"a trained Gaussian splat ({name})", _SPLAT_ADVICE, splat=True)


_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"version https://git-lfs", _LFS),
    (b"version http://git-media", _LFS),
    (b"\x89PNG", _PHOTO),
    (b"\xff\xd8\xff", _PHOTO),
    (b"BM", _PHOTO),
    (b"GIF8", _PHOTO),
    (b"glTF", Kind("a glTF model (.glb)", _SPLAT_ADVICE, splat=True)),
    (b"NGSP", _splat(".spz")),
    (b"<!DOCTYPE", _PAGE),
    (b"<html", _PAGE),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"\x1aE\xdf\xa3", _VIDEO),
)


def recognize(head: bytes, size: int) -> Kind | None:
    """What a file is whose first bytes (up to HEAD) and size are given; None for what this module does not
    know.

    Never raises: damaged files are simply not recognized.
    """
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"ply"):
        return _ply(head)
    if head[:2] == b"\x1f\x8b":
        return _gzip(head)
    if head.startswith(b"PK\x03\x04"):
        return _zip(head)
    if head[4:8] == b"ftyp":
        return _HEIC if head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc") else _VIDEO
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _RAW if b"CR\x02" in head[:16] else _PHOTO
    if head[:4] == b"RIFF":
        return _PHOTO if head[8:12] == b"WEBP" else _VIDEO
    if _is_ksplat(head, size):
        return _splat(".ksplat")
    return _splat(".splat") if _is_splat(head, size) else None


def look(path: Path) -> Kind | None:
    """What the file at `path` is; None where it is not known or cannot be read."""
    try:
        with path.open("rb") as file:
            return recognize(file.read(HEAD), path.stat().st_size)
    except OSError:
        return None


def splat_in(folder: Path) -> Path | None:
    """A splat of another tool that lies in `folder`, or where trainers of 3D Gaussian Splatting leave theirs:
    of several iterations the last. None where there is none, or the folder cannot be read."""
    try:
        rounds = sorted(folder.glob("point_cloud/iteration_*/point_cloud.ply"), key=_iteration)
        here = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return None
    return next((path for path in (*rounds[::-1], *here) if (kind := look(path)) and kind.splat), None)


def _iteration(path: Path) -> int:
    number = path.parent.name.rpartition("_")[2]
    return int(number) if number.isdecimal() and len(number) < 12 else -1


def refuse(path: Path | str, head: bytes, size: int) -> None:
    """Raises InputError for a file that merely stands where another should be, such as a Git LFS pointer."""
    kind = recognize(head, size)
    if kind is not None and kind.instead:
        raise InputError(f"is {kind.what}; {kind.advice}", source=str(path))


def _ply(head: bytes) -> Kind:
    header = head.partition(b"end_header")[0]
    if b"packed_position" in header:
        return _splat("compressed .ply")
    if re.search(rb"property\s+\w+\s+f_dc_0\s", header) and b"opacity" in header:
        return _splat(".ply")
    return _CLOUD


def _gzip(head: bytes) -> Kind:
    try:
        start = zlib.decompressobj(wbits=31).decompress(head, 16)
    except zlib.error:
        start = b""
    if start.startswith(struct.pack("<I", 0x5053474E)):
        return _splat(".spz")
    return Kind("a gzip archive", "unpack it first")


def _zip(head: bytes) -> Kind | None:
    """By the name of the first entry; torch's own files, which are zips too, are left to their reader."""
    length = int.from_bytes(head[26:28], "little")
    name = head[30 : 30 + length]
    if name.endswith(b".webp") or name == b"meta.json":
        return _splat("SOG")
    return None if name.endswith((b"data.pkl", b"/.data/serialization_id", b"/byteorder")) else _ZIP


def _is_ksplat(head: bytes, size: int) -> bool:
    """Version 0.1, a plausible count of sections and splats, and the header's 4096 bytes."""
    if len(head) < HEAD or size <= HEAD or head[:2] != b"\x00\x01":
        return False
    most, sections, splats = struct.unpack_from("<III", head, 4)
    return 0 < sections <= most <= 1 << 16 and 0 < splats <= size


def _is_splat(head: bytes, size: int) -> bool:
    """Records of 32 bytes: position and scales as floats, color and rotation as bytes; no header at all."""
    if size < 32 or size % 32:
        return False
    count = min(len(head), size) // 32
    for index in range(count):
        x, y, z, *scales = struct.unpack_from("<6f", head, 32 * index)
        if not all(abs(value) < 1e6 for value in (x, y, z)):  # also false for NaN
            return False
        if not all(1e-12 < scale < 1e4 for scale in scales):
            return False
    return True
