"""Blender-style transforms: axes, focal lengths, splits, points, each error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_scenes import write_cloud, write_transforms

from gspc.config import DataOptions
from gspc.data import load_cameras, load_scene
from gspc.data.start import CUBE_PER_DISTANCE, FARTHEST, RANDOM_POINTS, prepared
from gspc.errors import InputError


def test_single_file(tmp_path: Path) -> None:
    write_transforms(tmp_path, count=10)
    scene = load_scene(tmp_path)
    assert (len(scene.train), len(scene.test)) == (8, 2)
    assert [view.camera.name for view in scene.test] == ["images/r_0.png", "images/r_8.png"]
    camera = scene.test[0].camera
    assert (camera.width, camera.height, camera.cx, camera.cy) == (16, 16, 8, 8)
    assert camera.fx == camera.fy == pytest.approx(8 / np.tan(0.45))
    names = [view.camera.name for view in scene.views]
    assert [view.camera.name for view in load_scene(tmp_path / "transforms.json").views] == names
    assert [view.camera.name for view in load_scene(tmp_path, DataOptions(hold=0)).train] == names


def test_axes(tmp_path: Path) -> None:
    """OpenGL camera-to-world becomes OpenCV world-to-camera: the origin lies ahead, world up is up."""
    write_transforms(tmp_path)
    for camera in load_cameras(tmp_path):
        pose = camera.world_to_camera
        np.testing.assert_allclose(pose @ [0, 0, 0, 1], [0, 0, 4, 1], atol=1e-12)  # 4 units ahead
        above = pose @ [0, 0, 1, 1]
        assert above[1] == pytest.approx(-1)  # y points down
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    first = load_cameras(tmp_path)[0]
    np.testing.assert_allclose(first.center, [4, 0, 0], atol=1e-12)
    assert (first.world_to_camera @ [0, 1, 0, 1])[0] == pytest.approx(1)  # from +x, +y is to the right


def test_split_of_its_own(tmp_path: Path) -> None:
    write_transforms(tmp_path, "train", count=9)
    write_transforms(tmp_path, "test", count=3)
    scene = load_scene(tmp_path)
    assert (len(scene.train), len(scene.test)) == (9, 3)
    assert {view.camera.name.split("/")[0] for view in scene.test} == {"test"}
    everything = load_scene(tmp_path, DataOptions(hold=0))
    assert (len(everything.train), len(everything.test)) == (12, 0)
    assert len(load_cameras(tmp_path)) == 12
    (tmp_path / "transforms_test.json").unlink()
    assert len(load_scene(tmp_path).test) == 2  # every 8th of the training frames


def test_alpha(tmp_path: Path) -> None:
    write_transforms(tmp_path, alpha=True)
    for background, value in (("auto", 1.0), ("black", 0.0)):
        scene = load_scene(tmp_path, DataOptions(background=background))
        assert scene.background == (value,) * 3
        pixel = scene.test[0].load()[0, 0]
        np.testing.assert_array_equal(
            pixel, round(255 * value * 0.8)
        )  # picture(0) is black there, alpha 51 / 255


def test_intrinsics_of_file_and_frame(tmp_path: Path) -> None:
    path = write_transforms(
        tmp_path, fl_x=20.0, fl_y=21.0, cx=7.5, cy=8.25, w=16, h=16, k1=0.0, camera_model="OPENCV"
    )
    content = json.loads(path.read_text())
    content["frames"][1]["fl_x"] = 30.0
    path.write_text(json.dumps(content))
    cameras = load_cameras(path)
    assert (cameras[0].fx, cameras[0].fy, cameras[0].cx, cameras[0].cy) == (20, 21, 7.5, 8.25)
    assert (cameras[1].fx, cameras[1].fy) == (30, 21)
    assert load_scene(path, DataOptions(resolution=2)).train[0].camera.cy == pytest.approx(8.25 / 2)


def test_angle_y(tmp_path: Path) -> None:
    camera = load_cameras(write_transforms(tmp_path, camera_angle_y=1.2))[0]
    assert (camera.fx, camera.fy) == (pytest.approx(8 / np.tan(0.45)), pytest.approx(8 / np.tan(0.6)))


def test_sizes_in_the_file_need_no_photographs(tmp_path: Path) -> None:
    path = write_transforms(tmp_path, w=800, h=600)
    for photo in (tmp_path / "images").iterdir():
        photo.unlink()
    assert {(camera.width, camera.height) for camera in load_cameras(path)} == {(800, 600)}
    with pytest.raises(InputError, match=r"images: no such folder of photographs"):
        load_scene(tmp_path)


def test_images_option(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    (tmp_path / "images").rename(tmp_path / "photos")
    scene = load_scene(tmp_path, DataOptions(images=tmp_path / "photos"))
    assert {view.path.parent.name for view in scene.views if view.path} == {"photos"}
    # A folder of another name below the scene's is found by itself.
    assert {view.path.parent.name for view in load_scene(tmp_path).views if view.path} == {"photos"}


def test_random_points_surround_what_is_seen(tmp_path: Path) -> None:
    """A cube of the field's usual size around what the cameras look at, and points along their rays."""
    write_transforms(tmp_path)
    scene = load_scene(tmp_path)
    assert scene.points.shape == scene.colors.shape == (0, 3)
    framed = prepared(scene)
    points = framed.frame.to_user(framed.scene.points)
    in_cube = points[: RANDOM_POINTS // 2]
    reach = 4 * CUBE_PER_DISTANCE
    assert np.abs(in_cube).max() <= np.sqrt(3) * reach + 1e-3  # its axes are the frame's
    assert np.abs(in_cube).max() > 0.99 * reach
    assert abs(in_cube.mean()) < 0.02
    np.testing.assert_array_equal(framed.scene.points, prepared(load_scene(tmp_path)).scene.points)


def test_random_points_of_parallel_cameras(tmp_path: Path) -> None:
    """Cameras that all look the same way: finite points in front of them."""
    path = write_transforms(tmp_path, count=3)
    content = json.loads(path.read_text())
    for index, frame in enumerate(content["frames"]):
        matrix = np.eye(4)
        matrix[:3, 3] = [index, 0, 0]
        frame["transform_matrix"] = matrix.tolist()
    path.write_text(json.dumps(content))
    scene = prepared(load_scene(tmp_path)).scene
    assert np.linalg.norm(scene.points, axis=1).max() < 2 * FARTHEST
    for view in scene.train:
        pose = view.camera.world_to_camera
        assert ((scene.points @ pose[:3, :3].T + pose[:3, 3])[:, 2] > 0).all()


@pytest.mark.parametrize("named", [False, True])
def test_point_cloud(tmp_path: Path, named: bool) -> None:
    extra = {"ply_file_path": "cloud/mine.ply"} if named else {}
    write_transforms(tmp_path, **extra)
    (tmp_path / "cloud").mkdir()
    positions = np.array([[0.5, 1.0, -2.0], [1.0, 0.0, 0.0]])
    colors = np.array([[1, 2, 3], [255, 0, 9]], np.uint8)
    file = tmp_path / ("cloud/mine.ply" if named else "points3d.ply")
    write_cloud(file, positions, colors)
    scene = load_scene(tmp_path)
    np.testing.assert_array_equal(scene.points, positions)
    np.testing.assert_array_equal(scene.colors, colors)
    write_cloud(file, positions[:0], colors[:0])
    assert len(load_scene(tmp_path).points) == 0


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ({"camera_model": "VR180_L"}, "camera model VR180_L, which cannot be straightened"),
        ({"k4": 0.1}, "k4 = 0.1 of a perspective camera is nerfstudio's own"),
        ({"ftheta_p0": 0.1}, "camera model f-theta"),
        ({"distortion_params": [1, "x"]}, "distortion_params is no list"),
        ({"camera_angle_x": None}, "no usable focal length"),
        ({"camera_angle_x": 4.0}, "no usable focal length"),
        ({"camera_angle_x": "wide"}, "camera_angle_x is not a number"),
        ({"fl_x": float("nan")}, "fl_x is not a number"),
        ({"fl_x": 10**400}, "fl_x is not a number"),
        ({"fl_x": -5}, "no usable focal length"),
        ({"camera_angle_x": None, "K": [[10**400, 0, 8], [0, 10**400, 8], [0, 0, 1]]}, "no usable focal"),
        ({"distortion_params": [10**400]}, "distortion_params is no list"),
        ({"w": 0, "h": 16}, "impossible image size 0x16"),
        ({"w": 16.5, "h": 16}, "impossible image size"),
        ({"w": 16, "h": 12}, "do not fit its camera of 16x12"),
        ({"frames": {}}, "no list of frames"),
        ({"frames": [1]}, "no list of frames"),
        ({"frames": []}, "no cameras"),
    ],
)
def test_bad_files(tmp_path: Path, extra: dict, match: str) -> None:
    write_transforms(tmp_path, **extra)
    with pytest.raises(InputError, match=match) as error:
        load_scene(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"file_path": None}, "a frame without file_path"),
        ({"file_path": "/etc/x"}, r"1 of 4 photographs is missing: .*x\.png"),
        ({"file_path": "../../x"}, r"is missing: .*x\.png"),
        ({"file_path": "images/r_9"}, r"is missing: images/r_9\.png"),
    ],
)
def test_bad_frames(tmp_path: Path, change: dict, match: str) -> None:
    path = write_transforms(tmp_path)
    content = json.loads(path.read_text())
    content["frames"][0].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=match):
        load_scene(tmp_path)


