"""COLMAP models: both forms, hand-made bytes, damage at every byte, each error."""

from __future__ import annotations

import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_scenes import real_scene, same_model, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st

from gspc.data import colmap, load_cameras
from gspc.data.colmap import binary as colmap_binary
from gspc.data.layouts import find_model
from gspc.data.report import Notes
from gspc.errors import InputError, OutputError
from gspc.rotations import quaternion_of, rotation_matrix


@pytest.mark.parametrize("text", [False, True])
def test_round_trip(tmp_path: Path, text: bool) -> None:
    model = tiny_model()
    colmap.write_model(tmp_path, model, text=text)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".txt" if text else ".bin"] * 3
    same_model(colmap.read_model(tmp_path), model)


def test_hand_made_bytes(tmp_path: Path) -> None:
    """The layout as COLMAP documents it, not as our writer understands it."""
    (tmp_path / "cameras.bin").write_bytes(struct.pack("<QIiQQ4d", 1, 7, 1, 640, 480, 500, 501, 320, 240))
    pose = struct.pack("<I7dI", 2, 1, 0, 0, 0, 0.5, -1, 2, 7)
    keypoint = struct.pack("<Qddq", 1, 10.5, 20.25, -1)
    (tmp_path / "images.bin").write_bytes(struct.pack("<Q", 1) + pose + b"a b.jpg\0" + keypoint)
    first = struct.pack("<Q3d3BdQ", 4, 1, 2, 3, 10, 20, 30, 0.5, 2) + struct.pack("<4I", 2, 0, 3, 9)
    second = struct.pack("<Q3d3BdQ", 6, -1, -2, -3, 255, 0, 1, 0.25, 0)
    (tmp_path / "points3D.bin").write_bytes(struct.pack("<Q", 2) + first + second)
    model = colmap.read_model(tmp_path)
    assert model.cameras == (colmap.ColmapCamera(7, "PINHOLE", 640, 480, (500, 501, 320, 240)),)
    assert model.points.ids.tolist() == [4, 6]
    assert model.points.positions.tolist() == [[1, 2, 3], [-1, -2, -3]]
    assert model.points.colors.tolist() == [[10, 20, 30], [255, 0, 1]]
    assert model.points.errors.tolist() == [0.5, 0.25]
    assert model.points.track_start.tolist() == [0, 2, 2]
    assert model.points.track.tolist() == [[2, 0], [3, 9]]
    image = model.images[0]
    assert (image.name, image.keypoints.tolist(), image.point_ids.tolist()) == (
        "a b.jpg",
        [[10.5, 20.25]],
        [-1],
    )
    (camera,) = load_cameras(tmp_path)
    assert (camera.name, camera.width, camera.height) == ("a b.jpg", 640, 480)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 501, 320, 240)
    np.testing.assert_array_equal(camera.center, [-0.5, 1, -2])


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_cut_at_any_byte(tmp_path: Path, name: str) -> None:
    colmap.write_model(tmp_path, tiny_model(views=3, points=4))
    path = tmp_path / f"{name}.bin"
    whole = path.read_bytes()
    readers = {"cameras": colmap_binary.read_cameras, "images": colmap_binary.read_images}
    read = readers.get(name, colmap_binary.read_points)
    read(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=f"{name}.bin: .*corrupt"):
            read(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(InputError, match="1 bytes left after the last record"):
        read(path)


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
@pytest.mark.parametrize("count", [2**64 - 1, 2**63, 2**40, 1000])
def test_absurd_counts_are_refused_before_allocating(tmp_path: Path, name: str, count: int) -> None:
    colmap.write_model(tmp_path, tiny_model(views=3, points=4))
    path = tmp_path / f"{name}.bin"
    path.write_bytes(struct.pack("<Q", count) + path.read_bytes()[8:])
    with pytest.raises(InputError, match=f"{name}.bin: {count} .* do not fit"):
        colmap.read_model(tmp_path)


def test_absurd_inner_counts(tmp_path: Path) -> None:
    """Track lengths and key point counts, which stand inside records."""
    colmap.write_model(tmp_path, tiny_model(views=2, points=2))
    points = (tmp_path / "points3D.bin").read_bytes()
    for length in (2**64 - 1, 2**61, 3):
        (tmp_path / "points3D.bin").write_bytes(
            points[: 8 + 43] + struct.pack("<Q", length) + points[8 + 51 :]
        )
        with pytest.raises(InputError, match=r"points3D\.bin"):
            colmap.read_points(tmp_path)
    images = (tmp_path / "images.bin").read_bytes()
    at = images.index(b"\0", 8 + 64) + 1
    for count in (2**64 - 1, 2**60):
        (tmp_path / "images.bin").write_bytes(images[:at] + struct.pack("<Q", count) + images[at + 8 :])
        with pytest.raises(InputError, match="key points do not fit"):
            colmap.read_cameras(tmp_path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_random_damage_is_an_input_error_or_a_sound_model(data: st.DataObject, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("damage")
    text = data.draw(st.booleans())
    colmap.write_model(folder, tiny_model(views=3, points=4), text=text)
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        model = colmap.read_model(folder)
    except InputError as error:
        assert "\n" not in str(error) and str(folder) in str(error)
    else:
        # Points that are no numbers are left out by what loads the scene.
        assert model.points.positions.shape == (len(model.points.ids), 3)
        assert all(np.isfinite(image.quaternion).all() for image in model.images)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            {"model": "OPENCV", "params": (1.0,) * 7 + (float("inf"),)},
            "camera 3: has impossible parameters",
        ),
        ({"width": 0}, "0x24 pixels, outside 1 to 65535"),
        ({"height": 70000}, "32x70000 pixels"),
        ({"params": (0.0, 1.0, 1.0, 1.0)}, "impossible parameters"),
        ({"params": (float("nan"), 1.0, 1.0, 1.0)}, "impossible parameters"),
        ({"params": (30.0, -1.0, 1.0, 1.0)}, "impossible parameters"),
        ({"params": (30.0, 30.0, 1.0, float("inf"))}, "impossible parameters"),
        ({"camera_id": 9}, "two cameras share an id"),
    ],
)
def test_bad_cameras(tmp_path: Path, text: bool, change: dict, match: str) -> None:
    model = tiny_model()
    colmap.write_model(
        tmp_path, replace(model, cameras=(replace(model.cameras[0], **change), model.cameras[1])), text=text
    )
    with pytest.raises(InputError, match=match):
        colmap.read_model(tmp_path)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"camera_id": 4}, "with a camera 4 that is not in the model: part 0/000.png"),
        ({"name": "part 1/001.png"}, "part 1/001.png is listed twice; the first is used"),
        ({"quaternion": (0.0, 0.0, 0.0, 0.0)}, "1 image left out, without a possible pose"),
        ({"quaternion": (float("nan"), 0.0, 0.0, 1.0)}, "without a possible pose"),
        ({"translation": (0.0, float("inf"), 1.0)}, "without a possible pose"),
        ({"translation": (0.0, 1e300, 1.0)}, "beyond 1e9 units"),
    ],
)
def test_images_that_cannot_be_used_are_left_out(
    tmp_path: Path, text: bool, change: dict, match: str
) -> None:
    model = tiny_model()
    colmap.write_model(
        tmp_path, replace(model, images=(replace(model.images[0], **change), *model.images[1:])), text=text
    )
    notes = Notes()
    _, images = colmap.read_cameras(tmp_path, notes)
    assert [image.image_id for image in images][-8:] == [image.image_id for image in model.images[2:]]
    assert len(images) == 9 and len(notes.left_out) == 1
    assert any(match in note.text for note in notes.lines)


