"""How long a call takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_ms(
    run: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median milliseconds of `repeats` calls after a first one, by a clock that counts seconds."""
    run()
    times = []
    for _ in range(repeats):
        start = clock()
        run()
        times.append(clock() - start)
    return 1000 * statistics.median(times)
