"""What an input is made of."""

from __future__ import annotations

from dataclasses import dataclass

from gspc.pipeline.source import Kind


@dataclass(frozen=True)
class Part:
    """Bytes of one component at one level; `level` is None for what all levels share."""

    name: str
    level: int | None
    size: int


@dataclass(frozen=True)
class ChunkRow:
    """One chunk of a stream; `status` is empty when nothing is wrong with it."""

    tag: str
    level: int | None
    slice: int | None
    offset: int
    size: int
    status: str


@dataclass(frozen=True)
class Inspection:
    """What an input is made of. `prefix_bytes[s - 1]`: size of the file up to and including level s."""

    source: str
    kind: Kind
    size: int
    levels: int
    whole_levels: int
    facts: tuple[tuple[str, str], ...]
    prefix_bytes: tuple[int, ...]
    parts: tuple[Part, ...]
    chunks: tuple[ChunkRow, ...]
    problems: tuple[str, ...]
