"""What a stream's header and metadata say, in words for people and as numbers for programs."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from gspc.format import StreamInfo
from gspc.format.limits import CHUNK_HEADER_BYTES
from gspc.format.shape import TRIT_WORDS, StreamShape
from gspc.format.units import SWELL_UNITS

SCALE = struct.Struct("<d")
CODER_NAMES = {"lanes": "32-lane rANS", "torchac": "torchac"}


def made_with(metadata: Mapping[str, str]) -> str:
    """'preset pcgs, features=16' from what a fit wrote into a model; empty where it does not say."""
    name, switches = (metadata.get(key, "") for key in ("preset", "switches"))
    return f"preset {name}" + (f", {switches}" if switches else "") if name else ""


def stream_facts(data: bytes, stream: StreamInfo) -> tuple[tuple[str, str], ...]:
    """Names and sentences."""
    made = made_with(_made(data, stream))
    enlarged = ", ".join(
        f"at level {level} {100 * math.expm1(more / SWELL_UNITS):.0f} %"
        for level, more in enumerate(_swell(data, stream), start=1)
        if more
    )
    return (
        *_facts(stream, _scale(data, stream)),
        *((("enlarged", enlarged),) if enlarged else ()),
        *((("made with", made),) if made else ()),
    )


def stream_values(data: bytes, stream: StreamInfo) -> dict[str, Any]:
    """The same as numbers, lists and names."""
    header, shape = stream.header, stream.header.shape
    planes = [
        {"resolution": plane.resolution, "dimensions": 2 if plane.dims else 3} for plane in shape.grid.planes
    ]
    pool = shape.pool
    return {
        "format": list(stream.version),
        "family": shape.family,
        "coder": header.coder,
        "anchors": sum(level.anchors for level in stream.levels),
        "slices": len(stream.slice_keys),
        "gaussians": sum(level.gaussians for level in stream.levels),
        "features": shape.features,
        "log_scales": shape.scales,
        "offsets": shape.offsets,
        "feature_pool": None if pool is None else {"features": pool.features, "planes": pool.planes},
        "feature_chunks": shape.groups.count if shape.groups else 0,
        "refined": {
            a.name: {"until_level": a.refined_until or None, "trits": TRIT_WORDS[a.trit_model]}
            for a in shape.attributes
            if a.refined
        },
        "selective": shape.selective,
        "hidden_units": {name.replace(" ", "_"): count for name, count in _hidden(shape)},
        "grid": planes,
        "steps": {a.name: a.step_base for a in shape.attributes},
        "swell": [more / SWELL_UNITS for more in _swell(data, stream)],
        "position_bits": header.position_bits,
        "voxel_size": header.voxel_size * _scale(data, stream),
        "frame_scale": _scale(data, stream),
        "background": list(header.background),
        "made_with": _made(data, stream),
    }


def _facts(stream: StreamInfo, scale: float) -> tuple[tuple[str, str], ...]:
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
        ("positions", f"{header.position_bits} bits per axis, voxel size {scale * header.voxel_size:g}"),
        ("background", " ".join(f"{value:g}" for value in header.background)),
    )


def _scale(data: bytes, stream: StreamInfo) -> float:
    """The user's units per unit of the stream's own (chunk fram); 1 where it is missing or damaged."""
    chunk = next((chunk for chunk in stream.chunks if chunk.tag == "fram" and chunk.crc_ok), None)
    if chunk is None or chunk.length < SCALE.size:
        return 1.0
    (scale,) = SCALE.unpack_from(data, chunk.offset + CHUNK_HEADER_BYTES)
    return float(scale)


def _swell(data: bytes, stream: StreamInfo) -> list[int]:
    """By how many 64ths log scales of Gaussians are larger, for each level (chunk swel)."""
    chunk = next((chunk for chunk in stream.chunks if chunk.tag == "swel" and chunk.crc_ok), None)
    if chunk is None:
        return []
    start = chunk.offset + CHUNK_HEADER_BYTES
    return list(data[start : start + min(chunk.length, len(stream.levels))])


def _made(data: bytes, stream: StreamInfo) -> dict[str, str]:
    """Preset and switches that the metadata names; nothing where it is missing, damaged or silent."""
    chunk = next((chunk for chunk in stream.chunks if chunk.tag == "meta" and chunk.crc_ok), None)
    if chunk is None:
        return {}
    start = chunk.offset + CHUNK_HEADER_BYTES
    try:
        written = json.loads(data[start : start + chunk.length])["metadata"]
        return {key: str(written[key]) for key in ("preset", "switches") if key in written}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


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
    unit = "stage" if shape.selective else "level"
    last = f" up to {unit} {refined[0].refined_until}" if refined[0].refined_until else ""
    chosen = ", chosen for each anchor" if shape.selective else ""
    return f"{groups}, {models} trits refine {names}{last}{chosen}"


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
    return ", ".join(f"{name} {count}" for name, count in _hidden(shape))


def _hidden(shape: StreamShape) -> list[tuple[str, int]]:
    """Hidden units of every network that the stream has."""
    units = (
        ("steps", shape.steps_hidden),
        ("trunk", shape.trunk_hidden),
        *((f"trits of {a.name}", a.hidden) for a in shape.attributes),
        ("chunks", shape.groups.hidden if shape.groups else 0),
        ("pool", shape.pool.hidden if shape.pool else 0),
        ("heads", shape.heads_hidden),
        ("residual decoder", shape.residual_hidden),
    )
    return [(name, count) for name, count in units if count]
