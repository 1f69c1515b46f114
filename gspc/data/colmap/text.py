"""COLMAP's text model files (layout: COLMAP's "Output Format" page).

Editors and shells leave their traces in these: byte-order marks, UTF-16, CRLF, removed lines. What still can
be read in one way only is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gspc.data import kinds
from gspc.data.colmap.types import ColmapCamera, ColmapImage, ColmapPoints
from gspc.data.lens import PARAMETERS
from gspc.data.report import Notes
from gspc.errors import InputError


def _text(data: bytes) -> str:
    """A file's text. Raises UnicodeError where it has none.

    PowerShell writes UTF-16 where it redirects; both kinds of Windows editors add a mark. Names of
    photographs need not be UTF-8: their bytes come as Python has those of file names (PEP 383).
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    text = data.decode("utf-8-sig", "surrogateescape")
    if "\0" in text:
        raise UnicodeError("null bytes")
    return text


class _Lines:
    """The numbered lines of a text file and the one way its errors are said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            data = path.read_bytes()
            kinds.refuse(path, data[: kinds.HEAD], len(data))
            text = _text(data)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", source=str(path)) from error
        except UnicodeError:
            raise InputError(
                "not a text file; export the model from COLMAP again", source=str(path)
            ) from None
        self.lines = text.split("\n")  # not splitlines: names may hold its rarer separators
        self.number = 0

    def corrupt(self, what: str) -> InputError:
        return InputError(
            f"line {self.number}: {what}; the file is corrupt: export it from COLMAP again",
            source=str(self.path),
        )

    def records(self) -> Iterator[str]:
        """Lines that are neither empty nor comments."""
        while self.number < len(self.lines):
            line = self.lines[self.number].strip()
            self.number += 1
            if line and not line.startswith("#"):
                yield line

    def peek(self) -> str | None:
        """The very next line, which may be empty; None at the end."""
        return self.lines[self.number] if self.number < len(self.lines) else None

    def check_count(self, count: int, what: str, notes: Notes) -> None:
        """COLMAP's header comment states the count: it tells of lines that were removed, or of a file cut
        between two lines."""
        for line in self.lines[:10]:
            found = re.match(rf"#\s*Number of {what}:\s*0*(\d+)", line)
            if found and found[1] != str(count):  # as text: Python refuses to make numbers of endless digits
                notes.warn(
                    f"{self.path}: {count} {what} where its header says {found[1][:20]}; unless you "
                    "removed some, "
                    "the file is cut short: export it from COLMAP again"
                )


def read_cameras(path: Path, notes: Notes) -> tuple[ColmapCamera, ...]:
    """`cameras.txt`; raises InputError for damage."""
    lines = _Lines(path)
    cameras = []
    for line in lines.records():
        fields = line.split()
        try:
            camera_id, model, width, height = int(fields[0]), fields[1], *map(_whole, fields[2:4])
            params = tuple(map(float, fields[4:]))
        except (ValueError, IndexError):
            raise lines.corrupt("not a camera (id, model, width, height, parameters)") from None
        if len(params) != PARAMETERS.get(model, len(params)):
            raise lines.corrupt(f"{len(params)} parameters for {model}")
        cameras.append(ColmapCamera(camera_id, model, width, height, params))
    lines.check_count(len(cameras), "cameras", notes)
    return tuple(cameras)


def _whole(text: str) -> int:
    """A whole number, which scripts like to write as 640.0; ValueError for others."""
    if text.isdecimal():
        return int(text)
    value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


def _pose_line(line: str) -> tuple[int, list[float], int, str]:
    """Id, quaternion and translation, camera id and name; ValueError or IndexError when it is none."""
    fields = line.split(maxsplit=9)
    pose = [float(field) for field in fields[1:8]]
    return int(fields[0]), pose, int(fields[8]), fields[9]


def _is_pose(line: str) -> bool:
    """Whether a line is an image's rather than a list of key points: it ends in a name, not in a number."""
    try:
        _pose_line(line)
    except (ValueError, IndexError):
        return False
    try:
        float(line.rsplit(maxsplit=1)[-1])
    except ValueError:
        return True
    return False


def _keypoints(lines: _Lines) -> np.ndarray | None:
    """The key points [n, 3] of the image before, empty when there are none; None when their line is
    missing."""
    line = lines.peek()
    if line is None:  # the empty line of the last image is easily lost in an editor
        return np.zeros((0, 3))
    if _is_pose(line):
        return None
    lines.number += 1
    try:
        points = np.array(line.split(), np.float64).reshape(-1, 3)
    except ValueError:
        raise lines.corrupt("not a list of key points (x, y, point id)") from None
    if not (np.abs(points) < 2**53).all():
        raise lines.corrupt("key points that are not finite")
    return points


def read_images(path: Path, notes: Notes) -> tuple[ColmapImage, ...]:
    """`images.txt`, two lines per image; a missing line of key points counts as an empty one.

    Raises InputError for damage.
    """
    lines = _Lines(path)
    images = []
    missing = 0
    for line in lines.records():
        try:
            image_id, (w, x, y, z, tx, ty, tz), camera_id, name = _pose_line(line)
        except (ValueError, IndexError):
            raise lines.corrupt("not an image (id, quaternion, translation, camera id, name)") from None
        points = _keypoints(lines)
        if points is None:
            missing += 1
            points = np.zeros((0, 3))
        keypoints, ids = points[:, :2], points[:, 2].astype(np.int64)
        images.append(ColmapImage(image_id, (w, x, y, z), (tx, ty, tz), camera_id, name, keypoints, ids))
    if missing:
        notes.say(f"{path}: the lines of key points are missing, which are not needed")
    lines.check_count(len(images), "images", notes)
    return tuple(images)


def read_points(path: Path, notes: Notes) -> ColmapPoints:
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
    lines.check_count(len(ids), "points", notes)
    table = np.array(values, np.float64).reshape(-1, 7)
    colors, entries = table[:, 3:6], np.concatenate(tracks)
    if not ((colors >= 0) & (colors <= 255)).all():
        raise InputError(
            "colors outside 0 to 255; the file is corrupt: export it from COLMAP again", source=str(path)
        )
    if len(entries) and not (entries.min() >= 0 and entries.max() < 2**31):
        raise InputError(
            "impossible tracks; the file is corrupt: export it from COLMAP again", source=str(path)
        )
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
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape", newline="\n")


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
