"""Scenes to streams and back: dataclasses around the C++ core (kernels/codec). No torch."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from gspc import _codec
from gspc.codec import core
from gspc.codec.recode import coder_of, recode, require
from gspc.errors import BitstreamError, InputError
from gspc.format import describe, usable
from gspc.format.limits import MAX_MEMORY
from gspc.format.parity import refreshed
from gspc.format.scene import F32, I32, U8, Bool, Decoded, Networks, QuantizedScene, Symbols
from gspc.format.shape import Coder, StreamShape
from gspc.scene import DecodedScene

# Anchors of a slice, by those of the scene. Small slices make parts of a large scene cheap to read: of
# 500,000 anchors a box with a tenth of them takes a fifth of the bytes. They cost 0.9 % of a stream with 2048
# anchors each, 1.8 % with 1024.
SLICE_ANCHORS = ((100_000, 16384), (400_000, 2048), (None, 1024))


def slice_size(anchors: int) -> int:
    """Anchors of a slice where nothing else is asked for."""
    return next(size for below, size in SLICE_ANCHORS if below is None or anchors < below)


def predict(
    shape: StreamShape,
    networks: Networks,
    grid_signs: tuple[Bool, ...],
    positions: I32,
    *,
    threads: int = 0,
) -> tuple[I32, U8]:
    """What the codec centers symbols on, for anchors at `positions` [N, 3] (voxels).

    Returns means [N, F + Z + 3K] in units of Q0 / 64 of their attribute and step indices [N, 3] of features,
    scaling and offsets. The same integers on every machine and in training. Raises ValueError for networks
    of another shape.
    """
    means, steps = _codec.predict_centers(
        *_model(shape, networks, grid_signs), core.int32(positions), threads
    )
    return means.astype(np.int32), steps


def predict_pool(
    shape: StreamShape,
    networks: Networks,
    grid_signs: tuple[Bool, ...],
    positions: I32,
    *,
    threads: int = 0,
) -> F32:
    """Pool features [N, P] at `positions` [N, 3] (voxels), exactly as a decoder restores them.

    Raises InputError when there is no pool, ValueError for networks of another shape.
    """
    if shape.pool is None or networks.pool is None:
        raise InputError("networks without a pool")
    return _codec.predict_pool(*_model(shape, networks, grid_signs), core.int32(positions), threads)


def _model(
    shape: StreamShape, networks: Networks, grid_signs: tuple[Bool, ...]
) -> tuple[_codec.StreamShape, int, list[core.Layer], U8]:
    return (
        core.shape_to_core(shape),
        len(networks.trunk.layers[0].shift) - 1,
        core.layers_to_core(networks),
        core.signs_to_core(grid_signs),
    )


def encode(
    scene: QuantizedScene,
    *,
    levels: int | None = None,
    slice_anchors: int | None = None,
    threads: int = 0,
    coder: Coder = "lanes",
) -> bytes:
    """The `.pcgs` stream of the first `levels` levels (all by default).

    What `truncate_levels(encode(scene), levels)` gives, byte for byte. `coder` torchac needs the extra of
    that name, takes long and is there for comparison. `slice_anchors`: anchors of a slice, by default as
    `slice_size` says. Raises InputError for a scene that the format cannot
    hold, BackendError without that extra.
    """
    require(coder)
    count = len(scene.positions)
    # The core asks the same, but of numbers that fit its types.
    if (problem := _unusable(scene)) is not None:
        raise InputError(f"cannot encode this scene of {count} anchors: {problem}")
    try:
        data = _codec.encode_stream(
            core.header_to_core(scene),
            scene.stages or tuple(range(1, scene.levels + 1)),
            core.layers_to_core(scene.networks),
            core.signs_to_core(scene.grid_signs),
            core.heads_to_core(scene.heads),
            float(scene.heads.distance_scale),
            [core.camera_to_core(camera) for camera in scene.cameras],
            core.metadata_to_core(scene.metadata, scene.rate_weights),
            core.frame_to_core(scene.frame),
            bytes(scene.swell),
            core.int32(scene.positions),
            [core.int32(symbols) for symbols in scene.symbols],
            np.ascontiguousarray(scene.gaussian_level, dtype=np.uint8),
            np.ascontiguousarray(_refined_at(scene), dtype=np.uint8),
            scene.levels if levels is None else levels,
            slice_anchors or slice_size(count),
            threads,
        )
    except ValueError as error:
        raise InputError(f"cannot encode this scene of {count} anchors: {error}") from None
    return recode(data, coder)


def limit_work(seconds: float | None) -> None:
    """Most work, in seconds of one thread of a slow machine, that decoding a stream may take in this process;
    None: what the size of each stream allows, which is far more than streams of scenes take."""
    _codec.set_max_work(0 if seconds is None else max(round(seconds * 1e9), 1))


def decode(
    data: bytes, *, upto: int | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> Decoded:
    """The scene at level `upto`, or at the last whole level.

    A truncated stream gives its last whole level and a warning. Raises BitstreamError when the stream is
    damaged, too new, beyond `max_memory` bytes, or lacks the level asked for; BackendError when it was coded
    with torchac and that is not installed.
    """
    d, truncated = _decode(data, upto, threads, max_memory, symbols=False)
    return decoded_from(d, truncated=truncated, upto=upto)


def decoded_from(d: _codec.DecodedStream, *, truncated: bool, upto: int | None) -> Decoded:
    """What the core decoded, as dataclasses. `truncated`: more levels were expected than came."""
    shape, frame = core.shape_from_core(d.header.shape), core.frame_from_core(d.frame)
    red, green, blue = d.header.background
    scene = DecodedScene(
        level=d.level,
        levels=d.levels_in_file,
        anchors=d.anchors,
        features=d.features,
        log_scales=d.log_scales,
        offsets=d.offsets,
        gaussian_mask=d.gaussian_level != 0,
        heads=core.heads_from_core(d).dequantized(),
        background=(red, green, blue),
        cameras=tuple(frame.camera_to_user(core.camera_from_core(camera)) for camera in d.cameras),
        metadata=core.metadata_from_core(d.metadata),
        residuals=shape.features if shape.pool else 0,
        frame=frame,
    )
    if (problem := usable.cameras_problem(scene.cameras)) is not None:
        raise BitstreamError(f"in the user's coordinates, {problem}")
    warnings: tuple[str, ...] = ()
    if truncated and upto is None:
        whole, levels = d.level, d.levels_in_file
        warnings = (f"the stream is truncated: level {whole} of {levels} is the last whole one and was used",)
    return Decoded(
        scene=scene,
        level=d.level,
        levels_in_file=d.levels_in_file,
        truncated=truncated,
        warnings=warnings,
        symbol_hash=f"{d.hash:016x}",
    )


def decode_symbols(
    data: bytes,
    upto: int | None = None,
    *,
    threads: int = 0,
    max_memory: int = MAX_MEMORY,
    reverse: bool = False,
) -> Symbols:
    """The integers of a stream, with the code length its tables promise per level and component.

    `reverse` decodes the slices in the opposite order (the result is the same).
    """
    d, _ = _decode(data, upto, threads, max_memory, symbols=True, reverse=reverse)
    features, scaling, offsets = d.symbols
    return Symbols(
        level=d.level,
        positions=d.positions,
        gaussian_level=d.gaussian_level,
        features=features,
        scaling=scaling,
        offsets=offsets.reshape(len(offsets), offsets.shape[1] // 3, 3),
        means=d.means.astype(np.int32),
        steps=d.steps,
        step_levels=d.step_levels,
        ideal_bits={
            (level, name): bits
            for level, row in enumerate(d.ideal, start=1)
            for name, bits in zip(core.COMPONENTS, row, strict=True)
        },
        symbol_hash=f"{d.hash:016x}",
    )


def truncate_levels(data: bytes, levels: int) -> bytes:
    """A stream of the first `levels` levels only, without decoding anything; its parity chunks, if it has
    any, fit it. Raises BitstreamError."""
    try:
        return refreshed(_codec.truncate_stream(bytes(data), levels))
    except _codec.StreamError as error:
        _fail(error)


def _refined_at(scene: QuantizedScene) -> U8:
    """When digits come, where that is chosen; else nothing. Raises InputError for half a choice."""
    chosen = bool(scene.stages), scene.refined_at is not None
    if chosen != (scene.shape.selective, scene.shape.selective):
        raise InputError("selective refinement needs stages and refined_at, other scenes have neither")
    return np.zeros(0, np.uint8) if scene.refined_at is None else scene.refined_at


def _unusable(scene: QuantizedScene) -> str | None:
    """What of a scene no stream can hold, or None."""
    bases = [attribute.step_base for attribute in scene.shape.attributes]
    return (
        usable.placement_problem(bases, scene.origin, scene.voxel_size, scene.background)
        or usable.cameras_problem(scene.cameras)
        or usable.frame_problem(scene.frame)
        or usable.stored_heads_problem(scene.heads)
        or usable.metadata_problem(scene.metadata)
    )


def _fail(error: Exception) -> NoReturn:
    raise BitstreamError(str(error)) from None


def _decode(
    data: bytes,
    upto: int | None,
    threads: int,
    max_memory: int,
    *,
    symbols: bool,
    reverse: bool = False,
) -> tuple[_codec.DecodedStream, bool]:
    """What the core decodes, integers or floats, and whether bytes at the end of `data` are missing."""
    if upto is not None and upto < 1:
        raise BitstreamError(f"levels count from 1; level {upto} was asked for")
    lanes = bytes(data)
    foreign = coder_of(lanes) != "lanes"
    if foreign:
        lanes = recode(lanes, "lanes", upto=upto, max_memory=max_memory)
    try:
        found = _codec.decode_stream(lanes, upto or 0, threads, max_memory, symbols, symbols, reverse)
    except _codec.StreamError as error:
        _fail(error)
    # Recoding left out the levels beyond `upto`.
    return found, describe(data).truncated if foreign else found.truncated