@pytest.mark.parametrize(
    "matrix",
    [
        None,
        [[1, 2], [3]],
        [[10**400] * 4] * 4,
        np.zeros((4, 4)).tolist(),
        np.diag([1, 1, -1, 1]).tolist(),
        np.diag([1, 2, 1, 1]).tolist(),
        np.full((4, 4), np.nan).tolist(),
    ],
)
def test_frames_without_a_pose_are_left_out(tmp_path: Path, matrix: object) -> None:
    path = write_transforms(tmp_path)
    content = json.loads(path.read_text())
    content["frames"][2]["transform_matrix"] = matrix
    path.write_text(json.dumps(content))
    scene = load_scene(tmp_path)
    assert [view.camera.name for view in scene.views] == [f"images/r_{index}.png" for index in (0, 1, 3)]
    assert any("1 frame left out, without a possible pose" in note.text for note in scene.notes)
    assert any("images/r_2" in note.text for note in scene.notes)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1, 2]", b"[" * 100_000])
def test_not_json(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "transforms.json").write_bytes(content)
    with pytest.raises(InputError, match=r"transforms\.json: (not valid JSON|no list of frames)"):
        load_scene(tmp_path)


def test_one_camera(tmp_path: Path) -> None:
    write_transforms(tmp_path, count=1)
    with pytest.raises(InputError, match="only one camera"):
        load_scene(tmp_path)
