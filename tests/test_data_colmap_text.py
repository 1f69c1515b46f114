"""COLMAP's text form: written by hand, by other systems, and damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_scenes import same_model, tiny_model

from gspc.data import colmap, load_cameras
from gspc.data.colmap import binary as colmap_binary
from gspc.data.colmap import text as colmap_text
from gspc.data.report import Notes
from gspc.errors import InputError


def test_hand_made_text(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_text("# comment\n\n1 SIMPLE_PINHOLE 64.0 48 50 32 24\n")
    images = "# Number of images: 2\n1 2 0 0 0 1 2 3 1 x y.png\n\n2 0 0 0 1 1 2 3 1 b.png\n1.5 2.5 -1 3 4 8"
    (tmp_path / "images.txt").write_text(images)
    (tmp_path / "points3D.txt").write_text("5 1 2 3 255 128 0 0.5 1 0 2 1\r\n6 4 5 6 0 0 0 0.1\r\n")
    model = colmap.read_model(tmp_path)
    assert [image.name for image in model.images] == ["x y.png", "b.png"]
    assert len(model.images[0].keypoints) == 0
    assert model.images[1].point_ids.tolist() == [-1, 8]
    assert model.points.track_start.tolist() == [0, 2, 2]
    cameras = load_cameras(tmp_path)
    assert [camera.name for camera in cameras] == ["b.png", "x y.png"]
    np.testing.assert_allclose(cameras[1].world_to_camera[:3, :3], np.eye(3))  # quaternion (2, 0, 0, 0)
    np.testing.assert_allclose(cameras[0].world_to_camera[:3, :3], np.diag([-1, -1, 1]), atol=1e-15)
    assert (cameras[0].fx, cameras[0].fy) == (50, 50)


@pytest.mark.parametrize(
    ("file", "line", "match"),
    [
        ("cameras.txt", "1 PINHOLE 32", "line 1: not a camera"),
        ("cameras.txt", "1 PINHOLE 32.5 24 30 30 16 12", "line 1: not a camera"),
        ("cameras.txt", "1 PINHOLE inf 24 30 30 16 12", "line 1: not a camera"),
        ("cameras.txt", "1 PINHOLE 32 24 30 30 16", "3 parameters for PINHOLE"),
        ("cameras.txt", "3 MAGIC 32 24 30 30 16", "is MAGIC, which is no camera model of COLMAP"),
        ("images.txt", "1 1 0 0 0 0 0 0 1", "line 1: not an image"),
        ("images.txt", "1 1 0 0 0 0 0 zero 1 a.png\n", "line 1: not an image"),
        ("images.txt", "1 1 0 0 0 0 0 0 3 a.png\n1 2", "line 2: not a list of key points"),
        ("images.txt", "1 1 0 0 0 0 0 0 3 a.png\n1 nan 3", "not finite"),
        ("points3D.txt", "1 0 0 0 1 2 3", "line 1: not a point"),
        ("points3D.txt", "1 0 0 0 1 2 3 0 5", "line 1: not a point"),
        ("points3D.txt", "1 0 0 0 1 2 3 0 5 x", "line 1: not a point"),
        ("points3D.txt", "1 0 0 0 1 2 300 0", "colors outside"),
        ("points3D.txt", "99999999999999999999 0 0 0 1 2 3 0", "line 1: not a point"),
        ("points3D.txt", "1 0 0 0 1 2 3 0 99999999999999999999 1", "line 1: not a point"),
        ("points3D.txt", "1 0 0 0 1 2 3 0 -5 2", "impossible tracks"),
    ],
)
def test_bad_text(tmp_path: Path, file: str, line: str, match: str) -> None:
    colmap.write_model(tmp_path, tiny_model(), text=True)
    (tmp_path / file).write_text(line)
    with pytest.raises(InputError, match=match):
        colmap.read_model(tmp_path)


@pytest.mark.parametrize(
    ("file", "line", "match"),
    [
        (
            "cameras.txt",
            "# Number of cameras: 3\n3 PINHOLE 9 9 9 9 5 5\n9 PINHOLE 9 9 9 9 5 5",
            "2 cameras where",
        ),
        (
            "images.txt",
            "# Number of images: 3, mean\n1 1 0 0 0 0 0 0 3 a.png\n",
            "1 images where its header says 3",
        ),
        ("points3D.txt", "# Number of points: 2, x\n1 0 0 0 1 2 3 0", "1 points where its header says 2"),
        ("points3D.txt", "# Number of points: " + 9000 * "9" + "\n1 0 0 0 1 2 3 0", "1 points where its"),
    ],
)
def test_counts_of_headers_are_only_warned_of(tmp_path: Path, file: str, line: str, match: str) -> None:
    colmap.write_model(tmp_path, tiny_model(), text=True)
    (tmp_path / file).write_text(line)
    notes = Notes()
    colmap.read_cameras(tmp_path, notes)
    colmap.read_points(tmp_path, notes)
    assert [match in note.text and note.warning for note in notes.lines] == [True]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_of_windows(tmp_path: Path, encoding: str) -> None:
    """Byte-order marks, CRLF and exponents of three digits change nothing."""
    model = tiny_model()
    colmap.write_model(tmp_path, model, text=True)
    for file in tmp_path.iterdir():
        text = file.read_text().replace("e-", "e-0").replace("\n", "\r\n")
        file.write_bytes(text.encode(encoding))
    same_model(colmap.read_model(tmp_path), model)


def test_missing_lines_of_key_points(tmp_path: Path) -> None:
    model = tiny_model()
    colmap.write_model(tmp_path, model, text=True)
    lines = (tmp_path / "images.txt").read_text().splitlines()
    (tmp_path / "images.txt").write_text("\n".join(lines[:2] + lines[2::2]))
    notes = Notes()
    _, images = colmap.read_cameras(tmp_path, notes)
    assert [image.name for image in images] == [image.name for image in model.images]
    assert all(len(image.keypoints) == 0 for image in images)
    assert "lines of key points are missing" in notes.lines[0].text


def test_text_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "cameras.txt").write_bytes(b"\xff\x00\xfd")
    with pytest.raises(InputError, match="not a text file"):
        colmap_text.read_cameras(tmp_path / "cameras.txt", Notes())
    with pytest.raises(InputError, match="cannot be read"):
        colmap_text.read_cameras(tmp_path / "none.txt", Notes())
    with pytest.raises(InputError, match="cannot be read"):
        colmap_binary.read_points(tmp_path / "none.bin")
