"""Where cameras and photographs lie, and what files' names have to do with each other."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from data_scenes import picture, tiny_model, write_cloud, write_scene, write_transforms
from teaching_scenes import ball

from gspc.config import DataOptions
from gspc.data import colmap, load_cameras, load_scene
from gspc.data.names import labels, locate
from gspc.errors import InputError
from gspc.pipeline import load_source
from gspc.splats import write_splats


def said(scene: object) -> str:
    return "\n".join(note.text for note in scene.notes)  # type: ignore[attr-defined]


def renamed(folder: Path, rename: Callable[[str], str], *, text: bool = True) -> Path:
    """The tiny scene with other names in its model than on disk."""
    write_scene(folder)
    model = tiny_model()
    images = tuple(replace(image, name=rename(image.name)) for image in model.images)
    shutil.rmtree(folder / "sparse")
    colmap.write_model(folder / "sparse" / "0", replace(model, images=images), text=text)
    return folder


@pytest.mark.parametrize(
    ("model", "photographs"),
    [
        ("sparse/0", "images"),
        ("sparse/3", "images"),
        ("sparse", "images"),
        ("dense/0/sparse", "dense/0/images"),
        ("dense/sparse", "dense/images"),
        ("dense/0/sparse/0", "dense/0/images"),
        ("colmap/sparse/0", "images"),
        ("distorted/sparse/0", "input"),
        ("sparse/0", "."),
        (".", "."),
        ("sparse/0", "photos"),
        ("sparse/0", "my pictures/day one"),
    ],
)
def test_layouts(tmp_path: Path, model: str, photographs: str) -> None:
    write_scene(tmp_path / "made")
    scene = tmp_path / "scene"
    (scene / model).parent.mkdir(parents=True, exist_ok=True)
    if model == ".":
        scene.mkdir(exist_ok=True)
    for file in (tmp_path / "made" / "sparse" / "0").iterdir():
        (scene / model).mkdir(parents=True, exist_ok=True)
        shutil.move(file, scene / model / file.name)
    shutil.copytree(tmp_path / "made" / "images", scene / photographs, dirs_exist_ok=True)
    loaded = load_scene(scene)
    assert len(loaded.views) == 10
    assert all(view.path.is_relative_to((scene / photographs).resolve()) for view in loaded.views)
    names = [view.camera.name for view in loaded.views]
    assert names == [camera.name for camera in load_cameras(scene)]
    np.testing.assert_array_equal(loaded.views[0].load(), picture(0, 32, 24))
    named = [view.camera.name for view in load_scene(scene / model).views]
    assert named == names  # the model's own folder may be named, too


def test_the_model_with_most_images_is_taken(tmp_path: Path) -> None:
    write_scene(tmp_path)
    model = tiny_model()
    for part, images in ((0, model.images[:3]), (1, model.images[3:])):
        colmap.write_model(tmp_path / "sparse" / str(part), replace(model, images=images))
    scene = load_scene(tmp_path)
    assert len(scene.views) == 7
    assert "sparse/1: the model with most images, 7, of 2; not used" in said(scene)
    assert "only 7 of 10 photographs have a camera in the model" in said(scene)
    assert len(load_scene(tmp_path / "sparse" / "0").views) == 3


def test_files_in_upper_case(tmp_path: Path) -> None:
    write_scene(tmp_path, text=True)
    for file in (tmp_path / "sparse" / "0").iterdir():
        file.rename(file.with_name(file.name.upper()))
    assert len(load_scene(tmp_path).views) == 10 and len(load_scene(tmp_path).points) == 7


def test_files_of_newer_colmap_do_no_harm(tmp_path: Path) -> None:
    write_scene(tmp_path)
    for name in ("rigs.bin", "frames.bin", "project.ini"):
        (tmp_path / "sparse" / "0" / name).write_bytes(b"\0" * 24)
    assert len(load_scene(tmp_path).views) == 10


def test_points_in_ply_and_none(tmp_path: Path) -> None:
    write_scene(tmp_path)
    (tmp_path / "sparse" / "0" / "points3D.bin").unlink()
    assert "no point cloud; starting from random points" in said(load_scene(tmp_path))
    positions = np.array([[0.0, 0.0, 0.4], [0.1, 0.0, 0.4]])
    write_cloud(tmp_path / "sparse" / "0" / "points3D.ply", positions, np.zeros((2, 3), np.uint8))
    np.testing.assert_allclose(load_scene(tmp_path).points, positions, rtol=1e-6)


def test_colmap_and_transforms_side_by_side(tmp_path: Path) -> None:
    """The one whose photographs are there, and a word about it; nerfstudio's file before its own model."""
    write_transforms(tmp_path, count=9)
    model = tiny_model()
    colmap.write_model(tmp_path / "sparse" / "0", model)
    assert len(load_scene(tmp_path).views) == 9
    assert "taking transforms.json, name" in said(load_scene(tmp_path))
    write_scene(tmp_path)
    assert len(load_scene(tmp_path).views) == 10
    assert "taking sparse/0, name" in said(load_scene(tmp_path))
    assert len(load_scene(tmp_path / "transforms.json").views) == 9
    shutil.move(tmp_path / "sparse", tmp_path / "colmap")
    assert len(load_scene(tmp_path).views) == 9


