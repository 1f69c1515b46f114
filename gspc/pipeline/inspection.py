"""What an input is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gspc.errors import UsageError
from gspc.pipeline.breakdown import ATTRIBUTES, Breakdown, break_down, first_levels
from gspc.pipeline.plain import plain_facts, read_plain, refuse_scene_options
from gspc.pipeline.source import Kind, Source, load_source, naming
from gspc.switches import made_with

if TYPE_CHECKING:
    from gspc.format import HeaderInfo, StreamInfo


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
    """What an input is made of. `prefix_bytes[s - 1]`: size of the file up to and including level s.

    `rates` and `breakdown` are there only when asked for; they take decoding.
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


def inspect(
    source: bytes | Path, *, rates: bool = False, levels: bool = False, threads: int = 0
) -> Inspection:
    """What a stream, a decoded scene or a model consists of, from its container alone, except `rates` and
    the breakdown by `levels`.

    A model is encoded first. Of a damaged stream what can be read is reported, with `problems`;
    BitstreamError is raised when not even the header can.
    """
    found = as_stream(load_source(source, expect_stream=True), threads=threads)
    if found.kind == "splats":
        return _inspect_splats(found, rates=rates, levels=levels)
    if found.kind == "scene":
        if levels:
            raise UsageError(f"{found.name}: is a decoded scene of one level; --levels takes its .pcgs")
        return _inspect_scene(found)
    result = _inspect_stream(found)
    if rates:
        result = replace(result, rates=_rates(found, threads))
    return replace(result, breakdown=break_down(found, threads=threads)) if levels else result


def as_stream(source: Source, *, threads: int = 0) -> Source:
    """The source, a model's bytes replaced by those of the stream it compresses to."""
    if source.kind != "model":
        return source
    from gspc.pipeline.coding import encode_model

    return replace(source, data=encode_model(source, None, threads)[0])


def _rates(source: Source, threads: int) -> tuple[Rate, ...]:
    """Counts follow from the masks: what appears is coded by Gaussians, what was there by trits."""
    from gspc.codec import decode_symbols
    from gspc.format import describe

    with naming(source.name):
        symbols = decode_symbols(source.data, threads=threads)
        refined = describe(source.data).header.refined
    masks, first = symbols.gaussian_level, first_levels(symbols)
    features, scaling = symbols.features.shape[1], symbols.scaling.shape[1]
    found = []
    for level in range(1, symbols.level + 1):
        fresh, old = int((first == level).sum()), int((first < level).sum())
        counts = {
            "features": fresh * features,
            "scaling": fresh * scaling,
            "offsets": 3 * int((masks == level).sum()),
        }
        if level <= (refined >> 4 or level):
            counts["refined_features"] = old * features * (refined & 1)
            counts["refined_scaling"] = old * scaling * (refined >> 1 & 1)
            before = int(((masks > 0) & (masks < level)).sum())
            counts["refined_offsets"] = 3 * before * (refined >> 2 & 1)
        found += [
            Rate(level, name, count, symbols.ideal_bits[level, name])
            for name, count in counts.items()
            if count
        ]
    return tuple(found)


def _inspect_stream(source: Source) -> Inspection:
    from gspc.format import COMPONENTS, describe

    with naming(source.name):
        stream = describe(source.data)
    parts = sorted(
        stream.component_bytes.items(), key=lambda item: (item[0][0], COMPONENTS.index(item[0][1]))
    )
    return Inspection(
        source=source.name,
        kind=source.kind,
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
    header = stream.header
    anchors = sum(level.anchors for level in stream.levels)
    solid = [str(plane.resolution) for plane in header.planes if plane.dims == 0]
    flat = sorted({plane.resolution for plane in header.planes if plane.dims != 0})
    residual = "residual " * (header.pool_features > 0)
    scales = f"{header.scales} log scale{'s' * (header.scales != 1)}"
    return (
        ("format", f"{stream.version[0]}.{stream.version[1]}, model family {header.family}"),
        ("coder", ("32-lane rANS", "torchac")[header.coder]),
        ("anchors", f"{anchors:,} in {len(stream.slice_keys)} slice{'s' * (len(stream.slice_keys) != 1)}"),
        ("Gaussians", f"{sum(level.gaussians for level in stream.levels):,}"),
        ("per anchor", f"{header.features} {residual}features, {scales}, {header.offsets} offsets"),
        *_pool_facts(header),
        ("contexts", _contexts(header)),
        ("hidden units", _hidden_units(header)),
        ("grid", f"3D {' '.join(solid) or 'none'}; 2D {' '.join(map(str, flat)) or 'none'}"),
        ("steps", "features {:g}, scaling {:g}, offsets {:g}".format(*header.step_base)),
        ("positions", f"{header.position_bits} bits per axis, voxel size {header.voxel_size:g}"),
        ("background", " ".join(f"{value:g}" for value in header.background)),
    )


def _made_facts(data: bytes, stream: StreamInfo) -> tuple[tuple[str, str], ...]:
    """What the metadata says about the fit; nothing where it is missing, damaged or silent."""
    from gspc.format.limits import CHUNK_HEADER_BYTES

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


def _pool_facts(header: HeaderInfo) -> tuple[tuple[str, str], ...]:
    if not header.pool_features:
        return ()
    own = header.pool_planes
    planes = f"{own} plane{'s' * (own != 1)} of its own" if own else "all planes, with the contexts"
    return (("feature pool", f"{header.pool_features} features from {planes}"),)


def _contexts(header: HeaderInfo) -> str:
    refined = [name for bit, name in enumerate(ATTRIBUTES) if header.refined >> bit & 1]
    last = f" up to level {header.refined >> 4}" if header.refined >> 4 else ""
    models = ("learned", "Gaussian", "Gaussian without bounds", "learned (features) and Gaussian")
    trits = f"{models[header.trit_model]} trits refine {', '.join(refined)}{last}" if refined else "no trits"
    chunks = f"features in {header.chunks} chunks" if header.chunks else "no feature chunks"
    return f"{chunks}, {trits}"


def _hidden_units(header: HeaderInfo) -> str:
    """Of every network that the stream has."""
    units = {
        "steps": header.steps_hidden,
        "trunk": header.trunk_hidden,
        "trits of features": header.trit_features_hidden,
        "of scaling": header.trit_scaling_hidden,
        "of offsets": header.trit_offsets_hidden,
        "chunks": header.chunk_hidden,
        "pool": header.pool_hidden,
        "heads": header.heads_hidden,
        "residual decoder": header.residual_hidden,
    }
    return ", ".join(f"{name} {count}" for name, count in units.items() if count)


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
        source.name, source.kind, size, scene.levels, scene.level, tuple(facts), (), tuple(parts), (), ()
    )
