#!/usr/bin/env python3
"""How much of a damaged stream is restored: random bytes are overwritten, and what checks out is counted.

    bench_salvage.py STREAM... [--trials 100] [--seed 0]

Of the slices that no damage hit, how many can be decoded: of all, and of those that no damage hit at the
levels below either, without which no decoder reads them. Of the trials in which nothing is left, which chunk
it is that every slice needs. Nothing is decoded here: what counts is whether all bytes that a slice needs are
whole again.
"""

from __future__ import annotations

import argparse
import random
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gspc.errors import BitstreamError
from gspc.format import limits
from gspc.format.salvage import HEADER, salvage

DAMAGES = (1, 10, 100)  # bytes


@dataclass
class Tally:
    """Of the trials with so many damaged bytes."""

    undamaged: int = 0  # slices of levels
    restored: int = 0  # of these
    based: int = 0  # undamaged ones on undamaged ones
    based_restored: int = 0
    mended: int = 0  # slices that were hit and are whole again
    hit: int = 0
    lost: Counter[str] = field(default_factory=Counter)  # trials in which nothing is left, by the reason


def slices(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Level, slice, first byte and end of each slice's chunk."""
    at = limits.PREAMBLE_BYTES
    while at < len(data):
        tag, level, slice_, length = struct.unpack_from("<4sB3xII", data, at)
        if tag == b"SLIC":
            yield level, slice_, at, at + HEADER + length
        at += HEADER + length


def trial(data: bytes, count: int, tally: Tally) -> None:
    """Overwrites `count` bytes at random places with other values."""
    places = random.sample(range(len(data)), count)
    damaged = bytearray(data)
    for place in places:
        damaged[place] ^= random.randrange(1, 256)
    try:
        found = salvage(bytes(damaged))
        levels, there = found.levels, found.slices
    except BitstreamError as error:
        levels, there = 0, ()
        tally.lost[str(error).partition(" is lost")[0]] += 1
    damaged_below: set[int] = set()
    for level, slice_, first, end in slices(data):  # in the order of levels
        whole = level <= levels and all(there[below][slice_] for below in range(level))
        if any(first <= place < end for place in places):
            tally.hit += 1
            tally.mended += whole
            damaged_below.add(slice_)
            continue
        tally.undamaged += 1
        tally.restored += whole
        if slice_ not in damaged_below:
            tally.based += 1
            tally.based_restored += whole


def percent(some: int, of: int) -> str:
    """ "90.0 % of 10", or "none of 0"."""
    return f"{100 * some / of:.1f} % of {of}" if of else "none of 0"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    for file in arguments.files:
        data = file.read_bytes()
        parts = list(slices(data))
        shared = len(data) - sum(end - first for _, _, first, end in parts)
        print(f"{file.name}: {len(data):,} bytes, {shared:,} of them not in one of the {len(parts)} slices")
        for count in DAMAGES:
            tally = Tally()
            for _ in range(arguments.trials):
                trial(data, count, tally)
            reasons = ", ".join(f"{name} {times}" for name, times in tally.lost.most_common())
            print(
                f"  {count} bytes: {percent(tally.restored, tally.undamaged)} undamaged slices restored, "
                f"{percent(tally.based_restored, tally.based)} that lie on undamaged ones, "
                f"{percent(tally.mended, tally.hit)} damaged ones\n"
                f"    nothing left in {sum(tally.lost.values())} of {arguments.trials} trials"
                f"{f' ({reasons})' if reasons else ''}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
