"""`.splat` (antimatter15): 32 bytes per Gaussian and nothing else, no harmonics, no header.

x y z and three linear scales as floats; r g b and opacity as bytes (r = 255 (0.5 + C0 f_dc)); the rotation
wxyz as bytes, (b - 128) / 128. The frame is that of the `.ply` it was made from, so RDF.

Without a magic number such a file can only be recognized by its length and by numbers that make sense.
"""

from __future__ import annotations

import numpy as np

from gspc.errors import InputError
from gspc.splats import packing
from gspc.splats.harmonics import C0
from gspc.splats.splats import Splats

RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("quat", "u1", 4)])
LOOKED_AT = 64  # records whose numbers are checked to recognize a file


def is_splat32(data: bytes, size: int | None = None) -> bool:
    """Whether `data`, the head of a file of `size` bytes, looks like records of a `.splat`."""
    size = len(data) if size is None else size
    if size == 0 or size % RECORD.itemsize:
        return False
    rows = np.frombuffer(data, RECORD, min(len(data) // RECORD.itemsize, LOOKED_AT))
    with np.errstate(all="ignore"):
        norms = np.linalg.norm((rows["quat"].astype(np.float32) - 128) / 128, axis=1)
        sane = (np.abs(rows["mean"]) < 1e6).all() and ((rows["scale"] >= 0) & (rows["scale"] < 1e6)).all()
    return bool(len(rows) and sane and (np.abs(norms - 1) < 0.1).all() and rows["color"][:, 3].any())


def read(data: bytes) -> Splats:
    """The Gaussians of a file; raises InputError."""
    count, rest = divmod(len(data), RECORD.itemsize)
    if rest:
        raise InputError(f"is cut short: {len(data):,} bytes are no multiple of 32; get the file again")
    rows = np.frombuffer(data, RECORD, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_scales = np.log(rows["scale"])
    color = rows["color"].astype(np.float32)
    return Splats(
        means=rows["mean"].astype(np.float32),
        quats=(rows["quat"].astype(np.float32) - np.float32(128)) / np.float32(128),
        log_scales=log_scales,
        logits=packing.logits_from_bytes(rows["color"][:, 3]),
        sh=((color[:, None, :3] / 255 - 0.5) / C0).astype(np.float32),
    )


def write(splats: Splats) -> bytes:
    """The file, the Gaussians that matter most (opacity times volume) first, as viewers stream it."""
    order = np.argsort(-(np.log(splats.opacities) + splats.log_scales.sum(axis=1)), kind="stable")
    splats = splats.take(order)
    rows = np.empty(splats.count, RECORD)
    rows["mean"], rows["scale"] = splats.means, splats.scales
    rows["color"][:, :3] = packing.as_bytes((splats.sh[:, 0] * C0 + 0.5) * 255)
    rows["color"][:, 3] = packing.opacity_bytes(splats)
    rows["quat"] = packing.as_bytes(splats.quats * 128 + 128)
    return rows.tobytes()
