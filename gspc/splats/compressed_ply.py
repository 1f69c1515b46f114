"""Compressed `.ply` of PlayCanvas and SuperSplat: 16 bytes per Gaussian, harmonics a byte each.

Elements: `chunk` with float ranges of every 256 Gaussians (min/max of x y z, of log scale_x y z, of r g b);
`vertex` with four 32-bit words; `sh`, when there are harmonics, with uchar f_rest_* in the order of 3DGS.
Words, from the highest bit: packed_position x 11, y 10, z 11 bits within the chunk's range; packed_rotation
2 bits for the index (in wxyz) of the component left out, then three of 10 bits in +-sqrt(1/2); packed_scale
as the position; packed_color r g b within the chunk's range (0.5 + C0 f_dc) and opacity, 8 each. A harmonic
h is stored as floor(256 (h / 8 + 1/2)). Files of older tools have no range of colors: 0 to 1.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.scene import F32
from gspc.splats import packing, ply
from gspc.splats.harmonics import C0
from gspc.splats.splats import Splats

CHUNK = 256
HALF_DIAGONAL = 2**0.5 / 2
_WORDS = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
_MEANS = ("x", "y", "z")
_SCALES = ("scale_x", "scale_y", "scale_z")
_COLORS = ("r", "g", "b")
_VECTOR = ((21, 11), (11, 10), (0, 11))  # (shift, bits)
_COLOR = ((24, 8), (16, 8), (8, 8))


def is_compressed_ply(data: bytes) -> bool:
    """Whether the header declares packed words and their ranges."""
    return {*_WORDS, "min_x"} <= ply.properties(ply.header_of(data))


def read(data: bytes) -> Splats:
    """The Gaussians of a file; raises InputError."""
    elements = ply.load(data)
    chunk, vertex = elements.get("chunk"), elements.get("vertex")
    if chunk is None or vertex is None or not set(_WORDS) <= set(vertex.dtype.names):
        raise InputError("lacks its chunks or packed words; get the file again")
    if len(chunk) * CHUNK < len(vertex):
        raise InputError(f"has {len(chunk):,} chunks for {len(vertex):,} Gaussians; get the file again")
    position, rotation, scale, color = (vertex[name].astype(np.uint32) for name in _WORDS)
    three = np.stack([_unpack(rotation, shift, 10) for shift in (20, 10, 0)], axis=1)
    rgb = _within(chunk, _COLORS, color, _COLOR)
    return Splats(
        means=_within(chunk, _MEANS, position, _VECTOR),
        quats=packing.from_smallest_three(rotation >> 30, ((2 * three - 1) * HALF_DIAGONAL)),
        log_scales=_within(chunk, _SCALES, scale, _VECTOR),
        logits=packing.logits_from_bytes((color & 255).astype(np.uint8)),
        sh=np.concatenate([((rgb - 0.5) / C0)[:, None], _rest(elements.get("sh"), len(vertex))], axis=1),
    )


def _unpack(word: NDArray[np.uint32], shift: int, bits: int) -> F32:
    """A field as a fraction of its largest value."""
    mask = (1 << bits) - 1
    return ((word >> np.uint32(shift)) & np.uint32(mask)).astype(np.float32) / np.float32(mask)


def _within(
    chunk: Any, names: tuple[str, ...], word: NDArray[np.uint32], fields: tuple[tuple[int, int], ...]
) -> F32:  # [M, 3]
    rows = np.arange(len(word)) // CHUNK
    columns = []
    for name, (shift, bits) in zip(names, fields, strict=True):
        part = _unpack(word, shift, bits)
        if f"min_{name}" in chunk.dtype.names:
            if f"max_{name}" not in chunk.dtype.names:
                raise InputError(f"has chunks without max_{name}; get the file again")
            low, high = chunk[f"min_{name}"][rows], chunk[f"max_{name}"][rows]
            part = low + part * (high - low)
        columns.append(part)
    return np.stack(columns, axis=1).astype(np.float32)


def _rest(table: Any, count: int) -> F32:  # [M, C - 1, 3]
    names = () if table is None else [name for name in table.dtype.names if re.match(r"f_rest_\d+$", name)]
    if not names:
        return np.zeros((count, 0, 3), np.float32)
    if len(table) != count or len(names) not in (9, 24, 45):
        raise InputError(f"has {len(names)} harmonics for {len(table):,} Gaussians; get the file again")
    values = np.stack([table[f"f_rest_{index}"] for index in range(len(names))], axis=1)
    # The ends of the range stand for themselves, everything else for the middle of its bin.
    parts = np.where(values == 0, 0, np.where(values == 255, 1, (values.astype(np.float32) + 0.5) / 256))
    return (8 * (parts - 0.5)).reshape(count, 3, -1).transpose(0, 2, 1).astype(np.float32)


def write(splats: Splats) -> bytes:
    """The file, in Morton order: chunks of neighbors have small ranges."""
    splats = splats.take(packing.morton_order(splats.means))
    rgb = splats.sh[:, 0] * np.float32(C0) + np.float32(0.5)
    log_scales = np.clip(splats.log_scales, -20, 20)
    largest, three = packing.smallest_three(splats.quats)
    rotation = largest.astype(np.uint32) << np.uint32(30)
    for column, shift in enumerate((20, 10, 0)):
        rotation |= _pack(three[:, column] / (2 * HALF_DIAGONAL) + 0.5, shift, 10)
    ranges, words = [], []
    for values, fields in ((splats.means, _VECTOR), (log_scales, _VECTOR), (rgb, _COLOR)):
        low, high = _ranges(values)
        ranges += [low, high]
        rows = np.arange(len(values)) // CHUNK
        parts = (values - low[rows]) / np.maximum(high - low, np.float32(1e-30))[rows]
        words.append(
            np.bitwise_or.reduce([_pack(parts[:, axis], *field) for axis, field in enumerate(fields)])
        )
    color = words[2] | packing.opacity_bytes(splats).astype(np.uint32)
    table = np.stack([words[0], rotation, words[1], color], axis=1).astype("<u4")
    rest = splats.sh[:, 1:].transpose(0, 2, 1).reshape(splats.count, -1)
    harmonics = np.clip(np.floor((rest / 8 + 0.5) * 256), 0, 255).astype(np.uint8)
    chunks = np.concatenate(ranges, axis=1).astype("<f4")
    header = _header(len(chunks), splats.count, harmonics.shape[1])
    return header + chunks.tobytes() + table.tobytes() + harmonics.tobytes()


def _ranges(values: F32) -> tuple[F32, F32]:  # [M, 3] -> [chunks, 3] twice
    starts = np.arange(0, len(values), CHUNK)
    return np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)


def _pack(part: F32, shift: int, bits: int) -> NDArray[np.uint32]:
    largest = (1 << bits) - 1
    return np.clip(np.rint(part * largest), 0, largest).astype(np.uint32) << np.uint32(shift)


def _header(chunks: int, count: int, rest: int) -> bytes:
    floats = [
        f"{end}_{name}" for names in (_MEANS, _SCALES, _COLORS) for end in ("min", "max") for name in names
    ]
    lines = ["ply", "format binary_little_endian 1.0", "comment Generated by gspc", f"element chunk {chunks}"]
    lines += [f"property float {name}" for name in floats]
    lines += [f"element vertex {count}", *(f"property uint {name}" for name in _WORDS)]
    if rest:
        lines += [f"element sh {count}", *(f"property uchar f_rest_{index}" for index in range(rest))]
    return ("\n".join([*lines, "end_header"]) + "\n").encode()
