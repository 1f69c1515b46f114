"""`.glb`: binary glTF 2.0 with KHR_gaussian_splatting (ratified), uncompressed.

A primitive of points with attributes POSITION and, with the prefix KHR_gaussian_splatting:, ROTATION
(xyzw), SCALE (linear), OPACITY (after the sigmoid) and SH_DEGREE_l_COEF_n (VEC3 of r g b). COLOR_0 shows a
cloud of points to viewers that do not know the extension. glTF's axes are x left, y up, z forward: LUF.
Nodes may move, turn and scale a primitive; scales that differ by axis are refused. The extension that packs
SPZ inside is still open and neither read nor written.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.scene import F32, F64
from gspc.splats import packing
from gspc.splats.harmonics import C0
from gspc.splats.splats import MAX_DEGREE, Splats, checked, joined, logit
from gspc.splats.transform import transform

MAGIC = b"glTF"
FRAME = "LUF"
EXTENSION = "KHR_gaussian_splatting"
PREFIX = f"{EXTENSION}:"
MAX_DEPTH = 64  # of nodes inside nodes; a cycle ends here
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_KINDS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5126: "<f4"}
_DESCRIPTION = {
    "kernel": "ellipse",
    "colorSpace": "srgb_rec709_display",
    "sortingMethod": "cameraDistance",
    "projection": "perspective",
}


def read(data: bytes) -> Splats:
    """All Gaussians of the file's scene, nodes applied, harmonics up to the lowest degree of them."""
    document, binary = _chunks(data)
    reader = _Reader(document, binary)
    parts = [
        _moved(reader.splats(primitive), matrix)
        for mesh, matrix in reader.meshes()
        for primitive in reader.items(mesh, "primitives")
        if EXTENSION in primitive.get("extensions", {})
    ]
    if not parts:
        raise InputError(f"holds no Gaussians ({EXTENSION}), only meshes; give a splat")
    return replace(joined(parts), frame=FRAME)


def _chunks(data: bytes) -> tuple[dict[str, Any], memoryview]:
    """The JSON and the binary chunk."""
    if len(data) < 20 or struct.unpack_from("<I", data, 4)[0] != 2:
        raise InputError("is no binary glTF of version 2; get the file again")
    size, kind = struct.unpack_from("<2I", data, 12)
    if kind != _JSON or 20 + size > len(data):
        raise InputError("ends inside its JSON; get the file again")
    try:
        document = json.loads(data[20 : 20 + size])
    except (ValueError, RecursionError):
        raise InputError("has a JSON part that cannot be read; get the file again") from None
    start = 20 + size
    binary = memoryview(b"")
    if start + 8 <= len(data):
        size, kind = struct.unpack_from("<2I", data, start)
        if kind == _BIN:
            binary = memoryview(data)[start + 8 : start + 8 + size]
    if not isinstance(document, dict):
        raise InputError("has a JSON part that is no object; get the file again")
    return document, binary


