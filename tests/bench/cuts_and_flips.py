#!/usr/bin/env python3
"""Cuts small streams of every variant at every byte and flips every bit of them, and decodes what is left.

    cuts_and_flips.py [FILE...] [--every 1]

By default the small streams that fuzzing begins with (tests/native/fuzz/corpus/streams). Each change must be
refused, or give exactly what the whole stream gives at that level. Prints a line for each stream; exit code 1
when anything else came out. `--every N` tries one change in N.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gspc import _codec

STREAMS = Path(__file__).resolve().parents[1] / "native/fuzz/corpus/streams"
MEMORY = 16 << 20  # bytes that decoding may take; these streams take a few
LONGEST = 1.0  # s that one may take


@dataclass
class Outcome:
    """Of the changes of one stream."""

    tried: int = 0
    refused: int = 0
    equal: int = 0  # also: the whole levels of a stream that was cut
    wrong: int = 0
    longest: float = 0.0  # s


def changes(data: bytes, every: int = 1) -> Iterator[bytes]:
    """The stream cut to every length, then with every bit flipped; one of `every` of both."""
    for size in range(0, len(data), every):
        yield data[:size]
    for bit in range(0, 8 * len(data), every):
        changed = bytearray(data)
        changed[bit >> 3] ^= 1 << (bit & 7)
        yield bytes(changed)


def decode(data: bytes, upto: int = 0) -> tuple[int, int]:
    """Level and hash of the symbols; a StreamError where the stream is refused."""
    found = _codec.decode_stream(data, upto, 1, MEMORY, False, False, False)
    return found.level, found.hash


def outcome(data: bytes, every: int = 1) -> Outcome:
    """What became of the changed streams. Raises what decoding must not raise."""
    last, _ = decode(data)
    good = {decode(data, level) for level in range(1, last + 1)}
    found = Outcome()
    for changed in changes(data, every):
        began = time.perf_counter()
        found.tried += 1
        try:
            if decode(changed) in good:
                found.equal += 1
            else:
                found.wrong += 1
        except _codec.StreamError:
            found.refused += 1
        found.longest = max(found.longest, time.perf_counter() - began)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    wrong, tried = 0, 0
    for file in arguments.files or sorted(STREAMS.iterdir()):
        found = outcome(file.read_bytes(), arguments.every)
        tried += found.tried
        wrong += found.wrong + (found.longest > LONGEST)
        print(
            f"{file.name}: {found.tried:,} tried, {found.refused:,} refused, {found.equal:,} equal, "
            f"{found.wrong} wrong, {1000 * found.longest:.0f} ms at most",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{tried:,} tried, {wrong} wrong, {peak} MiB at most, Python included")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
