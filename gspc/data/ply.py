"""Point clouds in PLY files (through plyfile): positions and, where given, colors.

A trained Gaussian splat is a point cloud, too: its colors are the constant term of its harmonics (`f_dc_*`).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gspc.data import kinds
from gspc.errors import InputError
from gspc.scene import F64, U8

HARMONIC = 0.28209479177387814  # Y00 = 1 / (2 sqrt(pi)); 3DGS codes a color c as (c - 0.5) / Y00
_COLORS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))


def read_point_cloud(path: Path) -> tuple[F64, U8]:
    """Positions [P, 3], which may not be finite, and colors [P, 3], middle gray where the file has none.

    Raises InputError.
    """
    import plyfile

    _check_counts(path)
    try:
        vertex = plyfile.PlyData.read(str(path))["vertex"].data
        positions = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float64)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=str(path)) from error
    except (plyfile.PlyParseError, KeyError, ValueError, MemoryError, OverflowError) as error:
        raise InputError(
            f"not a PLY point cloud with x, y, z ({error}); write it again", source=str(path)
        ) from error
    return positions, _colors(vertex)


def _colors(vertex: np.ndarray) -> U8:
    """Colors [P, 3] of a table of vertices; middle gray where it has none."""
    names = set(vertex.dtype.names or ())
    if {"f_dc_0", "f_dc_1", "f_dc_2"} <= names:
        terms = np.stack([vertex[f"f_dc_{index}"] for index in range(3)], axis=1).astype(np.float64)
        return _bytes(255 * (0.5 + HARMONIC * terms))
    known = next((triple for triple in _COLORS if set(triple) <= names), None)
    if known is None:
        return np.full((len(vertex), 3), 128, np.uint8)
    colors = np.stack([vertex[name] for name in known], axis=1)
    if colors.dtype.kind == "f" and not (np.nan_to_num(colors) > 2).any():  # floats are mostly 0 to 1
        colors = colors * 255
    elif colors.dtype == np.uint16:
        colors = colors / 257
    return _bytes(colors)


def _bytes(colors: np.ndarray) -> U8:
    return np.rint(np.clip(np.nan_to_num(colors), 0, 255)).astype(np.uint8)


def _check_counts(path: Path) -> None:
    """Refuse counts that the file cannot hold (an element takes a byte at least): plyfile allocates first."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(2**16)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=str(path)) from error
    kinds.refuse(path, head, size)
    header = head.partition(b"end_header")[0]
    for count in re.findall(rb"^element\s+\S+\s+(\d{1,30})", header, re.MULTILINE):
        if int(count) > size:
            raise InputError(
                f"{int(count)} elements do not fit into {size} bytes; write it again", source=str(path)
            )
