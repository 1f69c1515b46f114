"""What a command changes of its process for as long as it lives. The library itself leaves all of it
alone."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence

from gspc.cli import console

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def first_rank() -> bool:
    """Whether this process is alone or the first of those that torchrun started, which speaks for all."""
    return os.environ.get("RANK", "0") == "0"


def become_ranks(count: int) -> None:
    """Goes on as torchrun with `count` ranks of the same command. Does not return.

    Without -- torchrun would take options of ours, such as --log, for beginnings of its own.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    arguments = without_gpus(console.settings.arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [*torchrun, "-m", "--", "gspc", *arguments])


def without_gpus(arguments: Sequence[str]) -> list[str]:
    """Arguments of a command line without its --gpus G."""
    found = [word for word in arguments if not word.startswith("--gpus=")]
    if "--gpus" in found:
        at = found.index("--gpus")
        del found[at : at + 2]
    return found


def limit_threads(threads: int) -> None:
    """Caps the threads of compute kernels that are not loaded yet; 0 leaves them alone."""
    if threads > 0 and "gspc._kernels" not in sys.modules:
        os.environ["OMP_NUM_THREADS"] = str(threads)


def keep_freed_memory() -> None:
    """Makes the C library keep freed memory in the heap, where that library is glibc.

    A training step allocates and frees hundreds of megabytes. By default glibc maps and unmaps them each
    time, and page faults then take longer than the arithmetic. There is no way back, so this is for a whole
    process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 0x7FFFFFFF)
        mallopt(M_TOP_PAD, 64 << 20)
