"""A step of Adam over all tensors by `gspc._kernels`."""

from __future__ import annotations

from collections.abc import Iterable

from gspc.ops.kernels import native
from gspc.ops.optimizer.updates import Update


def step(updates: Iterable[Update]) -> None:
    """Updates parameters and their moments [...]."""
    all_of = list(updates)
    native.adam(
        [[t.detach().numpy() for t in (one.value, one.moment, one.square)] for one in all_of],
        [one.grad.numpy() for one in all_of],
        [one.settings for one in all_of],
    )
