"""Encodes and decodes a generated scene and prints times, sizes and memory.

`python tests/bench/bench_codec.py [anchors [features [chunks]]]`; 50,000 anchors of 50 features by default,
500000 for the bar of the format. Chunks: of the features, for intra-anchor context; 0, none, by default.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import synthetic  # noqa: E402

from gspc import _codec  # noqa: E402
from gspc.codec import decode, decode_symbols, encode, truncate_levels  # noqa: E402
from gspc.format import describe  # noqa: E402


def timed(what: str, run: Callable[[], object], repeats: int = 3) -> object:
    """Best wall time of some runs, with the processor time of that one."""
    best = (float("inf"), 0.0)
    result: object = None
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
    print(f"{what:40s} {best[0]:7.3f} s wall {best[1]:7.3f} s cpu")
    return result


def main() -> None:
    """All figures."""
    given = (*sys.argv[1:5], *("50000", "50", "0", "6")[len(sys.argv) - 1 :])
    count, features, chunks, scales = map(int, given)
    scene = synthetic.scene(
        count,
        levels=3,
        features=features,
        variant=synthetic.Variant(chunks=chunks, scales=scales),
    )
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = timed("encode, 2 threads", lambda: encode(scene, threads=2), 1)
    assert isinstance(data, bytes)
    print(f"{len(data)} bytes, {8 * len(data) / count:.1f} bits per anchor")
    info = describe(data)
    for name in (
        "positions",
        "masks",
        "escapes",
        "symbols",
        "networks",
        "heads",
        "grid",
        "index",
        "header",
        "framing",
    ):
        size = info.component(name)
        print(
            f"  {name:12s} {size:9d} bytes {8 * size / count:8.2f} bits per anchor "
            f"{100 * size / len(data):6.2f} %"
        )
    ideal = sum(decode_symbols(data).ideal_bits.values()) / 8
    print(f"  symbols above -sum log2 p: {100 * (info.component('symbols') / ideal - 1):.3f} %")
    timed("truncate to level 1", lambda: truncate_levels(data, 1))
    hashes = set()
    for isa in ("v4", "v3", "base"):
        _codec.set_isa(isa)
        if _codec.active_isa() != isa:
            continue
        for threads in (1, 2):
            timed(
                f"decode level 1, {isa}, {threads} threads", lambda n=threads: decode(data, upto=1, threads=n)
            )
            whole = timed(f"decode, {isa}, {threads} threads", lambda n=threads: decode(data, threads=n))
            hashes.add(whole.symbol_hash)  # type: ignore[attr-defined]
    assert len(hashes) == 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory {peak / 1024:.0f} MiB, of which {base / 1024:.0f} before encoding")


if __name__ == "__main__":
    main()
