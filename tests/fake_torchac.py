"""What gspc calls of torchac's interface, around a coder of one big integer: slow, exact, made for tests.

Tables are int16 tensors [n, slots + 1] of first slots out of 2^16, read as unsigned, whose last entry counts
as 2^16; symbols are int16 [n].
"""

from __future__ import annotations

import numpy as np
import torch

TOTAL = 1 << 16


def _bounds(tables: torch.Tensor) -> np.ndarray:
    assert tables.dtype == torch.int16 and tables.ndim == 2
    first = tables.numpy().view(np.uint16).astype(np.int64)
    first[:, -1] = TOTAL
    assert (np.diff(first, axis=1) > 0).all() and (first[:, 0] == 0).all()
    return first


def encode_int16_normalized_cdf(tables: torch.Tensor, symbols: torch.Tensor) -> bytes:
    assert symbols.dtype == torch.int16 and tables.shape[:-1] == symbols.shape
    state = 1
    for first, symbol in zip(_bounds(tables)[::-1], symbols.tolist()[::-1], strict=True):
        begin, end = int(first[symbol]), int(first[symbol + 1])
        state = (state // (end - begin) << 16) + state % (end - begin) + begin
    return state.to_bytes((state.bit_length() + 7) // 8, "little")


def decode_int16_normalized_cdf(tables: torch.Tensor, data: bytes) -> torch.Tensor:
    state = int.from_bytes(data, "little")
    found = []
    for first in _bounds(tables):
        slot = state % TOTAL
        symbol = int(np.searchsorted(first, slot, side="right")) - 1
        begin, end = int(first[symbol]), int(first[symbol + 1])
        state = (end - begin) * (state >> 16) + slot - begin
        found.append(symbol)
    return torch.tensor(found, dtype=torch.int16)
