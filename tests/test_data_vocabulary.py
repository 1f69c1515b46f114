"""What nerfstudio, instant-ngp and their relatives write into transforms files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from data_scenes import picture, tiny_model, write_cloud, write_transforms

from gspc.config import DataOptions
from gspc.data import colmap, load_cameras, load_scene
from gspc.data.transforms.intrinsics import Intrinsics, merged


def said(scene: object) -> str:
    return "\n".join(note.text for note in scene.notes)  # type: ignore[attr-defined]


def edit(path: Path, **changes: object) -> dict:
    """Changes keys of a transforms file and returns its content."""
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))
    return content


FOCALS = {"fl_x": 20.0, "fl_y": 21.0, "cx": 7.0, "cy": 9.0}


@pytest.mark.parametrize(
    ("values", "model", "params"),
    [
        (FOCALS, "PINHOLE", (20, 21, 7, 9)),
        ({"camera_angle_x": 0.9}, "PINHOLE", (8 / math.tan(0.45), 8 / math.tan(0.45), 8, 6)),
        ({"x_fov": 90.0}, "PINHOLE", (8, 8, 8, 6)),
        ({"x_fov": 90.0, "y_fov": 90.0}, "PINHOLE", (8, 6, 8, 6)),
        ({"camera_angle_y": math.pi / 2}, "PINHOLE", (6, 6, 8, 6)),
        ({"K": [[20, 0, 7], [0, 21, 9], [0, 0, 1]]}, "PINHOLE", (20, 21, 7, 9)),
        ({"intrinsic_matrix": [20, 0, 7, 0, 21, 9, 0, 0, 1]}, "PINHOLE", (20, 21, 7, 9)),
        (FOCALS | {"camera_model": "OPENCV", "k1": 0, "p2": 0.0}, "PINHOLE", (20, 21, 7, 9)),
        (
            FOCALS
            | {"camera_model": "OPENCV", "k1": 0.1, "k2": 0.2, "p1": 0.3, "p2": 0.4, "k3": 0.0, "k4": 0.0},
            "OPENCV",
            (20, 21, 7, 9, 0.1, 0.2, 0.3, 0.4),
        ),
        (
            FOCALS | {"k1": 0.1, "k2": 0.2, "k3": 0.5, "p1": 0.3, "p2": 0.4},
            "FULL_OPENCV",
            (20, 21, 7, 9, 0.1, 0.2, 0.3, 0.4, 0.5, 0, 0, 0),
        ),
        (
            FOCALS | {"distortion_params": [0.1, 0.2, 0.0, 0.0, 0.3, 0.4]},
            "OPENCV",
            (20, 21, 7, 9, 0.1, 0.2, 0.3, 0.4),
        ),
        (
            FOCALS | {"camera_model": "OPENCV_FISHEYE", "k1": 0.1, "k2": 0.2, "k3": 0.3, "k4": 0.4},
            "OPENCV_FISHEYE",
            (20, 21, 7, 9, 0.1, 0.2, 0.3, 0.4),
        ),
        (FOCALS | {"is_fisheye": True}, "OPENCV_FISHEYE", (20, 21, 7, 9, 0, 0, 0, 0)),
        ({"camera_model": "EQUIRECTANGULAR"}, "EQUIRECTANGULAR", (16, 12)),
    ],
)
def test_lenses(values: dict, model: str, params: tuple[float, ...]) -> None:
    lens = Intrinsics("x", values).lens(16, 12)
    assert (lens.model, lens.width, lens.height) == (model, 16, 12)
    assert lens.params == pytest.approx(params)
    doubled = Intrinsics("x", values | {"w": 32, "h": 24}).lens(16, 12)
    assert (doubled.width, doubled.height) == (32, 24)


def test_what_a_frame_says_replaces_the_file(tmp_path: Path) -> None:
    assert merged(FOCALS, {"fl_x": 30.0}) == {**FOCALS, "fl_x": 30.0}
    matrix = {"K": [[30, 0, 1], [0, 31, 2], [0, 0, 1]]}
    assert Intrinsics("x", merged(FOCALS, matrix)).lens(16, 16).params == (30, 31, 1, 2)
    angle = merged(matrix, {"camera_angle_x": math.pi / 2})
    assert Intrinsics("x", angle).lens(16, 16).params[0] == pytest.approx(8)
    path = write_transforms(tmp_path, w=16, h=16)
    content = json.loads(path.read_text())
    content["frames"][1] |= {"w": 32, "h": 8}
    iio.imwrite(tmp_path / "images" / "r_1.png", picture(1, 32, 8))
    path.write_text(json.dumps(content))
    assert [(v.camera.width, v.camera.height) for v in load_scene(path).views] == [(16, 16), (32, 8)] + 2 * [
        (16, 16)
    ]


def test_depth_maps_are_said_to_be_unused(tmp_path: Path) -> None:
    path = write_transforms(tmp_path)
    content = json.loads(path.read_text())
    content["frames"][0]["depth_file_path"] = "depth/0.png"
    path.write_text(json.dumps(content))
    assert "its depth maps (depth_file_path) are not used" in said(load_scene(path))


def test_instant_ngp(tmp_path: Path) -> None:
    """Keys that mean something to its renderer change nothing here."""
    extra = {"aabb_scale": 16, "scale": 0.15, "offset": [0.5, 1.3, 0.2], "sharpness": 50.0, "fl_x": None}
    path = write_transforms(tmp_path, **extra)
    other = write_transforms(tmp_path / "plain")
    for one, two in zip(load_cameras(path), load_cameras(other), strict=True):
        np.testing.assert_array_equal(one.world_to_camera, two.world_to_camera)
        assert (one.fx, one.cx, one.width) == (two.fx, two.cx, two.width)


@pytest.mark.parametrize("held", ["test_filenames", "val_filenames"])
def test_splits_in_one_file(tmp_path: Path, held: str) -> None:
    path = write_transforms(tmp_path, count=9)
    names = [f"images/r_{index}" for index in range(9)]
    edit(path, train_filenames=[f"./{name}" for name in names[:6]], **{held: names[6:8]})
    scene = load_scene(tmp_path)
    assert [view.camera.name for view in scene.test] == ["images/r_6.png", "images/r_7.png"]
    assert len(scene.train) == 6
    assert f"1 frame not used, neither in train_filenames nor in {held}: images/r_8" in said(scene)
    assert len(load_scene(tmp_path, DataOptions(hold=0)).train) == 8


def test_validation_files(tmp_path: Path) -> None:
    write_transforms(tmp_path, "train", count=9)
    write_transforms(tmp_path, "val", count=3)
    scene = load_scene(tmp_path)
    assert (len(scene.train), len(scene.test)) == (9, 3)
    assert "transforms_val.json: its frames are held out" in said(scene)
    write_transforms(tmp_path, "test", count=4)
    scene = load_scene(tmp_path)
    assert (len(scene.train), len(scene.test)) == (9, 4)
    assert "transforms_val.json: not used" in said(scene)


def test_frames_in_both_splits_are_held_out(tmp_path: Path) -> None:
    train = write_transforms(tmp_path, "train", count=9)
    write_transforms(tmp_path, "test", count=3)
    content = json.loads(train.read_text())
    content["frames"][4]["file_path"] = "test/r_1"
    content["frames"].append(content["frames"][0])
    train.write_text(json.dumps(content))
    scene = load_scene(tmp_path)
    assert (len(scene.train), len(scene.test)) == (8, 3)
    assert "1 frame in both splits; held out and not trained on: test/r_1" in said(scene)
    assert "listed twice, the first is used: train/r_0" in said(scene)


@pytest.mark.parametrize("scale", [0.25, 1.004, 3.0])
def test_scaled_matrices(tmp_path: Path, scale: float) -> None:
    path = write_transforms(tmp_path)
    plain = load_cameras(path)
    content = json.loads(path.read_text())
    for frame in content["frames"]:
        matrix = np.array(frame["transform_matrix"])
        matrix[:3, :3] *= scale
        frame["transform_matrix"] = matrix.tolist()
    path.write_text(json.dumps(content))
    for one, two in zip(load_cameras(path), plain, strict=True):
        np.testing.assert_allclose(one.world_to_camera, two.world_to_camera, atol=1e-12)
    assert (f"the camera matrices are scaled by {scale:g}" in said(load_scene(path))) == (scale != 1.004)


@pytest.mark.parametrize("shape", ["3x4", "flat"])
def test_matrices_of_other_shapes(tmp_path: Path, shape: str) -> None:
    path = write_transforms(tmp_path)
    plain = load_cameras(path)
    content = json.loads(path.read_text())
    for frame in content["frames"]:
        matrix = np.array(frame["transform_matrix"])
        frame["transform_matrix"] = matrix[:3].tolist() if shape == "3x4" else matrix.ravel().tolist()
    path.write_text(json.dumps(content))
    for one, two in zip(load_cameras(path), plain, strict=True):
        np.testing.assert_array_equal(one.world_to_camera, two.world_to_camera)


@pytest.mark.parametrize("name", ["gone.ply", "../outside.ply", "/elsewhere/gone.ply"])
def test_a_cloud_that_is_not_there(tmp_path: Path, name: str) -> None:
    scene_folder = tmp_path / "scene"
    write_transforms(scene_folder, ply_file_path=name)
    write_cloud(tmp_path / "outside.ply", np.zeros((3, 3)), np.zeros((3, 3), np.uint8))
    scene = load_scene(scene_folder)
    assert len(scene.points) == 0
    assert f"its point cloud {name} is not there" in said(scene) and "starting from random" in said(scene)
    write_cloud(scene_folder / Path(name).name, np.array([[0.1, 0.2, 0.3]]), np.zeros((1, 3), np.uint8))
    assert len(load_scene(scene_folder).points) == 1


def test_points_of_the_model_that_was_moved(tmp_path: Path) -> None:
    """Older nerfstudio wrote no cloud: its COLMAP points, moved as the cameras were."""
    turn = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]])
    write_transforms(tmp_path, applied_transform=turn.tolist())
    model = tiny_model()
    model.points.positions[:] *= 0.1
    colmap.write_model(tmp_path / "colmap" / "sparse" / "0", model)
    scene = load_scene(tmp_path)
    np.testing.assert_allclose(scene.points, model.points.positions @ turn[:, :3].T)
    assert "moved as the file's applied_transform says" in said(scene)


def test_a_trained_splat_as_cloud(tmp_path: Path) -> None:
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"]
    table = np.array([[0.1, 0.2, 0.3, 1.0, -1.0, 0.0, 5.0]], "<f4")
    head = "ply\nformat binary_little_endian 1.0\nelement vertex 1\n"
    head += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    (tmp_path / "cloud.ply").write_bytes(head.encode() + table.tobytes())
    write_transforms(tmp_path, ply_file_path="cloud.ply")
    assert load_scene(tmp_path).colors.tolist() == [[199, 56, 128]]  # 255 (0.5 +- 0.2821)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    """Longer than any, and with a backslash, which Windows has and other systems may have in names."""
    file = write_transforms(
        tmp_path, count=60, ply_file_path="y" * 3000, applied_transform=[[10**400] * 4] * 3
    )
    content = json.loads(file.read_text())
    content["frames"][1]["file_path"] = "images/" + "x" * 3000
    content["frames"][2]["file_path"] = "images\\" + "x" * 3000
    file.write_text(json.dumps(content))
    scene = load_scene(tmp_path)
    assert len(scene.views) == 58