@pytest.mark.parametrize(
    ("rename", "way"),
    [
        (lambda name: name.upper(), "letters of another case or form than the model says"),
        (lambda name: name.replace(".png", ".jpeg"), "another suffix than the model says"),
        (lambda name: name.replace("/", "\\"), None),
        (lambda name: f"./{name}", None),
        (lambda name: f"/data/elsewhere/scene/images/{name}", "in another folder than the model says"),
        (lambda name: f"C:\\shots\\{name}".replace("/", "\\"), "in another folder than the model says"),
        (lambda name: f"../images/{name}", None),
        (lambda name: f"scene/images/{name}", "in another folder than the model says"),
    ],
)
@pytest.mark.parametrize("text", [False, True])
def test_names_that_differ(tmp_path: Path, rename: Callable[[str], str], way: str | None, text: bool) -> None:
    scene = load_scene(renamed(tmp_path / "scene", rename, text=text))
    assert len(scene.views) == 10
    for view in scene.views:
        index = int(view.path.stem)
        np.testing.assert_array_equal(view.load(), picture(index, 32, 24))
        assert not view.camera.name.startswith(("/", "..", "C:")) and "\\" not in view.camera.name
    assert (way in said(scene)) if way else ("than the model says" not in said(scene))


def test_a_missing_photograph_is_never_that_of_another_camera(tmp_path: Path) -> None:
    """The same file name in two folders: one of them deleted is missing, not found in the other."""
    write_scene(tmp_path)
    model = tiny_model()
    images = [replace(i, name=f"cam{k % 2}/{k // 2}.png") for k, i in enumerate(model.images)]
    colmap.write_model(tmp_path / "sparse" / "0", replace(model, images=tuple(images)))
    shutil.rmtree(tmp_path / "images")
    for index, image in enumerate(images):
        path = tmp_path / "images" / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(path, picture(index, 32, 24))
    (tmp_path / "images" / "cam0" / "2.png").unlink()
    scene = load_scene(tmp_path)
    assert len(scene.views) == 9 and "1 of 10 photographs is missing: cam0/2.png" in said(scene)


