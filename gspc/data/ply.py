"""Point clouds in PLY files (through plyfile): positions and, where given, colors."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gspc.errors import InputError, OutputError
from gspc.scene import F64, U8


def read_point_cloud(path: Path) -> tuple[F64, U8]:
    """Positions [P, 3] and colors [P, 3] (middle gray where the file has none); raises InputError."""
    import plyfile

    _check_counts(path)
    try:
        vertex = plyfile.PlyData.read(str(path))["vertex"].data
        positions = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float64)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (plyfile.PlyParseError, KeyError, ValueError, MemoryError, OverflowError) as error:
        raise InputError(f"{path}: not a PLY point cloud with x, y, z ({error}); write it again") from error
    if not np.isfinite(positions).all():
        raise InputError(f"{path}: points that are not finite; remove them")
    names = vertex.dtype.names or ()
    if not {"red", "green", "blue"} <= set(names):
        return positions, np.full((len(positions), 3), 128, np.uint8)
    colors = np.stack([vertex[name] for name in ("red", "green", "blue")], axis=1)
    if colors.dtype.kind == "f":  # 0 to 1 by habit of the tools that write floats
        colors = np.rint(np.nan_to_num(colors) * 255)
    return positions, np.clip(colors, 0, 255).astype(np.uint8)


def _check_counts(path: Path) -> None:
    """Refuse counts that the file cannot hold (an element takes a byte at least): plyfile allocates first."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(2**16).partition(b"end_header")[0]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    for count in re.findall(rb"^element\s+\S+\s+(\d{1,30})", header, re.MULTILINE):
        if int(count) > size:
            raise InputError(f"{path}: {int(count)} elements do not fit into {size} bytes; write it again")


def write_point_cloud(path: Path, positions: F64, colors: U8) -> None:
    """Binary little-endian PLY with float positions and uchar colors; raises OutputError."""
    import plyfile

    layout = [(axis, "<f4") for axis in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")]
    vertex = np.empty(len(positions), layout)
    for index, axis in enumerate("xyz"):
        vertex[axis] = positions[:, index]
    for index, name in enumerate(("red", "green", "blue")):
        vertex[name] = colors[:, index]
    try:
        plyfile.PlyData([plyfile.PlyElement.describe(vertex, "vertex")], byte_order="<").write(str(path))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
