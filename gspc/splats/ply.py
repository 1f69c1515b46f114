"""3DGS `.ply`: the numbers that training leaves, as floats, through plyfile.

One element `vertex` with x y z (nx ny nz, unused) f_dc_0-2, f_rest_*, opacity (logit), scale_0-2
(logarithms) and rot_0-3 (wxyz). f_rest is channel-major: all of red, then green, then blue; of degree 3
that is 15 each. The frame is usually RDF. Columns that are not named here are ignored. A file without
scale_2 comes from 2DGS, whose Gaussians are flat.
"""

from __future__ import annotations

import io
import re
import tempfile
from typing import Any

import numpy as np

from gspc.errors import InputError
from gspc.scene import F32
from gspc.splats.splats import MAX_DEGREE, Splats, degree_of

MAGIC = b"ply"
MAX_HEADER = 1 << 16
FLAT = -20.0  # log of a thickness that no picture shows
_NEEDED = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "rot_0", "rot_3")


def header_of(data: bytes) -> str:
    """The text up to end_header; empty when `data` is no PLY file or its header has no end."""
    if not data.startswith((b"ply\n", b"ply\r")):
        return ""
    head, found, _ = data[:MAX_HEADER].partition(b"end_header")
    return head.decode("latin-1") if found else ""


def properties(header: str) -> set[str]:
    """Names of all properties a header declares."""
    return set(re.findall(r"^property\s.*?(\S+)\s*$", header, re.MULTILINE))


def is_splat_ply(data: bytes) -> bool:
    """Whether these are Gaussians rather than a cloud of points or a mesh."""
    return {"f_dc_0", "opacity", "scale_0", "rot_0"} <= properties(header_of(data))


def load(data: bytes) -> Any:
    """plyfile's elements by name, after the counts were held against the bytes; raises InputError."""
    import plyfile

    for count in re.findall(r"^element\s+\S+\s+(\d{1,30})", header_of(data), re.MULTILINE):
        if int(count) > len(data):  # plyfile allocates first; an element takes a byte at least
            raise InputError(f"claims {int(count):,} elements in {len(data):,} bytes; get the file again")
    try:
        # A real file is mapped; from bytes in memory plyfile reads one number at a time, 100 times slower.
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            return {element.name: element.data for element in plyfile.PlyData.read(file).elements}
    except (plyfile.PlyParseError, ValueError, OverflowError, UnicodeError) as error:
        raise InputError(f"is not a whole PLY file ({str(error)[:100]}); get it again") from error


def read(data: bytes) -> Splats:
    """Gaussians of any degree up to 3, more is cut off; raises InputError."""
    vertex = load(data).get("vertex")
    names = vertex.dtype.names if vertex is not None else ()
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(f"has no column '{missing[0]}' per vertex; it is not a splat of 3DGS")
    scales = [f"scale_{axis}" for axis in range(3) if f"scale_{axis}" in names]
    log_scales = np.full((len(vertex), 3), FLAT, np.float32)
    log_scales[:, : len(scales)] = _columns(vertex, scales)
    return Splats(
        means=_columns(vertex, ["x", "y", "z"]),
        quats=_columns(vertex, [f"rot_{axis}" for axis in range(4)]),
        log_scales=log_scales,
        logits=_columns(vertex, ["opacity"])[:, 0],
        sh=_harmonics(vertex),
    )


def _columns(vertex: Any, names: list[str]) -> F32:
    try:
        table = _table(vertex)
        if table is not None:  # columns taken at once, ten times faster than one after the other
            return table[:, [vertex.dtype.names.index(name) for name in names]].astype(np.float32, copy=False)
        return np.stack([vertex[name] for name in names], axis=1).astype(np.float32)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"has columns that are not numbers ({str(error)[:80]}); write it again") from error


def _table(vertex: Any) -> Any:  # [M, columns]
    """All columns as one array, where all are little-endian floats, as nearly always; else None."""
    count = len(vertex.dtype.names)
    if any(vertex.dtype[column] != np.dtype("<f4") for column in range(count)):
        return None
    return np.ascontiguousarray(vertex).view("<f4").reshape(len(vertex), count)


def _harmonics(vertex: Any) -> F32:  # [M, C, 3]
    rest = sum(1 for name in vertex.dtype.names if re.fullmatch(r"f_rest_\d+", name))
    if rest not in (0, 9, 24, 45, 72):
        raise InputError(f"has {rest} columns f_rest_*, not 0, 9, 24 or 45; write it again")
    dc = _columns(vertex, [f"f_dc_{channel}" for channel in range(3)])
    per_channel = min(rest // 3, (MAX_DEGREE + 1) ** 2 - 1)
    names = [
        f"f_rest_{channel * (rest // 3) + index}" for index in range(per_channel) for channel in range(3)
    ]
    if not names:
        return dc[:, None]
    return np.concatenate([dc[:, None], _columns(vertex, names).reshape(len(dc), per_channel, 3)], axis=1)


def write(splats: Splats) -> bytes:
    """A binary little-endian file with the columns and the order that 3DGS writes."""
    import plyfile

    per_channel = (degree_of(splats.sh.shape[1]) + 1) ** 2 - 1
    rest = splats.sh[:, 1:].transpose(0, 2, 1).reshape(splats.count, 3 * per_channel)
    blocks = {
        ("x", "y", "z"): splats.means,
        ("nx", "ny", "nz"): np.zeros_like(splats.means),
        ("f_dc_0", "f_dc_1", "f_dc_2"): splats.sh[:, 0],
        tuple(f"f_rest_{index}" for index in range(3 * per_channel)): rest,
        ("opacity",): splats.logits[:, None],
        ("scale_0", "scale_1", "scale_2"): splats.log_scales,
        ("rot_0", "rot_1", "rot_2", "rot_3"): splats.quats,
    }
    names = [name for block in blocks for name in block]
    table = np.concatenate(list(blocks.values()), axis=1, dtype=np.float32)
    vertex = np.ascontiguousarray(table).view([(name, "<f4") for name in names])[:, 0]
    file = io.BytesIO()
    plyfile.PlyData([plyfile.PlyElement.describe(vertex, "vertex")], byte_order="<").write(file)
    return file.getvalue()
