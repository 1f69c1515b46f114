"""Chunks of a stream with any numbers in them, right or wrong: written by hand with the readable coder."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from gspc.format.scene import QuantizedHeads, QuantizedLayer
from gspc.reference.binary import BinaryEncoder, BinaryModel, ExpGolombModel, models
from gspc.scene import Camera


def tree(coder: BinaryEncoder, digits: list[BinaryModel], value: int, bits: int) -> None:
    """`bits` digits, most significant first."""
    node = 1
    for i in range(bits - 1, -1, -1):
        node = node << 1 | coder.bit(digits[node], value >> i & 1)


def double(coder: BinaryEncoder, value: float) -> None:
    """64 raw digits, the upper 32 first."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", value))
    coder.raw(bits >> 32, 32)
    coder.raw(bits & 0xFFFFFFFF, 32)


def cameras_chunk(cameras: Sequence[Camera], names: Sequence[bytes] | None = None) -> bytes:
    """A cams payload without any of its savings: no shared prefix, no repeated lens, no packed rotation."""
    coder = BinaryEncoder()
    prefix, suffix, letters = ExpGolombModel(), ExpGolombModel(), models(256)
    coder.raw(len(cameras), 8)
    for camera, name in zip(cameras, names or [c.name.encode() for c in cameras], strict=True):
        coder.number(prefix, 0)
        coder.number(suffix, len(name))
        for byte in name:
            tree(coder, letters, byte, 8)
        coder.raw(0, 1)
        coder.raw(camera.width, 16)
        coder.raw(camera.height, 16)
        for value in (camera.fx, camera.fy, camera.cx, camera.cy):
            double(coder, value)
        coder.raw(0, 1)
        for value in camera.world_to_camera[:3, :3].reshape(-1):
            double(coder, float(value))
        with np.errstate(over="ignore"):
            translation = camera.world_to_camera[:3, 3].astype(np.float32)
        for bits in translation.view(np.uint32):
            coder.raw(int(bits), 32)
    return coder.finish()


def heads_chunk(heads: QuantizedHeads) -> bytes:
    """A GHED payload of heads without a residual decoder."""
    coder = BinaryEncoder()
    for layer in (heads.hidden, heads.opacity, heads.color, heads.cov):
        _layer(coder, layer)
    _floats(coder, [heads.distance_scale])
    return coder.finish()


def _layer(coder: BinaryEncoder, layer: QuantizedLayer) -> None:
    length, top = models(8), [models(4) for _ in range(8)]
    for weight in map(int, layer.weight.reshape(-1)):
        magnitude = abs(weight)
        digits = magnitude.bit_length()
        tree(coder, length, digits, 3)
        if digits == 2:
            coder.bit(top[2][1], magnitude & 1)
        elif digits > 2:
            tree(coder, top[digits], magnitude >> (digits - 3) & 3, 2)
            coder.raw(magnitude & ((1 << (digits - 3)) - 1), digits - 3)
        if digits:
            coder.raw(int(weight < 0), 1)
    _floats(coder, layer.scale)
    _floats(coder, layer.bias)


def _floats(coder: BinaryEncoder, values: Iterable[float]) -> None:
    coder.raw(23, 5)
    sign, exponents = BinaryModel(), models(256)
    for bits in map(int, np.array(values, dtype=np.float32).view(np.uint32)):
        coder.bit(sign, bits >> 31)
        tree(coder, exponents, bits >> 23 & 255, 8)
        coder.raw(bits & 0x7FFFFF, 23)
