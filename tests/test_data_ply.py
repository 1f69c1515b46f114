"""Point clouds in PLY files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_scenes import tiny_model, write_cloud

from gspc.data import colmap, ply
from gspc.errors import InputError


def test_point_cloud_in_ply(tmp_path: Path) -> None:
    model = tiny_model()
    colmap.write_model(tmp_path, model)
    (tmp_path / "points3D.bin").unlink()
    write_cloud(tmp_path / "points3D.ply", model.points.positions, model.points.colors)
    points = colmap.read_points(tmp_path)
    np.testing.assert_allclose(points.positions, model.points.positions, rtol=1e-6)
    np.testing.assert_array_equal(points.colors, model.points.colors)
    assert len(points.track) == 0


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "not a PLY point cloud"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not a PLY point cloud"),
        (
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nend_header\n1 2\n",
            "x, y, z",
        ),
        (b"ply\nformat ascii 1.0\nelement face 0\nproperty float x\nend_header\n", "not a PLY point cloud"),
        (
            b"ply\nformat binary_little_endian 1.0\nelement vertex 99999999999999\nproperty float x\n"
            b"property float y\nproperty float z\nend_header\n\0\0\0\0",
            "99999999999999 elements do not fit into 132 bytes",
        ),
    ],
)
def test_bad_ply(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "bad.ply"
    path.write_bytes(content)
    with pytest.raises(InputError, match=match):
        ply.read_point_cloud(path)


def test_ply_without_and_with_float_colors(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    head = b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
    path.write_bytes(head + b"end_header\n1 2 3\n")
    positions, colors = ply.read_point_cloud(path)
    assert positions.tolist() == [[1, 2, 3]] and colors.tolist() == [[128, 128, 128]]
    names = b"".join(b"property float %s\n" % name for name in (b"red", b"green", b"blue"))
    path.write_bytes(head + names + b"end_header\n1 2 3 0 0.5 2\n")
    assert ply.read_point_cloud(path)[1].tolist() == [[0, 128, 255]]
    with pytest.raises(InputError, match="cannot be read"):
        ply.read_point_cloud(tmp_path / "none.ply")
