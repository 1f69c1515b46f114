"""What an input is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from gspc.errors import BitstreamError, UsageError
from gspc.format import COMPONENTS, StreamInfo, describe
from gspc.format.limits import MAX_MEMORY
from gspc.pipeline.compressing import as_stream
from gspc.pipeline.source import Given, Kind, Source, naming, source_of
from gspc.pipeline.stream_facts import stream_facts, stream_values

if TYPE_CHECKING:
    from gspc.pipeline.breakdown import Breakdown
    from gspc.pipeline.rates import Rate


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
class Alive:
    """Anchors and Gaussians that a level draws."""

    anchors: int
    gaussians: int


@dataclass(frozen=True)
class Inspection:
    """What an input is made of. `kind` is what was given; a model is inspected as the stream it makes.

    `prefix_bytes[s - 1]`: size of the file up to and including level s, and `rows[s - 1]` what that level
    draws.

    `rates` and `breakdown` are there only when asked for; they take decoding.

    >>> import gspc
    >>> found = gspc.inspect("scene.pcgs")
    >>> found.kind, found.levels, found.problems
    ('pcgs', 2, ())
    """

    source: str
    kind: Kind
    size: int
    levels: int
    whole_levels: int
    facts: tuple[tuple[str, str], ...]  # in words
    prefix_bytes: tuple[int, ...]
    parts: tuple[Part, ...]
    chunks: tuple[ChunkRow, ...]
    problems: tuple[str, ...]
    rows: tuple[Alive, ...] = ()
    rates: tuple[Rate, ...] = ()
    breakdown: Breakdown | None = None
    values: Mapping[str, Any] = field(default_factory=dict)  # facts as numbers, lists and names

    def coded_bytes(self, level: int) -> int:
        """Bytes that the symbols of a level take in the file."""
        return sum(
            part.size for part in self.parts if part.level == level and part.name in ("symbols", "escapes")
        )


def inspect(
    source: Given,
    *,
    rates: bool = False,
    levels: bool = False,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
    check: bool = False,
) -> Inspection:
    """What a stream, a decoded scene or a model consists of, from its container alone, except `rates` and
    the breakdown by `levels`.

    A model is encoded first. Of the index of a tiled scene its tiles' files are looked for; with `check` they
    are read, too, as one stream always is. Of a damaged stream what can be read is reported, with `problems`;
    BitstreamError is raised when not even the header can, and when decoding takes more than `max_memory`
    bytes; UsageError where a breakdown makes no sense.

    >>> import gspc
    >>> found = gspc.inspect("scene.pcgs", levels=True)
    >>> len(found.breakdown.levels), found.prefix_bytes[-1] == found.size
    (2, True)
    """
    found = as_stream(source_of(source), threads=threads)
    if found.kind == "splats":
        return _inspect_splats(found, rates=rates, levels=levels)
    if found.kind == "tiles":
        return _inspect_tiles(found, rates=rates, levels=levels, check=check)
    if found.kind == "scene":
        if levels:
            raise UsageError("is a decoded scene of one level; --levels takes its .pcgs", source=found.name)
        return _inspect_scene(found)
    result = _inspect_stream(found)
    if rates:
        from gspc.pipeline.rates import symbol_rates

        result = replace(result, rates=symbol_rates(found, threads, max_memory))
    if levels:
        from gspc.pipeline.breakdown import break_down

        result = replace(result, breakdown=break_down(found, threads=threads, max_memory=max_memory))
    return result


def sound_levels(source: Source) -> tuple[int, str | None]:
    """How many levels of a stream can be decoded, found by decoding, and what is wrong with the next one.

    None: nothing is. A stream by torchac is not decoded: its checksums count.
    """
    from gspc.codec import ArrivingStream
    from gspc.codec.recode import coder_of

    if coder_of(source.data) != "lanes":
        return _undamaged_levels(describe(source.data)), None
    reader = ArrivingStream()
    try:
        reader.feed(source.data)
    except BitstreamError as error:
        return reader.level, error.problem
    return reader.level, None


def _undamaged_levels(stream: StreamInfo) -> int:
    """Whole levels before the first one with a damaged chunk."""
    damaged = min((chunk.level for chunk in stream.damaged), default=len(stream.levels) + 1)
    return min(stream.whole_levels, max(damaged - 1, 0))


def _inspect_stream(source: Source) -> Inspection:

    with naming(source.name):
        stream = describe(source.data)
    parts = sorted(
        stream.component_bytes.items(), key=lambda item: (item[0][0], COMPONENTS.index(item[0][1]))
    )
    return Inspection(
        source=source.name,
        kind=source.given,
        size=stream.size,
        levels=len(stream.levels),
        whole_levels=stream.whole_levels,
        facts=stream_facts(source.data, stream),
        values=stream_values(source.data, stream),
        prefix_bytes=tuple(level.offset + level.length for level in stream.levels if level.whole),
        parts=tuple(Part(name, level or None, size) for (level, name), size in parts),
        chunks=tuple(
            ChunkRow(
                chunk.tag,
                chunk.level or None,
                chunk.slice,
                chunk.offset,
                chunk.length,
                {True: "", False: "checksum error", None: "cut off"}[chunk.crc_ok],
            )
            for chunk in stream.chunks
        ),
        problems=_problems(stream),
        rows=_alive(stream),
    )


def _alive(stream: StreamInfo) -> tuple[Alive, ...]:
    counts = [(level.anchors, level.gaussians) for level in stream.levels if level.whole]
    sums = [accumulate(column) for column in zip(*counts, strict=True)]
    return tuple(Alive(*row) for row in zip(*sums, strict=True))


def _problems(stream: StreamInfo) -> tuple[str, ...]:
    found = [f"{chunk.name}: checksum error" for chunk in stream.damaged]
    if stream.truncated:
        found.append(
            f"truncated: {stream.size:,} of {stream.file_bytes:,} bytes, "
            f"{stream.whole_levels} of {len(stream.levels)} levels are whole"
        )
    return tuple(found)


def _inspect_splats(source: Source, *, rates: bool, levels: bool) -> Inspection:
    """What other tools' Gaussians are like; the file counts as one level."""
    from gspc.pipeline.plain import plain_facts, plain_values, read_plain, refuse_scene_options

    refuse_scene_options(source.name, (("--rates", rates), ("--levels", levels)))
    splats = read_plain(source)
    size = len(source.data)
    return Inspection(
        source=source.name,
        kind=source.kind,
        size=size,
        levels=1,
        whole_levels=1,
        facts=tuple(plain_facts(splats)),
        values=plain_values(splats),
        prefix_bytes=(size,),
        parts=(Part("Gaussians", None, size),),
        chunks=(),
        problems=(),
    )


