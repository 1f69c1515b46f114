"""From folders to SceneData: holding out, sizes, folders of photographs, camera choice, each error."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from data_scenes import picture, real_scene, tiny_model, write_scene
from PIL import Image

from gspc.config import DataOptions, FitOptions
from gspc.data import colmap, load_cameras, load_scene, suggested_cameras
from gspc.errors import InputError, UsageError


@pytest.mark.parametrize("where", ["sparse/0", "sparse", "."])
@pytest.mark.parametrize("text", [False, True])
def test_loads(tmp_path: Path, where: str, text: bool) -> None:
    scene = load_scene(write_scene(tmp_path / "room", where=where, text=text))
    model = tiny_model()
    assert scene.name == "room"
    assert (len(scene.train), len(scene.test)) == (8, 2)
    names = sorted(image.name for image in model.images)
    assert [view.camera.name for view in scene.views] == names
    assert [view.camera.name for view in scene.test] == [names[0], names[8]]
    np.testing.assert_array_equal(scene.points, model.points.positions)
    np.testing.assert_array_equal(scene.colors, model.points.colors)
    assert scene.colors.dtype == np.uint8 and scene.points.dtype == np.float64
    for view in scene.views:
        index = int(view.camera.name[-7:-4])
        assert view.path == tmp_path / "room" / "images" / view.camera.name
        assert (view.camera.width, view.camera.height) == (32, 24)
        assert view.camera.fx == model.cameras[index % 2].params[0]
        np.testing.assert_array_equal(view.load(), picture(index, 32, 24))


def test_model_folder_itself(tmp_path: Path) -> None:
    """Given sparse/0 directly, photographs are looked for above it."""
    write_scene(tmp_path)
    assert len(load_scene(tmp_path / "sparse" / "0").views) == 10
    assert len(load_cameras(tmp_path / "sparse")) == 10


@pytest.mark.parametrize(
    ("hold", "test"), [(0, []), (1, None), (2, [0, 2, 4, 6, 8]), (8, [0, 8]), (9, [0, 9]), (50, [0])]
)
def test_hold(tmp_path: Path, hold: int, test: list[int] | None) -> None:
    write_scene(tmp_path)
    options = DataOptions(hold=hold)
    if test is None:
        with pytest.raises(InputError, match="--hold 1 leaves no view to train on"):
            load_scene(tmp_path, options)
        every = load_scene(tmp_path, options, to_train=False)
        assert len(every.test) == 10 and every.train == ()
        return
    scene = load_scene(tmp_path, options)
    names = sorted(image.name for image in tiny_model().images)
    assert [view.camera.name for view in scene.test] == [names[index] for index in test]
    assert [view.camera.name for view in scene.train] == [n for i, n in enumerate(names) if i not in test]


@pytest.mark.parametrize(
    ("resolution", "size"),
    [(None, (32, 24)), (1, (32, 24)), (2, (16, 12)), (8, (4, 3)), (20, (20, 15)), (64, (32, 24))],
)
def test_resolution(tmp_path: Path, resolution: int | None, size: tuple[int, int]) -> None:
    view = load_scene(write_scene(tmp_path), DataOptions(resolution=resolution)).train[0]
    camera = view.camera
    assert (camera.width, camera.height) == size
    assert view.load().shape == (size[1], size[0], 3)
    lens = next(lens for lens in tiny_model().cameras if lens.model == "PINHOLE")
    if camera.name.startswith("part 0"):
        assert camera.fx == pytest.approx(lens.params[0] * size[0] / 32)
        assert camera.cy == pytest.approx(lens.params[3] * size[1] / 24)


def test_wide_photographs_shrink_to_1600(tmp_path: Path) -> None:
    write_scene(tmp_path, views=3, width=1700, height=20)
    view = load_scene(tmp_path).train[0]
    assert (view.camera.width, view.camera.height) == (1600, 19)
    assert view.load().shape == (19, 1600, 3)
    assert load_scene(tmp_path, DataOptions(resolution=1)).train[0].load().shape == (20, 1700, 3)
    assert load_scene(tmp_path, DataOptions(resolution=1650)).train[0].camera.width == 1650


def test_photographs_of_another_scale(tmp_path: Path) -> None:
    """Photographs twice the size the model was made at: cameras follow the photographs."""
    view = load_scene(write_scene(tmp_path, scale=2)).train[0]
    assert (view.camera.width, view.camera.height) == (64, 48)
    assert view.camera.cy in (2 * 11.75, 24)
    assert load_scene(tmp_path, DataOptions(resolution=2)).train[0].camera.width == 32


def test_reduced_folders(tmp_path: Path) -> None:
    """images_2 is taken when complete and of the right size, else images/ is reduced."""
    write_scene(tmp_path)
    model = tiny_model()
    for image in model.images:
        path = tmp_path / "images_2" / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(path, np.full((12, 16, 3), 77, np.uint8))
    options = DataOptions(resolution=2)
    view = load_scene(tmp_path, options).train[0]
    assert view.path == tmp_path / "images_2" / view.camera.name
    assert view.camera.width == 16 and (view.load() == 77).all()
    assert (
        load_scene(tmp_path, DataOptions(resolution=4)).train[0].path
        == tmp_path / "images" / view.camera.name
    )
    assert load_scene(tmp_path).train[0].load().shape == (24, 32, 3)
    iio.imwrite(tmp_path / "images_2" / model.images[4].name, np.full((24, 32, 3), 77, np.uint8))
    assert load_scene(tmp_path, options).train[0].path == tmp_path / "images" / view.camera.name
    (tmp_path / "images_2" / model.images[4].name).unlink()
    assert load_scene(tmp_path, options).train[0].path == tmp_path / "images" / view.camera.name
    named = DataOptions(resolution=2, images=tmp_path / "images")
    assert load_scene(tmp_path, named).train[0].load().shape == (12, 16, 3)


def test_images_option(tmp_path: Path) -> None:
    write_scene(tmp_path)
    shutil.move(tmp_path / "images", tmp_path.parent / f"{tmp_path.name}-photos")
    elsewhere = tmp_path.parent / f"{tmp_path.name}-photos"
    with pytest.raises(InputError, match=r"images: no such folder of photographs; name it with --images DIR"):
        load_scene(tmp_path)
    assert len(load_scene(tmp_path, DataOptions(images=elsewhere)).views) == 10


@pytest.mark.parametrize(
    ("size", "fits"),
    [
        ((32, 25), True),
        ((33, 24), True),
        ((24, 32), False),
        ((32, 28), False),
        ((16, 12), True),
        ((64, 40), False),
    ],
)
def test_aspect(tmp_path: Path, size: tuple[int, int], fits: bool) -> None:
    write_scene(tmp_path)
    iio.imwrite(tmp_path / "images" / "part 0" / "004.png", picture(0, *size))
    if fits:
        view = next(view for view in load_scene(tmp_path).views if view.camera.name == "part 0/004.png")
        assert view.load().shape == (size[1], size[0], 3)
        return
    with pytest.raises(
        InputError, match=rf"004\.png: {size[0]}x{size[1]} pixels do not fit its camera of 32x24"
    ):
        load_scene(tmp_path)


def test_few_cameras(tmp_path: Path) -> None:
    model = tiny_model()
    for count, match in ((0, "no cameras"), (1, "only one camera")):
        write_scene(tmp_path)
        colmap.write_model(tmp_path / "sparse" / "0", replace(model, images=model.images[:count]))
        with pytest.raises(InputError, match=match):
            load_scene(tmp_path)
    colmap.write_model(tmp_path / "sparse" / "0", replace(model, images=model.images[:2]))
    scene = load_scene(tmp_path)
    assert (len(scene.train), len(scene.test)) == (1, 1)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_scene(tmp_path / "none")
    with pytest.raises(InputError, match="neither a COLMAP model"):
        load_scene(tmp_path)
    with pytest.raises(InputError, match="neither a COLMAP model"):
        load_cameras(tmp_path)


def test_alpha_and_background(tmp_path: Path) -> None:
    write_scene(tmp_path)
    path = tmp_path / "images" / "part 0" / "002.png"
    Image.new("RGBA", (32, 24), (0, 0, 0, 0)).save(path)
    for wish, color in (("auto", 1.0), ("white", 1.0), ("black", 0.0)):
        scene = load_scene(tmp_path, DataOptions(background=wish))
        assert scene.background == (color,) * 3
        view = next(view for view in scene.views if view.path == path)
        assert (view.load() == round(255 * color)).all()


def test_suggested_cameras(tmp_path: Path) -> None:
    views = load_scene(write_scene(tmp_path)).views
    names = [view.camera.name for view in views]

    def suggested(limit: int) -> list[int]:
        return [names.index(camera.name) for camera in suggested_cameras(views[::-1], limit)]

    assert suggested(64) == suggested(10) == list(range(10))
    assert suggested(4) == [0, 3, 6, 9]
    assert suggested(2) == [0, 9]
    assert suggested(1) == [0]
    assert suggested(0) == []
    assert suggested_cameras([]) == ()
    many = [replace(views[0], camera=replace(views[0].camera, name=f"{index:04d}")) for index in range(251)]
    chosen = [int(camera.name) for camera in suggested_cameras(many)]
    assert len(chosen) == 64 and chosen[0] == 0 and chosen[-1] == 250
    assert set(np.diff(chosen)) <= {3, 4}


def test_a_camera_that_no_stream_could_hold_is_refused(tmp_path: Path) -> None:
    model = tiny_model()
    first, second = model.cameras
    lenses = (replace(first, params=(1e-4, 31.25, 16.5, 11.75)), second)
    path = write_scene(tmp_path)
    colmap.write_model(path / "sparse" / "0", replace(model, cameras=lenses))
    with pytest.raises(InputError, match=r"\.png: its camera cannot be used: its focal lengths must be"):
        load_scene(path)


def test_cameras_project_colmap_points() -> None:
    """On fox, points land on the key points that COLMAP saw them at."""
    path = real_scene("fox")
    model = colmap.read_model(path / "sparse" / "0")
    by_name = {camera.name: camera for camera in load_cameras(path)}
    order = {int(point): row for row, point in enumerate(model.points.ids)}
    for image in model.images[::10]:
        camera = by_name[image.name]
        seen = image.point_ids >= 0
        points = model.points.positions[[order[int(point)] for point in image.point_ids[seen]]]
        local = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
        pixels = local[:, :2] / local[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
        assert np.median(np.linalg.norm(pixels - image.keypoints[seen], axis=1)) < 1.0


@pytest.mark.parametrize(
    ("name", "options", "train", "test", "size"),
    [
        ("fox", DataOptions(resolution=2), 43, 7, (265, 474)),
        ("fern", DataOptions(), 17, 3, (696, 521)),
        ("lego", DataOptions(hold=0), 100, 0, (400, 400)),
        ("bonsai-small", DataOptions(), 255, 37, (400, 266)),
    ],
)
def test_real_scenes(name: str, options: DataOptions, train: int, test: int, size: tuple[int, int]) -> None:
    scene = load_scene(real_scene(name), options)
    assert (scene.name, len(scene.train), len(scene.test)) == (name, train, test)
    view = scene.views[1]
    assert (view.camera.width, view.camera.height) == size
    assert view.load().shape == (size[1], size[0], 3)
    assert scene.background == ((1.0,) * 3 if name == "lego" else (0.0,) * 3)


def test_truck_says_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"truck/images: no such folder of photographs"):
        load_scene(real_scene("truck"))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"resolution": 3}, "--resolution 3: give 1, 2, 4, 8 or a width"),
        ({"resolution": 0}, "--resolution 0"),
        ({"resolution": -2}, "--resolution -2"),
        ({"resolution": 70000}, "--resolution 70000"),
        ({"hold": -1}, "--hold -1"),
        ({"background": "blue"}, "--background blue: give one of auto, white, black"),
    ],
)
def test_bad_data_options(options: dict, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        DataOptions(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"iterations": 0},
        {"levels": 0},
        {"levels": 9},
        {"levels": 2, "rate_weights": (1.0,)},
        {"levels": 1, "rate_weights": (-1.0,)},
        {"levels": 1, "rate_weights": (float("nan"),)},
        {"voxel_size": 0.0},
        {"voxel_size": float("inf")},
        {"seed": -1},
        {"device": "tpu"},
        {"threads": 0},
        {"checkpoint_every": -1},
    ],
)
def test_bad_fit_options(options: dict) -> None:
    with pytest.raises(UsageError, match=r"--[a-z-]+"):
        FitOptions(**options)


def test_good_options() -> None:
    assert DataOptions() == DataOptions(None, 8, "auto", None)
    assert FitOptions().level_count == FitOptions().recipe.levels.levels
    assert FitOptions(levels=2).level_count == len(FitOptions(levels=2).weights) == 2
    FitOptions(levels=2, rate_weights=(0.0, 1e-3), device="cuda:1", voxel_size=0.01, threads=2)
    DataOptions(resolution=9)
