#!/usr/bin/env python3
"""What decoding takes at worst, over whatever files there are: time by input byte, and memory.

    bench_limits.py [FILE_OR_FOLDER...]

By default all committed streams and seeds of fuzzing, what fuzzing found here (build/fuzz/corpus) and the
hostile files beside the checkout. One thread, no vector instructions, the slowest of all builds. Exit code 1
beyond what pcgs(5) promises: 50 us for each byte, and 64 MB beside twice the decoded scene.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from codec_programs import programs_for  # noqa: E402
from shared_builds import settle_in  # noqa: E402

PLACES = (
    ROOT / "tests/golden",
    ROOT / "tests/native/fuzz/corpus/streams",
    ROOT / "build/fuzz/corpus/decode",
    ROOT / "build/fuzz/corpus/feed",
    ROOT.parent / "shared/cases/hostile",
)
MOST_TIME = 50_000  # ns for each byte of input
MOST_MEMORY = 64_000_000  # bytes beside twice the decoded scene


@dataclass(frozen=True)
class Taken:
    """What decoding one file up to one level took; `decoded` 0 when it was refused."""

    file: Path
    size: int
    estimated: int
    peak: int
    work: int  # ns, as estimated
    time: int  # ns
    decoded: int

    @property
    def time_per_byte(self) -> float:
        """ns"""
        return self.time / max(self.size, 1)

    @property
    def spare_memory(self) -> int:
        """Bytes beside twice the decoded scene."""
        return self.peak - 2 * self.decoded


def files(places: Sequence[Path]) -> Iterator[Path]:
    """The files named, and those in folders named. Golden streams lie beside other files."""
    for place in places:
        found = [place] if place.is_file() else sorted(place.glob("*")) if place.is_dir() else []
        yield from (file for file in found if file.is_file() and file.suffix not in (".json", ".py", ".md"))


def measure(program: Sequence[str], file: Path) -> list[Taken]:
    """Every level of a file. Raises CalledProcessError when decoding crashes."""
    ran = subprocess.run([*program, str(file), "1"], capture_output=True, text=True, check=True)
    rows = [map(int, line.split()) for line in ran.stdout.splitlines()]
    return [Taken(file, file.stat().st_size, *row) for row in rows]


def named(row: Taken) -> str:
    """Which file that was."""
    return f"{row.file.name} ({row.size:,} bytes, scene of {row.decoded / 1e6:.2f} MB)"


def report(found: Sequence[Taken]) -> list[str]:
    """The worst of each kind."""
    decoded = [row for row in found if row.decoded]
    refused = [row for row in found if not row.decoded]
    lines = [
        f"{len({row.file for row in found})} files, {len(decoded)} levels decoded, {len(refused)} refused"
    ]
    for name, rows in (("decoded", decoded), ("refused", refused)):
        if not rows:
            continue
        slow = max(rows, key=lambda row: row.time_per_byte)
        long = max(rows, key=lambda row: row.time)
        large = max(rows, key=lambda row: row.spare_memory)
        lines.append(f"{name}: {slow.time_per_byte / 1000:.2f} us a byte at most: {named(slow)}")
        lines.append(f"{name}: {long.time / 1e6:.1f} ms at most: {named(long)}")
        lines.append(f"{name}: {large.spare_memory / 1e6:.1f} MB beside twice the scene: {named(large)}")
    under = [row for row in decoded if row.peak > row.estimated]
    late = [row for row in decoded if row.time > row.work + 2_000_000]  # what starting a decoder takes
    lines.append(f"{len(under)} take more memory than estimated, {len(late)} more time than their work")
    return lines


def main(arguments: Sequence[str]) -> int:
    with TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        settle_in(Path(folder))
        program = programs_for("native")["pcgs_cost"]
        measured = pool.map(
            lambda file: measure(program, file), files([Path(a) for a in arguments] or PLACES)
        )
        found = [row for rows in measured for row in rows]
    print("\n".join(report(found)))
    beyond = [row.file for row in found if row.time_per_byte > MOST_TIME or row.spare_memory > MOST_MEMORY]
    if beyond:
        print(f"beyond the limits: {', '.join(sorted({str(file) for file in beyond}))}")
    return 1 if beyond else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
