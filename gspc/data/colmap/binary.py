"""COLMAP's binary model files, little-endian (layout: COLMAP's "Output Format" page).

Counts are checked against the bytes that are left before anything is allocated, and a file must end where its
last record ends: so a file cut at any byte is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gspc.data import kinds
from gspc.data.colmap.types import ColmapCamera, ColmapImage, ColmapPoints
from gspc.data.lens import MODELS
from gspc.errors import InputError

_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<IiQQ")  # id, model, width, height; then the parameters as doubles
_POSE = struct.Struct("<I4d3dI")  # id, quaternion wxyz, translation, camera id; then the name and a zero byte
_POINT = np.dtype([("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")])
_TRACK = np.dtype([("image", "<u4"), ("keypoint", "<u4")])
_KEYPOINT = np.dtype([("xy", "<f8", 2), ("point", "<i8")])
_MAX_NAME = 4096  # bytes; PATH_MAX


class _Bytes:
    """A file's bytes with a cursor; every read says what is wrong when the bytes are not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", source=str(path)) from error
        self.at = 0
        kinds.refuse(path, self.data[: kinds.HEAD], len(self.data))

    def corrupt(self, what: str) -> InputError:
        return InputError(
            f"{what}; the file is cut short or corrupt: export it from COLMAP again",
            source=str(self.path),
        )

    def take(self, layout: struct.Struct) -> tuple:
        """The next record."""
        if self.at + layout.size > len(self.data):
            raise self.corrupt(f"ends inside a record at byte {len(self.data)}")
        record = layout.unpack_from(self.data, self.at)
        self.at += layout.size
        return record

    def count(self, record_bytes: int, what: str) -> int:
        """A count of records of at least `record_bytes` each, checked against what is left."""
        (count,) = self.take(_COUNT)
        if count * record_bytes > len(self.data) - self.at:
            raise self.corrupt(f"{count} {what} do not fit into {len(self.data)} bytes")
        return int(count)

    def name(self) -> str:
        """The next zero-terminated name. Names are bytes; one that is no UTF-8 comes as Python has such file
        names (PEP 383), so that the file is found."""
        end = self.data.find(b"\0", self.at, self.at + _MAX_NAME)
        if end < 0:
            raise self.corrupt(f"image name without an end at byte {self.at}")
        raw, self.at = self.data[self.at : end], end + 1
        return raw.decode("utf-8", "surrogateescape")

    def end(self) -> None:
        """The file must be used up."""
        if self.at != len(self.data):
            raise self.corrupt(f"{len(self.data) - self.at} bytes left after the last record")


def read_cameras(path: Path) -> tuple[ColmapCamera, ...]:
    """`cameras.bin`; raises InputError for damage and for models that COLMAP does not have."""
    data = _Bytes(path)
    cameras = []
    for _ in range(data.count(_CAMERA.size + 16, "cameras")):
        camera_id, model, width, height = data.take(_CAMERA)
        if model not in MODELS:
            raise InputError(
                f"camera {camera_id} has model {model}, which COLMAP does not have; undistort the "
                "photographs first (colmap image_undistorter)",
                source=str(path),
            )
        name, parameters = MODELS[model]
        params = data.take(struct.Struct(f"<{parameters}d"))
        cameras.append(ColmapCamera(camera_id, name, width, height, params))
    data.end()
    return tuple(cameras)


def count_images(path: Path) -> int:
    """The count at the head of `images.bin`; raises InputError."""
    return _Bytes(path).count(_POSE.size + 1 + 8, "images")


def read_images(path: Path) -> tuple[ColmapImage, ...]:
    """`images.bin`; raises InputError for damage."""
    data = _Bytes(path)
    images = []
    for _ in range(data.count(_POSE.size + 1 + 8, "images")):
        image_id, *pose, camera_id = data.take(_POSE)
        name = data.name()
        count = data.count(_KEYPOINT.itemsize, "key points")
        keypoints = np.frombuffer(data.data, _KEYPOINT, count, data.at)
        data.at += count * _KEYPOINT.itemsize
        images.append(
            ColmapImage(
                image_id,
                tuple(pose[:4]),
                tuple(pose[4:]),
                camera_id,
                name,
                keypoints["xy"].copy(),
                keypoints["point"].copy(),
            )
        )
    data.end()
    return tuple(images)


