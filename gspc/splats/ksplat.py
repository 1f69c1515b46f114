"""`.ksplat` (mkkellogg's GaussianSplats3D): buckets of Gaussians in sections; read only.

A header of 4,096 bytes (version 0.1, counts, compression level 0 to 2, range of harmonics at level 2), then
1,024 bytes per section, then the sections: lengths of partly filled buckets, centers of buckets, records. A
record is position, linear scales, rotation wxyz, r g b and opacity as bytes, harmonics of degree 0 to 2.
Level 0 keeps floats; levels 1 and 2 keep positions as 16 bits around the bucket's center, scales and
rotations as half floats, and harmonics as half floats (1) or bytes (2). Harmonics are ordered per degree:
all coefficients of red, then of green, then of blue. The frame is that of the source, usually RDF.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.scene import F32
from gspc.splats import packing
from gspc.splats.harmonics import C0
from gspc.splats.splats import Splats, joined

HEADER, SECTION = 4096, 1024
VERSION = (0, 1)
_REST = {0: 0, 1: 9, 2: 24}  # numbers per Gaussian by degree


@dataclass(frozen=True)
class _Layout:
    """How records of a section look."""

    level: int
    degree: int
    low: float
    high: float

    @property
    def record(self) -> np.dtype[Any]:
        real = "<f4" if self.level == 0 else "<f2"
        position = "<f4" if self.level == 0 else "<u2"
        harmonic = {0: "<f4", 1: "<f2", 2: "u1"}[self.level]
        fields = [("mean", position, 3), ("scale", real, 3), ("quat", real, 4), ("color", "u1", 4)]
        return np.dtype([*fields, ("rest", harmonic, _REST[self.degree])])


def is_ksplat(data: bytes) -> bool:
    """Whether the head fits: version 0.1, at least one section, a compression level that exists."""
    if len(data) < 48 or tuple(data[:2]) != VERSION or any(data[2:4]):
        return False
    sections = struct.unpack_from("<I", data, 4)[0]
    count, level = struct.unpack_from("<IH", data, 16)
    return 1 <= sections < 1 << 20 and count > 0 and level in (0, 1, 2) and not any(data[48:256])


def read(data: bytes) -> Splats:
    """The Gaussians of all sections; raises InputError."""
    if len(data) < HEADER:
        raise InputError("ends inside its header; get the file again")
    sections = struct.unpack_from("<I", data, 4)[0]  # the count of filled ones after it is often zero
    count, level = struct.unpack_from("<IH", data, 16)
    low, high = struct.unpack_from("<2f", data, 36)
    if (low, high) == (0, 0):
        low, high = -1.5, 1.5
    if count * 24 > len(data) or HEADER + sections * SECTION > len(data):
        raise InputError(f"claims {count:,} Gaussians in {len(data):,} bytes; get the file again")
    parts, start = [], HEADER + sections * SECTION
    for number in range(sections):
        found, start = _section(data, HEADER + number * SECTION, start, level, (low, high))
        parts.append(found)
    return joined(parts)


def _section(data: bytes, head: int, start: int, level: int, ends: tuple[float, float]) -> tuple[Splats, int]:
    """One section and where the next one starts."""
    count, most, size, buckets = struct.unpack_from("<4I", data, head)
    block = struct.unpack_from("<f", data, head + 16)[0]
    center_bytes = struct.unpack_from("<H", data, head + 20)[0]
    scale_range = struct.unpack_from("<I", data, head + 24)[0] or (32767 if level else 1)
    full, partial = struct.unpack_from("<2I", data, head + 32)
    degree = struct.unpack_from("<H", data, head + 40)[0]
    if degree not in _REST or count > most or (buckets and center_bytes < 12):
        raise InputError("has a section header that makes no sense; get the file again")
    layout = _Layout(level, degree, *ends)
    lengths = packing.take(data, start, partial, "<u4", "bucket lengths").astype(np.int64)
    centers = packing.take(data, start + 4 * partial, buckets * center_bytes, "u1", "buckets")
    records = start + 4 * partial + buckets * center_bytes
    rows = packing.take(data, records, count, layout.record, "Gaussians")
    if level == 0:
        means = rows["mean"].astype(np.float32)
    else:
        owner = _bucket_of(count, size, full, lengths, buckets)
        middle = np.ascontiguousarray(centers.reshape(buckets, center_bytes)[:, :12]).view("<f4")
        step = block / 2 / scale_range
        means = ((rows["mean"].astype(np.float32) - scale_range) * step + middle[owner]).astype(np.float32)
    return _splats(rows, means, layout), records + most * layout.record.itemsize


def _bucket_of(
    count: int, size: int, full: int, lengths: NDArray[np.int64], buckets: int
) -> NDArray[np.int64]:  # [M]
    """Each record's bucket: full ones first, then the partly filled ones with their lengths."""
    if full * size > count or full * size + lengths.sum() < count or full + len(lengths) > buckets:
        raise InputError("has buckets that do not add up to its Gaussians; get the file again")
    sizes = np.concatenate([np.full(full, size, np.int64), np.minimum(lengths, count)])
    return np.repeat(np.arange(len(sizes)), sizes)[:count]


def _splats(rows: NDArray[Any], means: F32, layout: _Layout) -> Splats:
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(rows["scale"].astype(np.float32))
    rest = rows["rest"].astype(np.float32)
    if layout.level == 2:
        rest = (rest / 255 * (layout.high - layout.low) + layout.low).astype(np.float32)
    color = rows["color"].astype(np.float32)
    blocks = [((color[:, None, :3] / 255 - 0.5) / C0).astype(np.float32)]
    for start, width in ((0, 3), (9, 5))[: layout.degree]:
        channels = rest[:, start : start + 3 * width].reshape(len(rows), 3, width)
        blocks.append(channels.transpose(0, 2, 1).astype(np.float32))
    return Splats(
        means=means,
        quats=rows["quat"].astype(np.float32),
        log_scales=log_scales,
        logits=packing.logits_from_bytes(rows["color"][:, 3]),
        sh=np.concatenate(blocks, axis=1),
    )
