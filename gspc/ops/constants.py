"""Numbers that steps need on a device again and again, such as those of cameras: copied there once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

KEPT = 1 << 14  # small tensors; a scene has one center for each of its cameras


def constant(values: Sequence[float], device: torch.device) -> Tensor:  # -> float32 [n]
    """Some numbers on a device. Nobody may write into them.

    A copy from memory that is not pinned makes the CPU wait for the GPU, so it is made once for equal
    numbers.
    """
    return _constant(tuple(values), device)


@lru_cache(maxsize=KEPT)
def _constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)
