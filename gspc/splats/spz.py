"""SPZ (Niantic), versions 2 to 4: fixed-point numbers by attribute, then compressed as a whole.

Attributes in order: positions, 3 x 24-bit signed with a number of fractional bits from the header;
opacities, a byte each; colors, byte = 255 (0.15 f_dc + 0.5); log scales, byte = 16 (s + 10); rotations;
harmonics up to the header's degree, byte = 128 (h + 1), coefficient by coefficient with r g b inside; how
many of their bits are used is the writer's choice (Niantic's takes 5 for degree 1 and 4 above). Rotations
of version 2 are x y z as bytes, (b / 127.5) - 1, with w >= 0; later ones are 32 bits: the index in xyzw of
the component left out on top, then the others in order, a sign and 9 bits of magnitude over sqrt(1/2) each.

Versions 2 and 3 are one gzip stream of a 16-byte header and the attributes (some tools leave gzip out).
Version 4 is a 32-byte header, 16 bytes per stream (compressed and plain length) and one zstd stream per
attribute. The frame is RUB by the format's own page. PlayCanvas and several converters do not turn what
they write, so a file may hold RDF: only a person can tell.
"""

from __future__ import annotations

import gzip
import importlib
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import BackendError, InputError, UsageError
from gspc.scene import F32
from gspc.splats import packing
from gspc.splats.splats import MAX_DEGREE, Splats

MAGIC = b"NGSP"
GZIP_MAGIC = b"\x1f\x8b"
FRAME = "RUB"
ZSTD_LEVEL = 12
FRACTION_BITS = 12  # of positions, unless a scene needs finer or wider ones
ANTIALIASED = 1  # flag: trained with a Mip filter
_HEAD = struct.Struct("<4sIIBBBB")
_COLOR = 0.15
# By degree 1, 2, 3. With Niantic's 5, 4, 4 a splat of fox fell from 29.65 to 28.55 dB, since most of what is
# baked is smaller than a step; one bit more each is 14 % more bytes and 29.28 dB.
_SH_BITS = (6, 5, 5)
_XYZW = np.array([1, 2, 3, 0])  # wxyz -> xyzw


def is_spz(data: bytes) -> bool:
    """Whether the head is SPZ's, plain or inside gzip."""
    if data.startswith(GZIP_MAGIC):
        try:
            return zlib.decompressobj(31).decompress(data[:512], 4) == MAGIC
        except zlib.error:
            return False
    return data.startswith(MAGIC)


def read(data: bytes) -> Splats:
    """The Gaussians of a file of version 2, 3 or 4; raises InputError, BackendError without zstd."""
    plain = _Plain(data)
    head = plain.take(16)
    magic, version, count, degree, fraction, flags, _ = _HEAD.unpack(head)
    if magic != MAGIC:
        raise InputError("is a gzip file, but not of SPZ; unpack it")
    if version not in (2, 3, 4):
        raise InputError(f"is SPZ of version {version}, this gspc reads 2 to 4; convert it or update gspc")
    if degree > 4 or fraction > 24 or count == 0:
        raise InputError("has an SPZ header that makes no sense; get the file again")
    sizes = _sizes(version, count, degree)
    packing.check_expansion(sum(sizes), len(data))
    parts = _streams(data, sizes) if version == 4 else [plain.take(size) for size in sizes]
    if version < 4:
        plain.finish()
    positions, alphas, colors, scales, rotations, rest = (np.frombuffer(part, np.uint8) for part in parts)
    quats = _quats_v2(rotations) if version == 2 else _quats_v3(rotations)
    return Splats(
        means=_fixed_point(positions, fraction),
        quats=quats,
        log_scales=scales.reshape(count, 3).astype(np.float32) / np.float32(16) - np.float32(10),
        logits=packing.logits_from_bytes(alphas),
        sh=_harmonics(colors, rest, count, degree),
        frame=FRAME,
        metadata={"antialiased": "yes"} if flags & ANTIALIASED else {},
    )


