"""COLMAP's text model files (layout: COLMAP's "Output Format" page)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gspc.data.colmap import MODELS, ColmapCamera, ColmapImage, ColmapPoints, check_camera
from gspc.errors import InputError


class _Lines:
    """The numbered lines of a text file and the one way its errors are said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError:
            raise InputError(f"{path}: not a text file; export the model from COLMAP again") from None
        self.lines = text.split("\n")  # not splitlines: names may hold its rarer separators
        self.number = 0

    def corrupt(self, what: str) -> InputError:
        return InputError(
            f"{self.path}: line {self.number}: {what}; the file is corrupt: export it from COLMAP again"
        )

    def records(self) -> Iterator[str]:
        """Lines that are neither empty nor comments."""
        while self.number < len(self.lines):
            line = self.lines[self.number].strip()
            self.number += 1
            if line and not line.startswith("#"):
                yield line

    def next_line(self) -> str:
        """The very next line, which may be empty."""
        if self.number == len(self.lines):
            return ""  # the empty key point line of the last image is easily lost in an editor
        self.number += 1
        return self.lines[self.number - 1]

    def check_count(self, count: int, what: str) -> None:
        """COLMAP's header comment states the count: a file cut between two lines is found by it."""
        for line in self.lines[:10]:
            if (found := re.match(rf"#\s*Number of {what}:\s*(\d+)", line)) and int(found[1]) != count:
                raise InputError(
                    f"{self.path}: {count} {what} where its header says {found[1]}; "
                    "the file is cut short: export it from COLMAP again"
                )


def read_cameras(path: Path) -> tuple[ColmapCamera, ...]:
    """`cameras.txt`; raises InputError for damage and for models other than PINHOLE and SIMPLE_PINHOLE."""
    lines = _Lines(path)
    sizes = dict(MODELS.values())
    cameras = []
    for line in lines.records():
        fields = line.split()
        try:
            camera_id, model, width, height = int(fields[0]), fields[1], int(fields[2]), int(fields[3])
            params = tuple(map(float, fields[4:]))
        except (ValueError, IndexError):
            raise lines.corrupt("not a camera (id, model, width, height, parameters)") from None
        if len(params) != sizes.get(model, len(params)):
            raise lines.corrupt(f"{len(params)} parameters for {model}")
        cameras.append(check_camera(path, ColmapCamera(camera_id, model, width, height, params)))
    lines.check_count(len(cameras), "cameras")
    return tuple(cameras)


def read_images(path: Path) -> tuple[ColmapImage, ...]:
    """`images.txt`, two lines per image; raises InputError for damage."""
    lines = _Lines(path)
    images = []
    for line in lines.records():
        fields = line.split(maxsplit=9)
        try:
            image_id, camera_id, name = int(fields[0]), int(fields[8]), fields[9]
            w, x, y, z, *translation = map(float, fields[1:8])
        except (ValueError, IndexError):
            raise lines.corrupt("not an image (id, quaternion, translation, camera id, name)") from None
        try:
            points = np.array(lines.next_line().split(), np.float64).reshape(-1, 3)
        except ValueError:
            raise lines.corrupt("not a list of key points (x, y, point id)") from None
        if not (np.abs(points) < 2**53).all():
            raise lines.corrupt("key points that are not finite")
        tx, ty, tz = translation
        images.append(
            ColmapImage(
                image_id,
                (w, x, y, z),
                (tx, ty, tz),
                camera_id,
                name,
                points[:, :2],
                points[:, 2].astype(np.int64),
            )
        )
    lines.check_count(len(images), "images")
    return tuple(images)


def read_points(path: Path) -> ColmapPoints:
    """`points3D.txt`; raises InputError for damage."""
    lines = _Lines(path)
    ids: list[int] = []
    values: list[list[float]] = []
    tracks = [np.zeros(0, np.int64)]
    for line in lines.records():
        fields = line.split(maxsplit=8)
        try:
            ids.append(int(fields[0]))
            values.append([float(value) for value in fields[1:8]])
            track = np.array(fields[8].split() if len(fields) > 8 else (), np.int64)
        except (ValueError, OverflowError):
            raise lines.corrupt("not a point (id, x, y, z, r, g, b, error, track)") from None
        if len(fields) < 8 or len(track) % 2 or not 0 <= ids[-1] < 2**63:
            raise lines.corrupt("not a point (id, x, y, z, r, g, b, error, track)")
        tracks.append(track)
    lines.check_count(len(ids), "points")
    table = np.array(values, np.float64).reshape(-1, 7)
    colors, entries = table[:, 3:6], np.concatenate(tracks)
    if not ((colors >= 0) & (colors <= 255)).all():
        raise InputError(f"{path}: colors outside 0 to 255; the file is corrupt: export it from COLMAP again")
    if len(entries) and not (entries.min() >= 0 and entries.max() < 2**31):
        raise InputError(f"{path}: impossible tracks; the file is corrupt: export it from COLMAP again")
    return ColmapPoints(
        ids=np.array(ids, np.int64),
        positions=np.ascontiguousarray(table[:, :3]),
        colors=colors.astype(np.uint8),
        errors=table[:, 6].copy(),
        track_start=np.cumsum([len(track) // 2 for track in tracks]).astype(np.int64),
        track=entries.reshape(-1, 2).astype(np.int32),
    )


def write_cameras(path: Path, cameras: Sequence[ColmapCamera]) -> None:
    """`cameras.txt`."""
    lines = ["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]", f"# Number of cameras: {len(cameras)}"]
    for camera in cameras:
        params = " ".join(map(repr, camera.params))
        lines.append(f"{camera.camera_id} {camera.model} {camera.width} {camera.height} {params}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_images(path: Path, images: Sequence[ColmapImage]) -> None:
    """`images.txt`."""
    lines = [
        "# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME; then POINTS2D[] as (X, Y, POINT3D_ID)",
        f"# Number of images: {len(images)}",
    ]
    for image in images:
        pose = " ".join(repr(float(value)) for value in (*image.quaternion, *image.translation))
        lines.append(f"{image.image_id} {pose} {image.camera_id} {image.name}")
        lines.append(
            " ".join(
                f"{x!r} {y!r} {point}"
                for (x, y), point in zip(image.keypoints.tolist(), image.point_ids.tolist(), strict=True)
            )
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def write_points(path: Path, points: ColmapPoints) -> None:
    """`points3D.txt`."""
    lines = [
        "# POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)",
        f"# Number of points: {len(points)}",
    ]
    for index in range(len(points)):
        track = points.track[points.track_start[index] : points.track_start[index + 1]].ravel()
        values = (
            points.ids[index],
            *map(repr, points.positions[index].tolist()),
            *points.colors[index],
            repr(float(points.errors[index])),
            *track,
        )
        lines.append(" ".join(map(str, values)))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
