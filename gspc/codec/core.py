"""Between dataclasses and what the compiled core takes and gives (kernels/binding). No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from gspc import _codec
from gspc.errors import InputError
from gspc.format import units, usable
from gspc.format.grid import GridPlane, GridSpec
from gspc.format.scene import (
    F64,
    I32,
    U8,
    Bool,
    IntegerLayer,
    Networks,
    QuantizedHeads,
    QuantizedLayer,
    QuantizedResidualDecoder,
    QuantizedScene,
)
from gspc.format.shape import ATTRIBUTES, Attribute, Groups, Pool, StreamShape, TritModel
from gspc.rotations import quaternion_of, rotation_matrix
from gspc.scene import Camera, Frame

Layer = tuple[NDArray[Any], ...]
# What symbols code, in the core's order: what appears, and how it is refined.
COMPONENTS = (*ATTRIBUTES, *(f"refined_{name}" for name in ATTRIBUTES))


def shape_to_core(shape: StreamShape) -> _codec.StreamShape:
    """The shape as the core has it."""
    attributes = [
        _codec.Attribute(a.values, a.refined_until, a.trit_model, a.hidden, a.step_base)
        for a in shape.attributes
    ]
    return _codec.StreamShape(
        attributes=attributes,
        steps_hidden=shape.steps_hidden,
        trunk_hidden=shape.trunk_hidden,
        heads_hidden=shape.heads_hidden,
        residual_hidden=shape.residual_hidden,
        groups=(shape.groups.count, shape.groups.hidden) if shape.groups else (0, 0),
        pool=(shape.pool.features, shape.pool.hidden, shape.pool.planes) if shape.pool else (0, 0, 0),
        box_low=shape.grid.box_low,
        box_size=shape.grid.box_size,
        planes=[(plane.dims, plane.resolution, plane.log2_size) for plane in shape.grid.planes],
        selective=shape.selective,
    )


def _three(values: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = values
    return x, y, z


def shape_from_core(found: _codec.StreamShape) -> StreamShape:
    """The reverse of `shape_to_core`."""
    groups, pool = Groups(*found.groups), Pool(*found.pool)
    return StreamShape(
        attributes=tuple(
            Attribute(name, a.values, a.refined_until, cast(TritModel, a.trit_model), a.hidden, a.step_base)
            for name, a in zip(ATTRIBUTES, found.attributes, strict=True)
        ),
        steps_hidden=found.steps_hidden,
        trunk_hidden=found.trunk_hidden,
        heads_hidden=found.heads_hidden,
        residual_hidden=found.residual_hidden,
        groups=groups if groups.count else None,
        pool=pool if pool.features else None,
        grid=GridSpec(
            _three(found.box_low), _three(found.box_size), tuple(GridPlane(*plane) for plane in found.planes)
        ),
        selective=found.selective,
    )


def header_to_core(scene: QuantizedScene) -> _codec.StreamHeader:
    """What HEAD says of a scene, but for the bits of its positions."""
    x, y, z = (float(v) for v in scene.origin)
    r, g, b = (float(v) for v in scene.background)
    return _codec.StreamHeader(
        shape_to_core(scene.shape), origin=(x, y, z), voxel_size=float(scene.voxel_size), background=(r, g, b)
    )


def step_table() -> F64:  # -> [128]
    """Steps of all indices relative to Q0, as the stream's pinned table has them."""
    return _codec.step_table().astype(np.float64) / units.STEP_UNITS


def int32(values: NDArray[np.integer]) -> I32:
    """The same integers, of any shape such as [N, F], contiguous."""
    return np.ascontiguousarray(values, dtype=np.int32)


def signs_to_core(grid_signs: tuple[Bool, ...]) -> U8:
    """Signs [E, 4] of each plane, E its entries, one plane after another."""
    return np.concatenate([np.asarray(signs, dtype=np.uint8).reshape(-1) for signs in grid_signs])


def layers_to_core(networks: Networks) -> list[Layer]:
    """(weight, bias, multiplier, shift) of every layer, in the stream's order."""
    return [_layer(layer) for layer in networks.layers()]


def _layer(layer: IntegerLayer) -> Layer:
    weight = np.asarray(layer.weight)
    if weight.dtype != np.int8:
        raise InputError(f"network weights must be int8, not {weight.dtype}")
    return (
        np.ascontiguousarray(weight),
        np.ascontiguousarray(layer.bias, dtype=np.int32),
        np.ascontiguousarray(layer.multiplier, dtype=np.int16),
        np.ascontiguousarray(layer.shift, dtype=np.uint8),
    )


def heads_to_core(heads: QuantizedHeads) -> list[Layer]:
    """(weight, scale, bias) of every layer, in the stream's order."""
    return [
        (
            np.ascontiguousarray(layer.weight, dtype=np.int8),
            np.ascontiguousarray(layer.scale, dtype=np.float32),
            np.ascontiguousarray(layer.bias, dtype=np.float32),
        )
        for layer in heads.layers()
    ]


def heads_from_core(found: _codec.DecodedStream) -> QuantizedHeads:
    """The reverse of `heads_to_core`."""
    hidden, opacity, color, cov, *residual = (QuantizedLayer(*layer) for layer in found.heads)
    decoder = QuantizedResidualDecoder(*residual) if residual else None
    return QuantizedHeads(hidden, opacity, color, cov, found.distance_scale, decoder)


def camera_to_core(camera: Camera) -> _codec.StoredCamera:
    """A suggested camera as the core has it."""
    pose = tuple(float(v) for v in np.asarray(camera.world_to_camera, dtype=np.float64)[:3].reshape(-1))
    intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy)
    return _codec.StoredCamera(camera.name.encode(), camera.width, camera.height, intrinsics, pose)


def camera_from_core(found: _codec.StoredCamera) -> Camera:
    """The reverse of `camera_to_core`."""
    matrix = np.eye(4)
    matrix[:3] = np.array(found.pose).reshape(3, 4)
    fx, fy, cx, cy = found.intrinsics
    name = found.name.decode("utf-8", "replace")
    return Camera(name, found.width, found.height, fx, fy, cx, cy, matrix)


def frame_to_core(frame: Frame) -> tuple[float, ...]:
    """Scale, unit quaternion wxyz and translation."""
    numbers = (frame.scale, *quaternion_of(frame.rotation), *frame.translation)
    return tuple(float(number) for number in numbers)


def frame_from_core(found: Sequence[float]) -> Frame:
    """The reverse of `frame_to_core`."""
    return Frame(found[0], rotation_matrix(found[1:5]), np.array(found[5:8]))


def metadata_to_core(metadata: Mapping[str, str], rate_weights: tuple[float, ...]) -> bytes:
    """JSON of the metadata and the rate weights; empty when there is neither."""
    entries: dict[str, Any] = {}
    if metadata:
        entries["metadata"] = dict(sorted(metadata.items()))
    if rate_weights:
        entries["rate_weights"] = [float(weight) for weight in rate_weights]
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode() if entries else b""


def metadata_from_core(text: bytes) -> dict[str, str]:
    """The metadata of a stream, without what is not text: nothing in it may make a stream unreadable."""
    try:
        entries = json.loads(text) if text else {}
        metadata = entries.get("metadata", {})
        return {
            key: value for key, value in metadata.items() if usable.is_text(key) and usable.is_text(value)
        }
    except (ValueError, AttributeError, RecursionError):
        return {}