def _sizes(version: int, count: int, degree: int) -> list[int]:
    """Bytes of each attribute."""
    each = (9, 1, 3, 3, 3 if version == 2 else 4, 3 * ((degree + 1) ** 2 - 1))
    return [count * size for size in each]


class _Plain:
    """A file's bytes one after the other, through gzip where it is packed; never more than are asked for."""

    def __init__(self, data: bytes) -> None:
        self._packer = zlib.decompressobj(31) if data.startswith(GZIP_MAGIC) else None
        self._rest = data

    def take(self, size: int) -> bytes:
        """The next `size` bytes; raises InputError where there are fewer."""
        if self._packer is None or size == 0:
            part, self._rest = (self._rest[:size], self._rest[size:]) if size else (b"", self._rest)
        else:
            try:
                part = self._packer.decompress(self._rest, size)
            except zlib.error as error:
                raise InputError(f"is damaged inside ({error}); get the file again") from None
            self._rest = self._packer.unconsumed_tail
        if len(part) != size:
            raise InputError("is cut short; get the file again")
        return part

    def finish(self) -> None:
        """Raises InputError when the file ends before its packed stream does."""
        if self._packer is not None and self._rest == b"" and not self._packer.eof:
            raise InputError("is cut short; get the file again")


def _streams(data: bytes, sizes: list[int]) -> list[bytes]:
    """The attributes of version 4, each of which must unpack to its size."""
    streams, table = data[15], struct.unpack_from("<I", data, 16)[0] if len(data) >= 32 else 0
    wanted = [size for size in sizes if size]
    if streams < len(wanted) or table < 32:
        raise InputError("has a table of contents that makes no sense; get the file again")
    entries = packing.take(data, table, 2 * streams, "<u8", "table of contents").reshape(streams, 2)
    start, found = table + 16 * streams, []
    for size, (packed, plain) in zip(wanted, entries.tolist(), strict=False):
        if plain != size or start + packed > len(data):
            raise InputError("is cut short, or its streams have other sizes than its header says")
        found.append(_unzstd(data[start : start + packed], size))
        start += packed
    return found + [b""] * (len(sizes) - len(found))


