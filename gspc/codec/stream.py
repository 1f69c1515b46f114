"""Scenes to streams and back: dataclasses around the C++ core (kernels/codec). No torch."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from gspc import _codec
from gspc.codec.recode import coder_of, recode
from gspc.errors import BitstreamError, InputError
from gspc.format import describe, usable
from gspc.format.grid import GridSpec
from gspc.format.limits import MAX_MEMORY
from gspc.format.scene import (
    F32,
    I32,
    U8,
    Decoded,
    IntegerLayer,
    IntegerNetwork,
    Networks,
    QuantizedHeads,
    QuantizedLayer,
    QuantizedResidualDecoder,
    QuantizedScene,
    Symbols,
)
from gspc.format.shape import Coder
from gspc.scene import Camera, DecodedScene

SLICE_ANCHORS = 16384
_HEADS = ("hidden", "opacity", "color", "cov")
_RESIDUAL = ("shape_hidden", "shape_out", "appearance_hidden", "appearance_out")


def predict(
    positions: I32,
    grid: GridSpec,
    grid_signs: tuple[NDArray[np.bool_], ...],
    networks: Networks,
    *,
    threads: int = 0,
) -> tuple[I32, U8]:
    """What the codec centers symbols on, for anchors at `positions` [N, 3] (voxels).

    Returns means [N, F + Z + 3K] in units of Q0 / 64 of their attribute and step indices [N, 3] of features,
    scaling and offsets. The same integers on every machine and in training.
    """
    levels = _levels_of(networks)
    means, steps = _codec.predict_centers(
        _header(grid, networks), levels, _layers(networks), _signs(grid_signs), _int32(positions), threads
    )
    return means.astype(np.int32), steps


def predict_pool(
    positions: I32,
    grid: GridSpec,
    grid_signs: tuple[NDArray[np.bool_], ...],
    networks: Networks,
    pool_planes: int = 0,
    *,
    threads: int = 0,
) -> F32:
    """Pool features [N, P] at `positions` [N, 3] (voxels), exactly as a decoder restores them.

    `pool_planes`: as in QuantizedScene. Raises InputError when the networks have no pool or do not fit the
    grid.
    """
    header = _header(grid, networks)
    if networks.pool is None or header["pool_planes"] != pool_planes:
        raise InputError(
            f"networks without a pool, or of another grid than one with {pool_planes} pool planes"
        )
    features: F32 = _codec.predict_pool(
        header, _levels_of(networks), _layers(networks), _signs(grid_signs), _int32(positions), threads
    )
    return features


def encode(
    scene: QuantizedScene,
    *,
    levels: int | None = None,
    slice_anchors: int = SLICE_ANCHORS,
    threads: int = 0,
    coder: Coder = "lanes",
) -> bytes:
    """The `.pcgs` stream of the first `levels` levels (all by default).

    What `truncate_levels(encode(scene), levels)` gives, byte for byte. `coder` torchac needs the extra of
    that name, takes long and is there for comparison. Raises InputError for a scene that the format cannot
    hold.
    """
    heads = scene.heads
    header = _header(scene.grid, scene.networks) | {
        "heads_hidden": heads.opacity.weight.shape[1],
        "residual_hidden": 0 if heads.residual is None else heads.residual.shape_hidden.weight.shape[0],
        "refined": scene.refined | scene.refine_until << 4,
        "trit_model": scene.trit_model,
        "step_base": tuple(float(v) for v in scene.step_base),
        "origin": tuple(float(v) for v in scene.origin),
        "background": tuple(float(v) for v in scene.background),
        "voxel_size": float(scene.voxel_size),
    }
    count, features = scene.features.shape
    if (features, scene.offsets.shape[1]) != (header["features"], header["offsets"]):
        raise InputError(
            f"the scene has {features} features and {scene.offsets.shape[1]} offsets per anchor, "
            f"its networks {header['features']} and {header['offsets']}"
        )
    if header["pool_planes"] != scene.pool_planes:
        raise InputError(
            f"the scene has {scene.pool_planes} pool planes, its networks {header['pool_planes']}"
        )
    # The core asks the same, but of numbers that fit its types.
    if (problem := _unusable(scene)) is not None:
        raise InputError(f"cannot encode this scene of {count} anchors: {problem}")
    try:
        data = _codec.encode_stream(
            header,
            scene.levels,
            _layers(scene.networks),
            _signs(scene.grid_signs),
            _heads(heads),
            [_camera(camera) for camera in scene.cameras],
            _metadata_bytes(scene),
            _int32(scene.positions),
            _int32(scene.features),
            _int32(scene.scaling),
            _int32(scene.offsets),
            np.ascontiguousarray(scene.gaussian_level, dtype=np.uint8),
            scene.levels if levels is None else levels,
            slice_anchors,
            threads,
        )
    except ValueError as error:
        raise InputError(f"cannot encode this scene of {count} anchors: {error}") from None
    return recode(data, coder)


def decode(
    data: bytes, *, upto: int | None = None, threads: int = 0, max_memory: int = MAX_MEMORY
) -> Decoded:
    """The scene at level `upto`, or at the last whole level.

    A truncated stream gives its last whole level and a warning. Raises BitstreamError when the stream is
    damaged, too new, beyond `max_memory` bytes, or lacks the level asked for; BackendError when it was coded
    with torchac and that is not installed.
    """
    d = _decode(data, upto, threads, max_memory, symbols=False, ideal=False)
    scene = DecodedScene(
        level=d["level"],
        levels=d["levels_in_file"],
        anchors=d["anchors"],
        features=d["features"],
        log_scales=d["log_scales"],
        offsets=d["offsets"],
        gaussian_mask=d["gaussian_level"] != 0,
        heads=_decoded_heads(d).dequantized(),
        background=d["background"],
        cameras=tuple(_decoded_camera(camera) for camera in d["cameras"]),
        metadata=_metadata(d["metadata"]),
        residuals=d["residuals"],
    )
    warnings: tuple[str, ...] = ()
    if d["truncated"] and upto is None:
        whole, levels = d["level"], d["levels_in_file"]
        warnings = (f"the stream is truncated: level {whole} of {levels} is the last whole one and was used",)
    return Decoded(
        scene=scene,
        level=d["level"],
        levels_in_file=d["levels_in_file"],
        truncated=d["truncated"],
        warnings=warnings,
        symbol_hash=f"{d['hash']:016x}",
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
    d = _decode(data, upto, threads, max_memory, symbols=True, ideal=True, reverse=reverse)
    return Symbols(
        level=d["level"],
        positions=d["positions"],
        gaussian_level=d["gaussian_level"],
        features=d["features"],
        scaling=d["scaling"],
        offsets=d["offsets"],
        means=d["means"].astype(np.int32),
        steps=d["steps"],
        ideal_bits={
            (level, name): bits for level, row in enumerate(d["ideal"], start=1) for name, bits in row.items()
        },
        symbol_hash=f"{d['hash']:016x}",
    )


def truncate_levels(data: bytes, levels: int) -> bytes:
    """A stream of the first `levels` levels only, without decoding anything. Raises BitstreamError."""
    try:
        return _codec.truncate_stream(bytes(data), levels)
    except _codec.StreamError as error:
        _fail(error)


# ---- between dataclasses and what the binding takes ----


def _unusable(scene: QuantizedScene) -> str | None:
    return (
        usable.placement_problem(scene.step_base, scene.origin, scene.voxel_size, scene.background)
        or usable.cameras_problem(scene.cameras)
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
    ideal: bool,
    reverse: bool = False,
) -> dict[str, Any]:
    if upto is not None and upto < 1:
        raise BitstreamError(f"levels count from 1; level {upto} was asked for")
    lanes = bytes(data)
    if coder_of(lanes) != "lanes":
        lanes = recode(lanes, "lanes", upto=upto, max_memory=max_memory)
    try:
        found: dict[str, Any] = _codec.decode_stream(
            lanes, upto or 0, threads, max_memory, symbols, ideal, reverse
        )
    except _codec.StreamError as error:
        _fail(error)
    if lanes is not data and coder_of(data) != "lanes":  # levels beyond `upto` were left out
        found["truncated"] = describe(data).truncated
    return found


def _int32(values: NDArray[np.integer]) -> I32:
    return np.ascontiguousarray(values, dtype=np.int32)


def _signs(grid_signs: tuple[NDArray[np.bool_], ...]) -> U8:
    return np.concatenate([np.asarray(signs, dtype=np.uint8).reshape(-1) for signs in grid_signs])


def _layer(layer: IntegerLayer) -> tuple[NDArray[Any], ...]:
    weight = np.asarray(layer.weight)
    if weight.dtype != np.int8:
        raise InputError(f"network weights must be int8, not {weight.dtype}")
    return (
        np.ascontiguousarray(weight),
        np.ascontiguousarray(layer.bias, dtype=np.int32),
        np.ascontiguousarray(layer.multiplier, dtype=np.int16),
        np.ascontiguousarray(layer.shift, dtype=np.uint8),
    )


def _layers(networks: Networks) -> dict[str, tuple[NDArray[Any], ...]]:
    def two(name: str, network: IntegerNetwork | None) -> dict[str, tuple[NDArray[Any], ...]]:
        if network is None:
            return {}
        hidden, out = network.layers
        return {f"{name}_hidden": _layer(hidden), f"{name}_out": _layer(out)}

    layers = {name: _layer(getattr(networks, name).layers[0]) for name in ("trunk", "center", "scale")}
    layers |= two("steps", networks.steps)
    layers |= two("trit_features", networks.trit_features)
    layers |= two("trit_scaling", networks.trit_scaling)
    layers |= two("trit_offsets", networks.trit_offsets)
    layers |= two("pool", networks.pool)
    for j, chunk in enumerate(networks.chunks, start=1):
        layers |= two(f"chunk_{j}", chunk)
    return layers


def _levels_of(networks: Networks) -> int:
    return len(networks.trunk.layers[0].shift) - 1


def _header(grid: GridSpec, networks: Networks) -> dict[str, Any]:
    """Sizes as the networks have them; fields that only whole scenes know are neutral.

    Neutral is here: refined is what there are trit networks for, as predictions do not depend on it.
    """

    def hidden(network: IntegerNetwork | None) -> int:
        return 0 if network is None else network.layers[0].weight.shape[0]

    features = networks.scale.layers[0].weight.shape[0] - networks.scales
    center = networks.center.layers[0].weight.shape[0]
    offsets, rest = divmod(center - features - networks.scales, 6)
    if features < (networks.pool is None) or rest != 0 or offsets < 1:
        raise InputError(f"networks of {features} features and {center} center outputs fit no scene")
    context = networks.trunk.layers[0].weight.shape[1]
    pool_planes, rest = divmod(grid.context_size - context, grid.features_per_entry)
    if rest or pool_planes < 0:
        raise InputError(f"networks of {context} context values do not fit a grid of {grid.context_size}")
    trits = (networks.trit_features, networks.trit_scaling, networks.trit_offsets)
    return {
        "family": "plain" if networks.pool is None else "predictive",
        "features": features,
        "offsets": offsets,
        "steps_hidden": hidden(networks.steps),
        "trunk_hidden": hidden(networks.trunk),
        "trit_features_hidden": hidden(networks.trit_features),
        "trit_scaling_hidden": hidden(networks.trit_scaling),
        "trit_offsets_hidden": hidden(networks.trit_offsets),
        "heads_hidden": 1,
        "chunk_hidden": hidden(networks.chunks[0]) if networks.chunks else 0,
        "pool_features": 0 if networks.pool is None else networks.pool.layers[1].weight.shape[0],
        "pool_hidden": hidden(networks.pool),
        "residual_hidden": 0,
        "refined": sum(1 << i for i, network in enumerate(trits) if network is not None),
        "scales": networks.scales,
        "trit_model": 0,
        "chunks": len(networks.chunks) + 1 if networks.chunks else 0,
        "pool_planes": pool_planes,
        "step_base": (1.0, 1.0, 1.0),
        "origin": (0.0, 0.0, 0.0),
        "background": (0.0, 0.0, 0.0),
        "voxel_size": 1.0,
        "box_low": grid.box_low,
        "box_size": grid.box_size,
        "planes": [tuple(plane) for plane in grid.planes],
    }


def _head(layer: QuantizedLayer) -> tuple[NDArray[Any], ...]:
    return (
        np.ascontiguousarray(layer.weight, dtype=np.int8),
        np.ascontiguousarray(layer.scale, dtype=np.float32),
        np.ascontiguousarray(layer.bias, dtype=np.float32),
    )


def _heads(heads: QuantizedHeads) -> dict[str, Any]:
    parts = {name: _head(getattr(heads, name)) for name in _HEADS}
    if heads.residual is not None:
        parts |= {name: _head(getattr(heads.residual, name)) for name in _RESIDUAL}
    return parts | {"distance_scale": float(heads.distance_scale)}


def _camera(camera: Camera) -> tuple[Any, ...]:
    pose = [float(v) for v in np.asarray(camera.world_to_camera, dtype=np.float64)[:3].reshape(-1)]
    return (camera.name, camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy, pose)


def _metadata_bytes(scene: QuantizedScene) -> bytes:
    """JSON of the metadata and the rate weights; empty when there is neither."""
    entries: dict[str, Any] = {}
    if scene.metadata:
        entries["metadata"] = dict(sorted(scene.metadata.items()))
    if scene.rate_weights:
        entries["rate_weights"] = [float(weight) for weight in scene.rate_weights]
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode() if entries else b""


def _metadata(text: bytes) -> dict[str, str]:
    """The metadata of a stream, without what is not text: nothing in it may make a stream unreadable."""
    try:
        entries = json.loads(text) if text else {}
        metadata = entries.get("metadata", {})
        return {
            key: value for key, value in metadata.items() if usable.is_text(key) and usable.is_text(value)
        }
    except (ValueError, AttributeError, RecursionError):
        return {}


def _decoded_camera(fields: tuple[Any, ...]) -> Camera:
    name, width, height, fx, fy, cx, cy, pose = fields
    matrix = np.eye(4)
    matrix[:3] = np.array(pose).reshape(3, 4)
    return Camera(name.decode("utf-8", "replace"), width, height, fx, fy, cx, cy, matrix)


def _decoded_heads(d: dict[str, Any]) -> QuantizedHeads:
    residual = None
    if _RESIDUAL[0] in d:
        residual = QuantizedResidualDecoder(*(QuantizedLayer(*d[name]) for name in _RESIDUAL))
    hidden, opacity, color, cov = (QuantizedLayer(*d[name]) for name in _HEADS)
    return QuantizedHeads(hidden, opacity, color, cov, d["distance_scale"], residual)
