"""What a fit or a caller changes of the process for a while: contexts that put back what they found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gspc.ops.kernels import native


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Kernels and torch's operations use `count` threads inside; None leaves them as they are.

    torch is told only where it is loaded already, because rendering on a CPU does without it.
    """
    if count is None:
        yield
        return
    torch = sys.modules.get("torch")
    kernel_threads = native.max_threads()
    torch_threads = torch.get_num_threads() if torch else 0
    _use(count, count)
    try:
        yield
    finally:
        _use(kernel_threads, torch_threads)


def _use(kernel_threads: int, torch_threads: int) -> None:
    torch = sys.modules.get("torch")
    if torch and torch_threads:
        torch.set_num_threads(torch_threads)
    native.set_threads(kernel_threads)  # after torch, which may share this number


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Denormal numbers count as zero inside, in the threads of torch and of the kernels. The optimizer's
    moments of parameters that get no gradient any more, as those of closed Gaussians, shrink until they are
    denormal, and every step then takes a tenth more time."""
    before = native.flush_denormals(True)
    try:
        yield
    finally:
        native.flush_denormals(before)