@pytest.mark.parametrize("text", [False, True])
def test_cameras_that_no_image_uses_do_not_matter(tmp_path: Path, text: bool) -> None:
    model = tiny_model()
    spare = replace(model.cameras[0], camera_id=77, params=(0.0, 0.0, 0.0, 0.0), width=0)
    colmap.write_model(tmp_path, replace(model, cameras=(*model.cameras, spare)), text=text)
    assert colmap.read_cameras(tmp_path)[0] == model.cameras


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": "a\x1b[31m.png"}, "is no file name"),
    ],
)
def test_bad_images(tmp_path: Path, text: bool, change: dict, match: str) -> None:
    model = tiny_model()
    colmap.write_model(
        tmp_path, replace(model, images=(replace(model.images[0], **change), *model.images[1:])), text=text
    )
    with pytest.raises(InputError, match=match):
        colmap.read_model(tmp_path)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 1e10])
def test_points_that_are_none_are_read_as_they_are(tmp_path: Path, text: bool, value: float) -> None:
    model = tiny_model()
    model.points.positions[3, 1] = value
    colmap.write_model(tmp_path, model, text=text)
    read = colmap.read_points(tmp_path).positions  # left to points.py, which says how many it drops
    np.testing.assert_array_equal(read, model.points.positions)


