#!/usr/bin/env python3
"""Runs the conformance set of the format against a decoder, or writes its streams as files.

    conformance.py write DIR            all streams, the invalid ones in DIR/invalid
    conformance.py run COMMAND...       COMMAND FILE LEVEL decodes FILE up to LEVEL

README.md says what a command has to do.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CASES: dict[str, Any] = json.loads((HERE / "cases.json").read_text())
PREAMBLE, HEADER = 12, 24


def chunks(data: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Tag, level, offset and payload length of each chunk."""
    at = PREAMBLE
    while at + HEADER <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 12)
        yield data[at : at + 4].decode("latin-1"), data[at + 4], at, length
        at += HEADER + length


def repaired(data: bytes) -> bytes:
    """The stream with checksums that fit what it holds now."""
    made = bytearray(data)
    for _, _, at, length in list(chunks(data)):
        payload = made[at + HEADER : at + HEADER + length]
        struct.pack_into("<I", made, at + 16, zlib.crc32(payload))
        struct.pack_into("<I", made, at + 20, zlib.crc32(made[at : at + 20]))
    return bytes(made)


def stream(case: dict[str, Any]) -> bytes:
    """The bytes of a case: a file of tests/golden, with the changes that make it invalid.

    `cut`: only so many bytes, or counted from the end when negative. `put`: bytes in hexadecimal written at
    an offset, which counts from the beginning of the file, of a chunk's header or of its payload. `repair`:
    checksums are made to fit again.
    """
    data = bytearray((HERE.parent / "golden" / case["stream"]).read_bytes())
    for place, content in case.get("put", []):
        at = _offset(bytes(data), place)
        new = bytes.fromhex(content)
        data[at : at + len(new)] = new
    if case.get("repair"):
        data = bytearray(repaired(bytes(data)))
    return bytes(data[: case.get("cut", len(data))])


def _offset(data: bytes, place: int | list[Any]) -> int:
    """12, or ["HEAD", 1, "payload", 12]: the first chunk with that tag, and where in it."""
    if isinstance(place, int):
        return place
    tag, number, part, more = place
    starts = [at for name, _, at, _ in chunks(data) if name == tag]
    return int(starts[number - 1]) + (HEADER if part == "payload" else 0) + int(more)


def write(folder: Path) -> None:
    """All streams as files."""
    for kind in ("valid", "invalid"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, case in CASES[kind].items():
            (folder / kind / f"{name}.pcgs").write_bytes(stream(case))


def failures(command: Sequence[str]) -> Iterator[str]:
    """What a decoder does otherwise than it must."""
    with tempfile.TemporaryDirectory() as place:
        write(Path(place))
        for name, case in CASES["valid"].items():
            path = Path(place) / "valid" / f"{name}.pcgs"
            if hashlib.sha256(path.read_bytes()).hexdigest() != case["sha256"]:
                yield f"valid/{name}: the file itself has changed"
            for level, expected in enumerate(case["hashes"], start=1):
                ran = _run(command, path, level)
                found = re.findall(r"\b[0-9a-f]{16}\b", ran.stdout)
                if ran.returncode != 0 or expected not in found:
                    yield f"valid/{name}, level {level}: {expected} expected, exit {ran.returncode}, {found}"
        for name, case in CASES["invalid"].items():
            ran = _run(command, Path(place) / "invalid" / f"{name}.pcgs", case["level"])
            if ran.returncode <= 0 or ran.returncode > 125:
                yield f"invalid/{name}: refusal expected, exit {ran.returncode}"
            elif case["error"] not in ran.stdout + ran.stderr:
                yield f"invalid/{name}: '{case['error']}' expected, not {ran.stderr.strip()!r}"


def _run(command: Sequence[str], path: Path, level: int) -> subprocess.CompletedProcess[str]:
    words = [*command, str(path), str(level)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def main(arguments: Sequence[str]) -> int:
    if len(arguments) == 2 and arguments[0] == "write":
        write(Path(arguments[1]))
        return 0
    if len(arguments) < 2 or arguments[0] != "run":
        print(__doc__, file=sys.stderr)
        return 2
    found = list(failures(arguments[1:]))
    print(
        "\n".join(
            [*found, f"{len(CASES['valid'])} valid, {len(CASES['invalid'])} invalid, {len(found)} wrong"]
        )
    )
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