def test_one_file_is_never_taken_twice(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    assert locate(["a.jpg", "a.jpeg"], [tmp_path], tmp_path).paths == (None, None)
    assert locate(["a.jpg"], [tmp_path], tmp_path).paths == (tmp_path / "a.png",)
    (tmp_path / "a.bmp").write_bytes(b"")  # now it could be either
    assert locate(["a.jpg"], [tmp_path], tmp_path).paths == (None,)


@pytest.mark.parametrize(
    "name", ["../secret.png", "../../secret.png", "x/../../secret.png", "images/../../secret.png"]
)
def test_nothing_outside_the_folder_is_opened(tmp_path: Path, name: str) -> None:
    scene = tmp_path / "scene"
    (scene / "images").mkdir(parents=True)
    iio.imwrite(tmp_path / "secret.png", picture(0, 8, 8))
    iio.imwrite(scene / "images" / "other.png", picture(0, 8, 8))
    homes = [scene / "images", scene]
    assert locate([name, f"{tmp_path}/secret.png"], homes, scene).paths == (None, None)
    (scene / "secret.png").write_bytes(b"")
    found = locate(["../secret.png"], homes, scene).paths
    assert found == (scene / "secret.png",)


def test_accents_composed_otherwise(tmp_path: Path) -> None:
    """macOS takes accents apart where others keep them together."""
    (tmp_path / unicodedata.normalize("NFD", "Süd 1.png")).write_bytes(b"")
    assert locate([unicodedata.normalize("NFC", "Süd 1.png")], [tmp_path], tmp_path).found == 1


def test_labels() -> None:
    assert labels(["a/b.png", "c.png"]) == ["a/b.png", "c.png"]
    assert labels(["/x/y/a/1.png", "/x/y/b/1.png"]) == ["a/1.png", "b/1.png"]
    assert labels(["../s/images/1.png", "../s/images/2.png"]) == ["1.png", "2.png"]
    assert labels(["C:\\d\\1.png", "C:\\d\\2.png"]) == ["1.png", "2.png"]
    assert len(set(labels(["/x/1.png", "1.png"]))) == 2


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda f: iio.imwrite(f / "1.png", picture(0, 8, 8)),
            "1 photograph and no cameras; add --reconstruct",
        ),
        (lambda f: (f / "x.mp4").write_bytes(b""), "a video; take photographs from it first"),
        (lambda f: (f / "keyframes").mkdir(), "a Polycam export; convert it with ns-process-data polycam"),
        (lambda f: (f / "a.psx").write_bytes(b""), "a Metashape project; export its cameras for COLMAP"),
        (lambda f: (f / "a.rcproj").write_bytes(b""), "a RealityCapture project"),
        (lambda f: None, "neither a COLMAP model"),
    ],
)
def test_folders_without_cameras(tmp_path: Path, make: Callable[[Path], object], match: str) -> None:
    make(tmp_path)
    for read in (load_scene, load_cameras):
        with pytest.raises(InputError, match=match):
            read(tmp_path)


def test_a_trainer_s_output_leads_to_its_last_splat(tmp_path: Path) -> None:
    for iteration in (7000, 30000, 800):
        folder = tmp_path / "point_cloud" / f"iteration_{iteration}"
        folder.mkdir(parents=True)
        (folder / "point_cloud.ply").write_bytes(write_splats(ball(20), "ply"))
    last = "point_cloud/iteration_30000/point_cloud.ply"
    with pytest.raises(InputError, match=f"no photographs; {last} is a trained Gaussian splat"):
        load_scene(tmp_path)
    with pytest.raises(InputError, match=f"is a directory; its splat is {last}: name that file"):
        load_source(tmp_path)


def test_json_file_of_any_name(tmp_path: Path) -> None:
    path = write_transforms(tmp_path)
    path.rename(tmp_path / "cameras.json")
    assert len(load_scene(tmp_path / "cameras.json").views) == 4
    (tmp_path / "words.txt").write_text(json.dumps({}))
    with pytest.raises(InputError, match="is no scene"):
        load_scene(tmp_path / "words.txt")


def test_only_a_reduced_folder(tmp_path: Path) -> None:
    write_scene(tmp_path, width=32, height=24)
    shutil.rmtree(tmp_path / "images")
    for image in tiny_model().images:
        path = tmp_path / "images_4" / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(path, np.full((6, 8, 3), 77, np.uint8))
    for resolution, width in ((None, 8), (4, 8), (2, 8), (8, 4)):
        scene = load_scene(tmp_path, DataOptions(resolution=resolution))
        assert {view.camera.width for view in scene.views} == {width}
        assert scene.views[0].load().shape[1] == width
        assert scene.views[0].camera.fx == pytest.approx(30.5 * width / 32)
        assert ("images_4: used as it is" in said(scene)) == (resolution != 4)
