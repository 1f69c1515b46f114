"""What a command changes of its process for as long as it lives. The library itself leaves all of it
alone."""

from __future__ import annotations

import ctypes
import os
import sys

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


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