def read_points(path: Path) -> ColmapPoints:
    """`points3D.bin`; raises InputError for damage. 90k points take about 50 ms."""
    data = _Bytes(path)
    count = data.count(_POINT.itemsize, "points")
    starts = np.empty(count, np.int64)
    tracks = np.empty(count, np.int64)
    raw, at, size, fixed = data.data, data.at, len(data.data), _POINT.itemsize
    for index in range(
        count
    ):  # records have no fixed length: only the walk over the track lengths is sequential
        if at + fixed > size:
            raise data.corrupt(f"ends inside point {index}")
        (length,) = _COUNT.unpack_from(raw, at + fixed - 8)
        starts[index], tracks[index] = at, min(length, size)
        at += fixed + length * _TRACK.itemsize
    if at > size:
        raise data.corrupt(f"ends inside the track of point {count - 1}")
    data.at = at
    data.end()
    # Column by column: no index array is larger than the points: some models have many millions of sightings.
    buffer = np.frombuffer(raw, np.uint8)
    fixed_part = np.empty((count, fixed), np.uint8)
    in_track = np.ones(size, bool)
    in_track[:8] = False
    for column in range(fixed):
        fixed_part[:, column] = buffer[starts + column]
        in_track[starts + column] = False
    record = fixed_part.view(_POINT)[:, 0]
    track = buffer[in_track].view("<i4").reshape(-1, 2)
    return ColmapPoints(
        ids=record["id"].astype(np.int64),
        positions=np.ascontiguousarray(record["xyz"]),
        colors=np.ascontiguousarray(record["rgb"]),
        errors=np.ascontiguousarray(record["error"]),
        track_start=np.concatenate([[0], np.cumsum(tracks)]).astype(np.int64),
        track=track.astype(np.int32),
    )


def write_cameras(path: Path, cameras: Sequence[ColmapCamera]) -> None:
    """`cameras.bin`."""
    ids = {name: number for number, (name, _) in MODELS.items()}
    parts = [_COUNT.pack(len(cameras))]
    for camera in cameras:
        parts.append(_CAMERA.pack(camera.camera_id, ids[camera.model], camera.width, camera.height))
        parts.append(struct.pack(f"<{len(camera.params)}d", *camera.params))
    path.write_bytes(b"".join(parts))


def write_images(path: Path, images: Sequence[ColmapImage]) -> None:
    """`images.bin`."""
    parts = [_COUNT.pack(len(images))]
    for image in images:
        keypoints = np.zeros(len(image.keypoints), _KEYPOINT)
        keypoints["xy"], keypoints["point"] = image.keypoints, image.point_ids
        parts.append(_POSE.pack(image.image_id, *image.quaternion, *image.translation, image.camera_id))
        name = image.name.encode("utf-8", "surrogateescape")
        parts.append(name + b"\0" + _COUNT.pack(len(keypoints)) + keypoints.tobytes())
    path.write_bytes(b"".join(parts))


def write_points(path: Path, points: ColmapPoints) -> None:
    """`points3D.bin`."""
    fixed = np.zeros(len(points), _POINT)
    fixed["id"], fixed["xyz"], fixed["rgb"] = points.ids, points.positions, points.colors
    fixed["error"], fixed["track"] = points.errors, np.diff(points.track_start)
    track = points.track.astype("<u4")
    parts = [_COUNT.pack(len(points))]
    for index in range(len(points)):
        parts.append(fixed[index].tobytes())
        parts.append(track[points.track_start[index] : points.track_start[index + 1]].tobytes())
    path.write_bytes(b"".join(parts))