def _zstd() -> Any:
    """The zstd module: Python's own from 3.14 on, else the backport."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise BackendError("SPZ of version 4 needs zstd; pip install 'gspc[spz]', or use version 3")


def _unzstd(data: bytes, size: int) -> bytes:
    zstd = _zstd()
    try:
        plain = zstd.ZstdDecompressor().decompress(data, size + 1)
    except zstd.ZstdError as error:
        raise InputError(f"is damaged inside ({error}); get the file again") from None
    if len(plain) != size:
        raise InputError("is cut short; get the file again")
    return bytes(plain)


def _fixed_point(packed: NDArray[np.uint8], fraction: int) -> F32:  # [9 M] -> [M, 3]
    low, middle, high = packed.reshape(-1, 3).astype(np.int32).T
    whole = (low | middle << 8 | high << 16) << 8 >> 8  # the shifts spread the sign
    return (whole.reshape(-1, 3) / np.float64(1 << fraction)).astype(np.float32)


def _quats_v2(packed: NDArray[np.uint8]) -> F32:
    xyz = packed.reshape(-1, 3).astype(np.float32) / np.float32(127.5) - 1
    w = np.sqrt(np.maximum(1 - np.square(xyz).sum(axis=1, keepdims=True), 0))
    return np.concatenate([w, xyz], axis=1)


def _quats_v3(packed: NDArray[np.uint8]) -> F32:
    words = packed.view("<u4")
    three = np.empty((len(words), 3), np.float32)
    for column, shift in enumerate((20, 10, 0)):
        field = words >> np.uint32(shift)
        magnitude = (field & np.uint32(511)).astype(np.float32) * np.float32(math.sqrt(0.5) / 511)
        three[:, column] = np.where(field & np.uint32(512), -magnitude, magnitude)
    xyzw = packing.from_smallest_three(words >> np.uint32(30), three)
    return xyzw[:, [3, 0, 1, 2]]


def _harmonics(colors: NDArray[np.uint8], rest: NDArray[np.uint8], count: int, degree: int) -> F32:
    dc = (colors.reshape(count, 1, 3).astype(np.float32) / 255 - np.float32(0.5)) / np.float32(_COLOR)
    higher = rest.reshape(count, (degree + 1) ** 2 - 1, 3)[:, : (MAX_DEGREE + 1) ** 2 - 1]
    return np.concatenate([dc, (higher.astype(np.float32) - 128) / 128], axis=1)


def write(splats: Splats, version: int = 3) -> bytes:
    """A file of version 3 or 4; raises UsageError, InputError (too wide), BackendError without zstd."""
    if version not in (3, 4):
        raise UsageError(f"SPZ version {version} is not written; choose 3 or 4")
    fraction = _fraction_bits(splats)
    flags = ANTIALIASED if splats.metadata.get("antialiased") == "yes" else 0
    parts = list(_pack(splats, fraction))
    head = _HEAD.pack(MAGIC, version, splats.count, splats.degree, fraction, flags, 0)
    if version == 3:
        return gzip.compress(head + b"".join(parts), 6, mtime=0)
    zstd = _zstd()
    packed = [zstd.compress(part, ZSTD_LEVEL) for part in parts if part]
    plain = [len(part) for part in parts if part]
    table = b"".join(struct.pack("<QQ", len(one), size) for one, size in zip(packed, plain, strict=True))
    head = head[:15] + bytes([len(packed)]) + struct.pack("<I", 32) + bytes(12)
    return head + table + b"".join(packed)


def _fraction_bits(splats: Splats) -> int:
    """Finest steps of positions that are worth it, an eighth of the median scale, and fit; else 12 bits."""
    reach = float(np.abs(splats.means).max())
    whole = max(math.ceil(math.log2(max(reach, 1e-30)) + 1e-6), -1)
    worth = math.ceil(3 - float(np.median(splats.log_scales)) / math.log(2))
    bits = min(max(FRACTION_BITS, worth), 23 - whole, 23)
    if bits < 0:
        raise InputError(f"reaches out to {reach:.3g} units, SPZ to 2^23; scale or crop the scene")
    return bits


def _pack(splats: Splats, fraction: int) -> Iterator[bytes]:
    whole = np.rint(splats.means.astype(np.float64) * (1 << fraction)).astype("<i4")
    yield np.ascontiguousarray(whole.view(np.uint8).reshape(-1, 4)[:, :3]).tobytes()
    yield packing.opacity_bytes(splats).tobytes()
    yield packing.as_bytes((splats.sh[:, 0] * np.float32(_COLOR) + np.float32(0.5)) * 255).tobytes()
    yield packing.as_bytes((splats.log_scales + 10) * 16).tobytes()
    largest, three = packing.smallest_three(splats.quats[:, _XYZW])
    magnitude = np.rint(np.abs(three) * (511 / math.sqrt(0.5))).astype(np.uint32)
    fields = np.minimum(magnitude, 511) | np.where(three < 0, np.uint32(512), np.uint32(0))
    words = largest.astype(np.uint32) << np.uint32(30)
    for column, shift in enumerate((20, 10, 0)):
        words |= fields[:, column] << np.uint32(shift)
    yield words.astype("<u4").tobytes()
    degrees = np.repeat(np.arange(1, splats.degree + 1), [2 * l + 1 for l in range(1, splats.degree + 1)])
    bins = np.array([1 << (8 - _SH_BITS[l - 1]) for l in degrees], np.float32)[:, None]
    steps = np.rint(splats.sh[:, 1:] * 128) + 128
    yield np.clip(np.floor((steps + bins / 2) / bins) * bins, 0, 255).astype(np.uint8).tobytes()