def _inspect_tiles(source: Source, *, rates: bool, levels: bool, check: bool) -> Inspection:
    """What an index says of its tiles, and what is wrong with their files."""
    from gspc.pipeline.tiling import tile_facts, tile_problems, tile_values, tiled_scene

    if rates or levels:
        option = "--rates" if rates else "--levels"
        raise UsageError(f"is an index of tiles; {option} takes one of their streams", source=source.name)
    scene = tiled_scene(source)
    index, count = scene.index, scene.index.levels
    rows = [index.total(level) for level in range(1, count + 1)]
    ends = [0, *(row.size for row in rows)]
    added = [Part("tiles", level, ends[level] - ends[level - 1]) for level in range(1, count + 1)]
    return Inspection(
        source=source.name,
        kind=source.kind,
        size=len(source.data) + ends[-1],
        levels=count,
        whole_levels=count,
        facts=tile_facts(index),
        values=tile_values(index),
        prefix_bytes=tuple(len(source.data) + row.size for row in rows),
        parts=(Part("index", None, len(source.data)), *added),
        chunks=(),
        problems=tile_problems(scene, whole=check),
        rows=tuple(Alive(row.anchors, row.gaussians) for row in rows),
    )


def _inspect_scene(source: Source) -> Inspection:
    """The tensors of a decoded scene, from its safetensors header."""
    from gspc.rendering.scene_file import read_scene

    scene = read_scene(source.data, source.name)
    length = 8 + int.from_bytes(source.data[:8], "little")
    tensors = json.loads(source.data[8:length])
    parts = [Part("header", None, length)]
    for name, entry in tensors.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            parts.append(Part(name, scene.level, end - begin))
    values = {
        "anchors": len(scene.anchors),
        "gaussians": int(scene.gaussian_mask.sum()),
        "level": scene.level,
        "suggested_cameras": len(scene.cameras),
    }
    facts = [
        ("anchors", f"{values['anchors']:,}"),
        ("Gaussians", f"{values['gaussians']:,}"),
        ("level", f"{scene.level} of {scene.levels}"),
        ("suggested cameras", str(len(scene.cameras))),
        *sorted(scene.metadata.items()),
    ]
    return Inspection(
        source=source.name,
        kind=source.given,
        size=len(source.data),
        levels=scene.levels,
        whole_levels=scene.level,
        facts=tuple(facts),
        values=values | {"metadata": dict(scene.metadata)},
        prefix_bytes=(),
        parts=tuple(parts),
        chunks=(),
        problems=(),
    )