@pytest.mark.parametrize("text", [False, True])
def test_zero_points(tmp_path: Path, text: bool) -> None:
    colmap.write_model(
        tmp_path,
        replace(tiny_model(), points=colmap.without_tracks(np.zeros((0, 3)), np.zeros((0, 3)))),
        text=text,
    )
    assert len(colmap.read_points(tmp_path)) == 0


def test_missing_files(tmp_path: Path) -> None:
    model = tiny_model()
    assert find_model(tmp_path) is None
    colmap.write_model(tmp_path, model)
    (tmp_path / "points3D.bin").unlink()
    assert len(colmap.read_model(tmp_path).points) == 0
    (tmp_path / "images.bin").unlink()
    with pytest.raises(InputError, match=r"images\.bin: missing"):
        colmap.read_model(tmp_path)


def test_unknown_binary_camera_model(tmp_path: Path) -> None:
    path = tmp_path / "cameras.bin"
    path.write_bytes(struct.pack("<QIiQQ4d", 1, 7, 99, 640, 480, 500, 501, 320, 240))
    with pytest.raises(InputError, match="camera 7 has model 99, which COLMAP does not have"):
        colmap_binary.read_cameras(path)


def test_write_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: is a file where a directory should be"):
        colmap.write_model(tmp_path / "file", tiny_model())


def test_rotations() -> None:
    """wxyz order and sense of rotation, and the way back through the eigenvector."""
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        rotation_matrix((half, 0, 0, half)), [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15
    )
    generator = np.random.default_rng(2)
    special = [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1e-9, 1, 0, 0)]
    for quaternion in [*special, *generator.normal(size=(50, 4))]:
        rotation = rotation_matrix(quaternion)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)
        assert np.linalg.det(rotation) == pytest.approx(1)
        back = quaternion_of(rotation)
        assert back[0] >= 0
        np.testing.assert_allclose(rotation_matrix(back), rotation, atol=1e-14)


def test_many_points_are_quick(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    count = 90_000
    lengths = generator.integers(0, 8, count)
    points = replace(
        colmap.without_tracks(generator.normal(size=(count, 3)), generator.integers(0, 256, (count, 3))),
        track_start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        track=generator.integers(0, 500, (lengths.sum(), 2), dtype=np.int32),
    )
    colmap_binary.write_points(tmp_path / "points3D.bin", points)
    start = time.process_time()
    again = colmap_binary.read_points(tmp_path / "points3D.bin")
    assert time.process_time() - start < 1
    np.testing.assert_array_equal(again.track, points.track)
    np.testing.assert_array_equal(again.positions, points.positions)


@pytest.mark.parametrize(
    ("name", "images", "points", "tracks"),
    [
        ("fox", 50, 13560, True),
        ("fern", 20, 3094, True),
        ("lego", 100, 11714, True),
        ("bonsai-small", 292, 89508, False),
        ("truck", 251, 59211, False),
    ],
)
def test_real_models(tmp_path: Path, name: str, images: int, points: int, tracks: bool) -> None:
    layout = find_model(real_scene(name))
    assert layout is not None
    folder = layout.model
    model = colmap.read_model(folder)
    assert (len(model.images), len(model.points), bool(len(model.points.track))) == (images, points, tracks)
    # Writing what was read gives the same bytes: nothing is lost on the way.
    colmap.write_model(tmp_path, model)
    for file in ("cameras.bin", "images.bin", "points3D.bin"):
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes()
    if name == "fern":
        colmap.write_model(tmp_path / "text", model, text=True)
        same_model(colmap.read_model(tmp_path / "text"), model)
