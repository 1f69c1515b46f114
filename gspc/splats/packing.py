"""Numbers as several formats pack them: bytes of opacity, quaternions of three components, Morton order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.scene import F32, F64
from gspc.splats.splats import Splats, logit

# A packed file may unpack to this many times its size, plus a little for tiny ones; real scenes stay below
# 10. Larger claims come from damaged or hostile files and are refused before memory is taken.
MAX_EXPANSION = 100
FREE_BYTES = 1 << 20


def check_expansion(needed: int, size: int) -> None:
    """Raises InputError when `size` bytes claim to unpack to `needed` bytes, far more than any scene does."""
    if needed > MAX_EXPANSION * size + FREE_BYTES:
        raise InputError(
            f"claims {needed:,} bytes of Gaussians in a file of {size:,}; it is damaged, get it again"
        )


def take(data: bytes | memoryview, offset: int, count: int, dtype: Any, what: str) -> NDArray[Any]:
    """`count` numbers at `offset`, as a view; raises InputError where the file ends before them."""
    kind = np.dtype(dtype)
    if offset < 0 or count < 0 or offset + count * kind.itemsize > len(data):
        raise InputError(f"ends inside its {what}; get the file again")
    return np.frombuffer(data, kind, count, offset)


def opacity_bytes(splats: Splats) -> NDArray[np.uint8]:  # [M]
    """Opacities times 255, at most 254: many readers take the logit of 255 / 255, which is infinite."""
    return np.minimum(np.rint(splats.opacities * 255), 254).astype(np.uint8)


def logits_from_bytes(values: NDArray[np.uint8]) -> F32:  # [M]
    """Logits of opacities in bytes; 0 and 255 stand for the middle of what rounds to them."""
    return logit(np.clip(values.astype(np.float64), 0.25, 254.75) / 255)


def as_bytes(values: F32) -> NDArray[np.uint8]:
    """Nearest whole numbers within 0 to 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def smallest_three(quats: F32) -> tuple[NDArray[np.int64], F32]:  # [M, 4] -> [M], [M, 3]
    """Index of each quaternion's largest component and the other three, in order, with that one positive.

    The three lie within +-sqrt(1/2).
    """
    rows = np.arange(len(quats))
    largest = np.abs(quats).argmax(axis=1)
    signed = quats * np.where(quats[rows, largest] < 0, np.float32(-1), np.float32(1))[:, None]
    rest = np.ones(quats.shape, np.bool_)
    rest[rows, largest] = False
    return largest, np.clip(signed[rest].reshape(-1, 3), -math.sqrt(0.5), math.sqrt(0.5))


def from_smallest_three(largest: NDArray[Any], three: F32 | F64) -> F32:  # [M], [M, 3] -> [M, 4]
    """The quaternions again, the largest component from unit length."""
    quats = np.empty((len(three), 4), np.float32)
    rest = np.ones(quats.shape, np.bool_)
    rest[np.arange(len(three)), largest.astype(np.int64)] = False
    quats[rest] = three.reshape(-1)
    quats[~rest] = np.sqrt(np.maximum(1 - np.square(three, dtype=np.float64).sum(axis=1), 0))
    return quats


def morton_order(means: F32) -> NDArray[np.int64]:  # [M, 3] -> [M]
    """Rows along a Z-shaped curve through space: neighbors in the list are neighbors in the scene."""
    low, high = means.min(axis=0), means.max(axis=0)
    cells = ((means - low) / np.maximum(high - low, 1e-30) * 1023).astype(np.uint64)
    code = np.zeros(len(means), np.uint64)
    for bit in range(10):
        for axis in range(3):
            code |= ((cells[:, axis] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return np.argsort(code, kind="stable")
