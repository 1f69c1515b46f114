#!/usr/bin/env python3
"""What a part of space costs to read: bytes and time of a tenth of a scene, by slice size.

    bench_region.py [STREAM...] [--anchors 500000] [--boxes 10] [--slices 1024,2048,4096]

Without streams a scene of the default shape is generated, as bench_codec.py does, and coded with slices of so
many anchors. A box is a cube around a random anchor that holds a tenth of all. One thread, processor time;
shares are of a decode of the whole file.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import synthetic  # noqa: E402

from gspc.codec import ArrivingStream, Region, decode, encode  # noqa: E402
from gspc.format import describe, limits  # noqa: E402
from gspc.pipeline.arriving import FileRanges, decode_ranges  # noqa: E402

SHARE = 0.1  # of the anchors that a box holds
DEFAULT = synthetic.Variant(
    pool=32, pool_hidden=64, chunks=4, chunk_hidden=32, refined=7, refine_until=2, trit_model=3, scales=1
)


def timed(run: Callable[[], int], repeats: int = 2) -> tuple[int, float]:
    """A result, and the least processor time of some runs in seconds."""
    best = float("inf")
    result = 0
    for _ in range(repeats):
        began = time.process_time()
        result = run()
        best = min(best, time.process_time() - began)
    return result, best


def streams(arguments: argparse.Namespace) -> Iterator[tuple[str, bytes]]:
    """Names and contents."""
    for file in arguments.files:
        yield file.name, file.read_bytes()
    if arguments.files:
        return
    scene = synthetic.scene(arguments.anchors, levels=3, features=16, variant=DEFAULT)
    for size in map(int, arguments.slices.split(",")):
        yield f"slices of {size}", encode(scene, slice_anchors=size, threads=1)


def boxes(data: bytes, count: int) -> tuple[list[Region], int]:
    """Cubes that hold a tenth of the anchors each, and how many anchors there are."""
    scene = decode(data, threads=1).scene
    points = scene.frame.to_user(scene.anchors.astype(np.float64))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        center = points[rng.integers(len(points))]
        reach = float(np.quantile(np.abs(points - center).max(axis=1), SHARE))
        found.append(Region(tuple(center - reach), tuple(center + reach)))
    return found, len(points)


def measure(name: str, data: bytes, count: int) -> None:
    """Prints what the boxes cost."""
    regions, anchors = boxes(data, count)
    info = describe(data)
    shared = sum(chunk.length + limits.CHUNK_HEADER_BYTES for chunk in info.chunks if chunk.tag != "SLIC")
    _, whole = timed(lambda: len(decode(data, threads=1).scene.anchors))
    taken, took = [], []
    for region in regions:
        file = FileRanges(name, io.BytesIO(data))

        def part(file: FileRanges = file, region: Region = region) -> int:
            file.taken = 0
            start = file.read(0, limits.INDEX_WINDOW)
            found = decode_ranges(file, start, ArrivingStream(region=region, threads=1))
            return len(region.crop(found.scene).anchors)

        took.append(timed(part)[1] / whole)
        taken.append(file.taken / len(data))
    print(
        f"{name}: {anchors} anchors, {len(info.slice_keys)} slices, {len(data)} bytes, "
        f"{100 * shared / len(data):.1f} % of them for all slices, whole decode {whole:.2f} s\n"
        f"  bytes read: {100 * np.median(taken):.1f} % (median of {count} boxes; {100 * min(taken):.1f} to "
        f"{100 * max(taken):.1f} %)\n"
        f"  time: {100 * np.median(took):.1f} % ({100 * min(took):.1f} to {100 * max(took):.1f} %)",
        flush=True,
    )


def main() -> None:
    """All streams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--anchors", type=int, default=500_000)
    parser.add_argument("--boxes", type=int, default=10)
    parser.add_argument("--slices", default="1024,2048,4096")
    arguments = parser.parse_args()
    for name, data in streams(arguments):
        measure(name, data, arguments.boxes)


if __name__ == "__main__":
    main()
