"""What an input is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from gspc.errors import UsageError
from gspc.format import COMPONENTS, StreamInfo, describe
from gspc.format.limits import CHUNK_HEADER_BYTES
from gspc.format.shape import TRIT_WORDS, StreamShape
from gspc.pipeline.breakdown import Breakdown, break_down, first_levels
from gspc.pipeline.coding import as_stream
from gspc.pipeline.plain import plain_facts, read_plain, refuse_scene_options
from gspc.pipeline.source import Given, Kind, Source, naming, source_of
from gspc.switches import made_with

CODER_NAMES = {"lanes": "32-lane rANS", "torchac": "torchac"}


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
class Rate:
    """Symbols of one kind that a level codes, and what their integer tables promise: -sum log2 p."""

    level: int
    name: str
    symbols: int
    bits: float


@dataclass(frozen=True)
class Inspection:
    """What an input is made of. `kind` is what was given; a model is inspected as the stream it makes.

    `prefix_bytes[s - 1]`: size of the file up to and including level s.

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
    facts: tuple[tuple[str, str], ...]
    prefix_bytes: tuple[int, ...]
    parts: tuple[Part, ...]
    chunks: tuple[ChunkRow, ...]
    problems: tuple[str, ...]
    rates: tuple[Rate, ...] = ()
    breakdown: Breakdown | None = None

    def coded_bytes(self, level: int) -> int:
        """Bytes that the symbols of a level take in the file."""
        return sum(
            part.size for part in self.parts if part.level == level and part.name in ("symbols", "escapes")
        )


def inspect(source: Given, *, rates: bool = False, levels: bool = False, threads: int = 0) -> Inspection:
    """What a stream, a decoded scene or a model consists of, from its container alone, except `rates` and
    the breakdown by `levels`.

    A model is encoded first. Of a damaged stream what can be read is reported, with `problems`;
    BitstreamError is raised when not even the header can, UsageError where a breakdown makes no sense.

    >>> import gspc
    >>> found = gspc.inspect("scene.pcgs", levels=True)
    >>> len(found.breakdown.levels), found.prefix_bytes[-1] == found.size
    (2, True)
    """
    found = as_stream(source_of(source, expect_stream=True), threads=threads)
    if found.kind == "splats":
        return _inspect_splats(found, rates=rates, levels=levels)
    if found.kind == "scene":
        if levels:
            raise UsageError("is a decoded scene of one level; --levels takes its .pcgs", source=found.name)
        return _inspect_scene(found)
    result = _inspect_stream(found)
    if rates:
        result = replace(result, rates=_rates(found, threads))
    return replace(result, breakdown=break_down(found, threads=threads)) if levels else result


def _rates(source: Source, threads: int) -> tuple[Rate, ...]:
    """Counts follow from the masks: what appears is coded by Gaussians, what was there by trits."""
    from gspc.codec import decode_symbols

    with naming(source.name):
        symbols = decode_symbols(source.data, threads=threads)
        shape = describe(source.data).header.shape
    masks, first = symbols.gaussian_level, first_levels(symbols)
    found = []
    for level in range(1, symbols.level + 1):
        fresh, old = int((first == level).sum()), int((first < level).sum())
        appearing, before = int((masks == level).sum()), int(((masks > 0) & (masks < level)).sum())
        counts = {}
        for a in shape.attributes:
            of_gaussians = a.name == "offsets"
            counts[a.name] = 3 * appearing if of_gaussians else fresh * a.values
            if a.refines_at(level):
                counts[f"refined_{a.name}"] = 3 * before if of_gaussians else old * a.values
        found += [
            Rate(level, name, count, symbols.ideal_bits[level, name])
            for name, count in counts.items()
            if count
        ]
    return tuple(found)


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
        facts=(*_facts(stream), *_made_facts(source.data, stream)),
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
    )


