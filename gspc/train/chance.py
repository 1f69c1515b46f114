"""Random numbers that Python code needs, drawn on the CPU so that no GPU is waited for.

With several ranks there are two kinds: those that all ranks must draw alike (which level, which views, where
anchors grow), and each rank's own (its sample, its noise).
"""

from __future__ import annotations

import torch
from torch import Tensor

SEEDS = 1 << 62


def whole_number(low: int, high: int, shared: torch.Generator | None = None) -> int:
    """One of `low` to `high` - 1, from a generator that ranks share, or from torch's."""
    return int(torch.randint(low, high, (), generator=shared))


def order(count: int, shared: torch.Generator | None = None) -> list[int]:
    """The numbers below `count` in random order, from a generator that ranks share, or from torch's."""
    found: list[int] = torch.randperm(count, generator=shared).tolist()
    return found


def seed() -> int:
    """Of noise, this rank's own."""
    return int(torch.randint(SEEDS, ()))


def seeds(count: int) -> list[int]:
    """Several of them."""
    found: list[int] = torch.randint(SEEDS, (count,)).tolist()
    return found


def uniform(count: int, like: Tensor, shared: torch.Generator | None = None) -> Tensor:  # -> [n]
    """Numbers between 0 and 1 on the device of `like`, of any shape [...]; alike on all ranks if a generator
    is given."""
    if shared is None:
        return torch.rand(count, device=like.device)
    return torch.rand(count, generator=shared).to(like.device)