class _Reader:
    """Looks up what the JSON refers to; everything in it may be wrong."""

    def __init__(self, document: dict[str, Any], binary: memoryview) -> None:
        self.document, self.binary = document, binary

    def items(self, holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """A list of objects; empty where there is none."""
        found = holder.get(name, [])
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise InputError(f"has no list of objects '{name}'; get the file again")
        return found

    def item(self, name: str, index: Any) -> dict[str, Any]:
        """One object of a list of the document's."""
        found = self.items(self.document, name)
        if not isinstance(index, int) or not 0 <= index < len(found):
            raise InputError(f"refers to {name} {str(index)[:20]}, which is not there; get the file again")
        return found[index]

    def meshes(self) -> Iterator[tuple[dict[str, Any], F64]]:
        """Every mesh of the scene with its matrix."""
        if "scenes" not in self.document:
            yield from ((mesh, np.eye(4)) for mesh in self.items(self.document, "meshes"))
            return
        scene = self.item("scenes", self.document.get("scene", 0))
        stack = [(node, np.eye(4), 0) for node in scene.get("nodes", [])]
        while stack:
            index, matrix, depth = stack.pop()
            node = self.item("nodes", index)
            if depth > MAX_DEPTH or len(stack) > len(self.document["nodes"]):
                raise InputError("has nodes that contain themselves; get the file again")
            matrix = matrix @ _local(node)
            if "mesh" in node:
                yield self.item("meshes", node["mesh"]), matrix
            stack += [(child, matrix, depth + 1) for child in node.get("children", [])]

    def splats(self, primitive: dict[str, Any]) -> Splats:
        """One primitive's Gaussians."""
        attributes = primitive.get("attributes", {})
        if "extensions" in primitive["extensions"][EXTENSION]:
            raise InputError("packs its Gaussians with a further extension; export it uncompressed")

        def get(name: str, width: int) -> F32:
            key = name if name == "POSITION" else PREFIX + name
            if key not in attributes:
                raise InputError(f"has Gaussians without {key}; get the file again")
            return self.accessor(attributes[key], width)

        degree = 0
        while degree < MAX_DEGREE and f"{PREFIX}SH_DEGREE_{degree + 1}_COEF_0" in attributes:
            degree += 1
        names = [f"SH_DEGREE_{l}_COEF_{n}" for l in range(degree + 1) for n in range(2 * l + 1)]
        means, columns = get("POSITION", 3), [get(name, 3) for name in names]
        others = get("ROTATION", 4), get("SCALE", 3), get("OPACITY", 1)
        if any(len(array) != len(means) for array in (*columns, *others)):
            raise InputError("has attributes of different lengths; get the file again")
        xyzw, scales, opacities = others
        with np.errstate(divide="ignore", invalid="ignore"):
            log_scales = np.log(scales)
        found = Splats(
            means, xyzw[:, [3, 0, 1, 2]], log_scales, logit(opacities[:, 0]), np.stack(columns, axis=1)
        )
        return checked(found)

    def accessor(self, index: Any, width: int) -> F32:  # [M, width]
        """An accessor's numbers as floats; integers are fractions of their range."""
        entry = self.item("accessors", index)
        kind = _KINDS.get(entry.get("componentType", 0))
        if kind is None or _WIDTH.get(str(entry.get("type"))) != width or "sparse" in entry:
            raise InputError("has an accessor of a kind that Gaussians do not use; get the file again")
        view = self.item("bufferViews", entry.get("bufferView"))
        packed = np.dtype(kind).itemsize * width
        numbers: list[Any] = [entry.get("byteOffset", 0), view.get("byteOffset", 0)]
        numbers += [view.get("byteStride", packed), entry.get("count")]
        if not all(isinstance(number, int) and number >= 0 for number in numbers) or view.get("buffer", 0):
            raise InputError("keeps its Gaussians outside of the file; export it as one .glb")
        inner, outer, stride, total = numbers
        start, needed = inner + outer, (total - 1) * stride + packed if total else 0
        if total == 0 or stride < packed or start + needed > len(self.binary):
            raise InputError("ends inside its Gaussians; get the file again")
        values: NDArray[Any] = np.ndarray(
            (total, width), kind, self.binary, start, (stride, np.dtype(kind).itemsize)
        )
        if np.dtype(kind).kind == "f":
            return values.astype(np.float32)
        return np.maximum(values.astype(np.float32) / np.iinfo(kind).max, -1)


def _local(node: dict[str, Any]) -> F64:
    """A node's matrix: given as such (by columns) or as translation, rotation (xyzw) and scale."""
    try:
        if "matrix" in node:
            matrix = np.array(node["matrix"], np.float64).reshape(4, 4).T
        else:
            matrix = np.eye(4)
            x, y, z, w = np.array(node.get("rotation", [0, 0, 0, 1]), np.float64)
            cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
            turn = np.eye(3) + 2 * w * cross + 2 * cross @ cross
            matrix[:3, :3] = turn * np.array(node.get("scale", [1, 1, 1]), np.float64)
            matrix[:3, 3] = node.get("translation", [0, 0, 0])
    except (ValueError, TypeError, OverflowError):
        raise InputError("has a node whose matrix makes no sense; get the file again") from None
    if not np.isfinite(matrix).all():
        raise InputError("has a node whose matrix makes no sense; get the file again")
    return matrix


def _moved(splats: Splats, matrix: F64) -> Splats:
    if np.array_equal(matrix, np.eye(4)):
        return splats
    scale = abs(np.linalg.det(matrix[:3, :3])) ** (1 / 3)
    turn = matrix[:3, :3] / scale if scale > 0 else np.zeros((3, 3))
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-4:
        raise InputError("has a node that scales axes differently; apply its scale and export again")
    left, _, right = np.linalg.svd(turn)  # the nearest rotation: numbers in JSON are rounded
    return transform(splats, left @ right, scale, matrix[:3, 3])


def write(splats: Splats) -> bytes:
    """The file, in the axes that the Gaussians have."""
    columns: dict[str, NDArray[Any]] = {
        "POSITION": splats.means,
        "COLOR_0": _points(splats),
        f"{PREFIX}ROTATION": splats.quats[:, [1, 2, 3, 0]],
        f"{PREFIX}SCALE": splats.scales,
        f"{PREFIX}OPACITY": np.minimum(splats.opacities, np.float32(1 - 2**-10))[:, None],
    }
    names = [f"{PREFIX}SH_DEGREE_{l}_COEF_{n}" for l in range(splats.degree + 1) for n in range(2 * l + 1)]
    columns |= {name: splats.sh[:, index] for index, name in enumerate(names)}
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    parts, offset = [], 0
    for name, column in columns.items():
        raw = np.ascontiguousarray(column).tobytes()
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(raw), "target": 34962})
        accessors.append(_accessor(name, column, len(accessors)))
        parts.append(raw)
        offset += len(raw)
    document = {
        "asset": {"version": "2.0", "generator": "gspc"},
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [_primitive(list(columns))]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4s2I", MAGIC, 2, 28 + len(text) + offset) + struct.pack("<2I", len(text), _JSON)
    return b"".join([head, text, struct.pack("<2I", offset, _BIN), *parts])


def _points(splats: Splats) -> NDArray[np.uint8]:  # [M, 4]
    rgb = packing.as_bytes((splats.sh[:, 0] * np.float32(C0) + np.float32(0.5)) * 255)
    return np.column_stack([rgb, packing.opacity_bytes(splats)])


def _accessor(name: str, column: NDArray[Any], index: int) -> dict[str, Any]:
    width = {1: "SCALAR", 3: "VEC3", 4: "VEC4"}[column.shape[1]]
    kind = 5126 if column.dtype == np.float32 else 5121
    entry: dict[str, Any] = {"bufferView": index, "componentType": kind, "count": len(column), "type": width}
    if kind == 5121:
        entry["normalized"] = True
    if name == "POSITION":
        entry |= {"min": column.min(axis=0).tolist(), "max": column.max(axis=0).tolist()}
    return entry


def _primitive(names: list[str]) -> dict[str, Any]:
    return {
        "mode": 0,
        "attributes": {name: index for index, name in enumerate(names)},
        "extensions": {EXTENSION: _DESCRIPTION},
    }