def _facts(stream: StreamInfo) -> tuple[tuple[str, str], ...]:
    header, shape = stream.header, stream.header.shape
    anchors = sum(level.anchors for level in stream.levels)
    solid = [str(plane.resolution) for plane in shape.grid.planes if plane.dims == 0]
    flat = sorted({plane.resolution for plane in shape.grid.planes if plane.dims != 0})
    residual = "residual " * (shape.pool is not None)
    scales = f"{shape.scales} log scale{'s' * (shape.scales != 1)}"
    steps = ", ".join(f"{a.name} {a.step_base:g}" for a in shape.attributes)
    return (
        ("format", f"{stream.version[0]}.{stream.version[1]}, model family {shape.family}"),
        ("coder", CODER_NAMES[header.coder]),
        ("anchors", f"{anchors:,} in {len(stream.slice_keys)} slice{'s' * (len(stream.slice_keys) != 1)}"),
        ("Gaussians", f"{sum(level.gaussians for level in stream.levels):,}"),
        ("per anchor", f"{shape.features} {residual}features, {scales}, {shape.offsets} offsets"),
        *_pool_facts(shape),
        ("contexts", _contexts(shape)),
        ("hidden units", _hidden_units(shape)),
        ("grid", f"3D {' '.join(solid) or 'none'}; 2D {' '.join(map(str, flat)) or 'none'}"),
        ("steps", steps),
        ("positions", f"{header.position_bits} bits per axis, voxel size {header.voxel_size:g}"),
        ("background", " ".join(f"{value:g}" for value in header.background)),
    )


def _made_facts(data: bytes, stream: StreamInfo) -> tuple[tuple[str, str], ...]:
    """What the metadata says about the fit; nothing where it is missing, damaged or silent."""

    chunk = next((chunk for chunk in stream.chunks if chunk.tag == "meta" and chunk.crc_ok), None)
    if chunk is None:
        return ()
    start = chunk.offset + CHUNK_HEADER_BYTES
    try:
        written = json.loads(data[start : start + chunk.length])["metadata"]
        made = made_with({key: str(written[key]) for key in ("preset", "switches") if key in written})
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return (("made with", made),) if made else ()


def _pool_facts(shape: StreamShape) -> tuple[tuple[str, str], ...]:
    if shape.pool is None:
        return ()
    own = shape.pool.planes
    planes = f"{own} plane{'s' * (own != 1)} of its own" if own else "all planes, with the contexts"
    return (("feature pool", f"{shape.pool.features} features from {planes}"),)


def _contexts(shape: StreamShape) -> str:
    groups = f"features in {shape.groups.count} chunks" if shape.groups else "no feature chunks"
    refined = [a for a in shape.attributes if a.refined]
    if not refined:
        return f"{groups}, no trits"
    names, models = ", ".join(a.name for a in refined), _trit_models(shape)
    last = f" up to level {refined[0].refined_until}" if refined[0].refined_until else ""
    return f"{groups}, {models} trits refine {names}{last}"


def _trit_models(shape: StreamShape) -> str:
    """How trits are predicted: one word where all attributes agree, else which attribute has which."""
    by_model: dict[str, list[str]] = {}
    for a in shape.attributes:
        by_model.setdefault(TRIT_WORDS[a.trit_model], []).append(a.name)
    first, *others = by_model
    if not others:
        return first
    return f"{first} ({', '.join(by_model[first])}) and {' and '.join(others)}"


def _hidden_units(shape: StreamShape) -> str:
    """Of every network that the stream has."""
    trits = [
        ("trits of " * (not i) + "of " * (i > 0) + a.name, a.hidden) for i, a in enumerate(shape.attributes)
    ]
    units = (
        ("steps", shape.steps_hidden),
        ("trunk", shape.trunk_hidden),
        *trits,
        ("chunks", shape.groups.hidden if shape.groups else 0),
        ("pool", shape.pool.hidden if shape.pool else 0),
        ("heads", shape.heads_hidden),
        ("residual decoder", shape.residual_hidden),
    )
    return ", ".join(f"{name} {count}" for name, count in units if count)


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
    refuse_scene_options(source.name, (("--rates", rates), ("--levels", levels)))
    facts = tuple(plain_facts(read_plain(source)))
    size = len(source.data)
    return Inspection(
        source.name, source.kind, size, 1, 1, facts, (size,), (Part("Gaussians", None, size),), (), ()
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
        source.name, source.given, size, scene.levels, scene.level, tuple(facts), (), tuple(parts), (), ()
    )
