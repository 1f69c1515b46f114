"""What an input is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from gspc.pipeline.source import Kind, Source, load_source, naming


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


def inspect(source: bytes | Path) -> Inspection:
    """What a stream, a decoded scene or a model consists of, from its container alone.

    A model is encoded first. Of a damaged stream what can be read is reported, with `problems`;
    BitstreamError is raised when not even the header can.
    """
    found = load_source(source, expect_stream=True)
    if found.kind == "scene":
        return _inspect_scene(found)
    if found.kind == "model":
        from gspc.pipeline.coding import encode_model

        found = replace(found, data=encode_model(found, None, 0)[0])
    return _inspect_stream(found)


def _inspect_stream(source: Source) -> Inspection:
    from gspc.bitstream import read

    with naming(source.name):
        stream = read(source.data)
    return Inspection(
        source.name,
        source.kind,
        len(source.data),
        stream.levels,
        stream.whole_levels,
        tuple(stream.facts),
        tuple(stream.prefix_bytes),
        tuple(Part(part.name, part.level, part.size) for part in stream.parts),
        tuple(
            ChunkRow(chunk.tag, chunk.level, chunk.slice, chunk.offset, chunk.size, chunk.status)
            for chunk in stream.chunks
        ),
        tuple(stream.problems),
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
    facts = [
        ("anchors", f"{len(scene.anchors):,}"),
        ("Gaussians", f"{int(scene.gaussian_mask.sum()):,}"),
        ("level", f"{scene.level} of {scene.levels}"),
        ("suggested cameras", str(len(scene.cameras))),
        *sorted(scene.metadata.items()),
    ]
    size = len(source.data)
    return Inspection(
        source.name, source.kind, size, scene.levels, scene.level, tuple(facts), (), tuple(parts), (), ()
    )
