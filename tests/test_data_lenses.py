"""Lenses: which are pinholes, what the others are straightened to, and that the pixels are the right ones."""

from __future__ import annotations

import builtins
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from cli_tools import environment
from data_scenes import tiny_model, write_scene

from gspc.config import DataOptions
from gspc.data import colmap, load_cameras, load_scene, undistort
from gspc.data.lens import MODELS, PARAMETERS, Lens, check_lens
from gspc.errors import BackendError, InputError

# Every model with some distortion, and where one has it, none.
BENT = {
    "SIMPLE_RADIAL": (200.0, 100.0, 75.0, -0.1),
    "RADIAL": (200.0, 100.0, 75.0, -0.1, 0.02),
    "OPENCV": (200.0, 201.0, 90.0, 70.0, -0.1, 0.02, 0.001, -0.002),
    "FULL_OPENCV": (200.0, 201.0, 90.0, 70.0, -0.1, 0.02, 0.001, -0.002, 0.01, 0.0, 0.0, 0.0),
    "OPENCV_FISHEYE": (200.0, 201.0, 90.0, 70.0, 0.03, -0.01, 0.0, 0.0),
    "FOV": (200.0, 201.0, 90.0, 70.0, 0.7),
    "SIMPLE_RADIAL_FISHEYE": (200.0, 100.0, 75.0, 0.02),
    "RADIAL_FISHEYE": (200.0, 100.0, 75.0, 0.02, 0.0),
    "THIN_PRISM_FISHEYE": (200.0, 201.0, 90.0, 70.0, 0.02, 0.0, 0.001, 0.0, 0.0, 0.0, 0.001, 0.0),
    "RAD_TAN_THIN_PRISM_FISHEYE": (200.0, 201.0, 90.0, 70.0, 0.02, *(0.0,) * 11),
    "SIMPLE_DIVISION": (200.0, 100.0, 75.0, -0.1),
    "DIVISION": (200.0, 201.0, 90.0, 70.0, -0.1),
    "SIMPLE_FISHEYE": (200.0, 100.0, 75.0),
    "FISHEYE": (200.0, 201.0, 90.0, 70.0),
    "EUCM": (200.0, 201.0, 90.0, 70.0, 0.5, 1.1),
}


def lens_of(model: str) -> Lens:
    return Lens(model, 200, 150, BENT[model])


def pattern(rays: np.ndarray) -> np.ndarray:
    """Smooth colors [..., 3] of directions [..., 3], bytes."""
    x, y = rays[..., 0] / rays[..., 2], rays[..., 1] / rays[..., 2]
    waves = np.stack([np.sin(7 * x), np.cos(6 * y), np.sin(5 * (x + y))], -1)
    return np.rint(128 + 100 * waves).astype(np.uint8)


def photograph(lens: Lens, scale: int = 1) -> np.ndarray:
    """What a lens sees of `pattern`, at `scale` times its size."""
    pycolmap = pytest.importorskip("pycolmap")
    camera = pycolmap.Camera(model=lens.model, width=lens.width, height=lens.height, params=list(lens.params))
    x, y = np.meshgrid(np.arange(lens.width * scale) + 0.5, np.arange(lens.height * scale) + 0.5)
    rays = camera.cam_ray_from_img(np.stack([x, y], -1).reshape(-1, 2) / scale)
    return pattern(rays).reshape(lens.height * scale, lens.width * scale, 3)


def test_the_table_is_that_of_colmap() -> None:
    pycolmap = pytest.importorskip("pycolmap")
    known = {int(v.value): k for k, v in pycolmap.CameraModelId.__members__.items() if int(v.value) >= 0}
    assert {number: name for number, (name, _) in MODELS.items()} == known
    for number, name in known.items():
        made = pycolmap.Camera.create_from_model_id(1, pycolmap.CameraModelId(number), 100.0, 64, 48)
        assert len(made.params) == PARAMETERS[name]
        lens = Lens(name, 64, 48, tuple(made.params))
        assert lens.center == (32, 24)
        if name != "EQUIRECTANGULAR":
            assert lens.focals == (100, 100)


@pytest.mark.parametrize("model", sorted(PARAMETERS))
def test_which_are_pinholes(model: str) -> None:
    if model in BENT and "FISHEYE" not in model and model != "EUCM":
        assert not lens_of(model).straight
        straight = Lens(model, 200, 150, BENT[model][: 3 if model.startswith("SIMPLE") else 4])
        count = PARAMETERS[model] - len(straight.params)
        if model == "RADIAL":
            straight, count = replace(straight, params=BENT[model][:3]), 2
        assert replace(straight, params=straight.params + (0.0,) * count).straight
    elif model in ("PINHOLE", "SIMPLE_PINHOLE"):
        assert Lens(model, 200, 150, (200.0,) * PARAMETERS[model]).straight
    elif model == "EUCM":
        assert Lens(model, 9, 9, (9.0, 9.0, 5.0, 5.0, 0.0, 1.3)).straight
    else:
        assert not Lens(model, 200, 150, (200.0,) * 2 + (0.0,) * (PARAMETERS[model] - 2)).straight


@pytest.mark.parametrize("field", ["full", "crop"])
@pytest.mark.parametrize("model", sorted(BENT))
def test_straightened_pixels_show_their_directions(model: str, field: str) -> None:
    lens = check_lens("x", lens_of(model))
    pixels = photograph(lens)
    (plane,) = undistort.planes_of(lens, field)
    assert (plane.fx, plane.fy) == lens.focals
    straight = undistort.Straightener(lens, plane, plane.width, plane.height)
    result, valid = straight(pixels), straight.valid()
    assert result.shape == (plane.height, plane.width, 3)
    x, y = np.meshgrid(np.arange(plane.width) + 0.5, np.arange(plane.height) + 0.5)
    rays = np.stack([(x - plane.cx) / plane.fx, (y - plane.cy) / plane.fy, np.ones_like(x)], -1)
    inner = valid.copy()
    inner[:2] = inner[-2:] = False
    inner[:, :2] = inner[:, -2:] = False
    assert np.abs(result.astype(int) - pattern(rays))[inner].max() <= 3
    assert valid.mean() > (0.99 if field == "crop" else 0.6)
    assert straight.covered() == bool(valid.all())
    if field == "full":
        corner = pattern(np.asarray(undistort._model(lens).cam_ray_from_img(np.array([[1.0, 1.0]]))))
        assert np.abs(result.astype(int) - corner).sum(-1).min() <= 12  # nothing of the photograph is lost


def test_straightening_agrees_with_colmap() -> None:
    """Its own undistorter, asked for the same pinhole, within a gray level."""
    pycolmap = pytest.importorskip("pycolmap")
    lens = lens_of("SIMPLE_RADIAL")
    camera = pycolmap.Camera(model=lens.model, width=200, height=150, params=list(lens.params))
    options = pycolmap.UndistortCameraOptions(blank_pixels=0.0)
    theirs, pinhole = pycolmap.undistort_image(options, pycolmap.Bitmap.from_array(photograph(lens)), camera)
    plane = undistort.Plane(pinhole.width, pinhole.height, *pinhole.params)
    ours = undistort.Straightener(lens, plane, plane.width, plane.height)(photograph(lens))
    difference = np.abs(ours.astype(int) - theirs.to_array())[1:-1, 1:-1]
    assert difference.max() <= 1


def test_reduced_straightening_is_as_reducing_afterwards() -> None:
    pytest.importorskip("pycolmap")
    lens = lens_of("OPENCV")
    (plane,) = undistort.planes_of(lens, "crop")
    large = photograph(lens, scale=4)
    small = undistort.Straightener(lens, plane, plane.width // 2, plane.height // 2)(large)
    full = undistort.Straightener(lens, plane, plane.width * 4, plane.height * 4)(large)
    expected = undistort.reduce_image(full, plane.width // 2, plane.height // 2)
    assert np.abs(small.astype(int) - expected).mean() < 1


def test_panoramas_become_six_views() -> None:
    pytest.importorskip("pycolmap")
    lens = Lens("EQUIRECTANGULAR", 256, 128, (256.0, 128.0))
    longitude = (np.arange(256) + 0.5) / 256 * 2 * np.pi - np.pi
    latitude = (np.arange(128) + 0.5) / 128 * np.pi - np.pi / 2
    directions = np.stack(
        [
            np.cos(latitude)[:, None] * np.sin(longitude),
            np.sin(latitude)[:, None] * np.ones(256),
            np.cos(latitude)[:, None] * np.cos(longitude),
        ],
        -1,
    )
    pixels = np.rint(128 + 120 * directions).astype(np.uint8)
    planes = undistort.planes_of(lens, "full")
    assert [plane.face for plane in planes] == ["front", "right", "back", "left", "up", "down"]
    for plane in planes:
        made = undistort.Straightener(lens, plane, 64, 64)(pixels)
        middle = 128 + 120 * (np.array([0.0, 0.0, 1.0]) @ np.array(plane.rotation))
        assert np.abs(made[31:33, 31:33].astype(float) - middle).max() < 5
        right = 128 + 120 * (np.array([0.7071, 0.0, 0.7071]) @ np.array(plane.rotation))
        assert np.abs(made[31:33, -1].astype(float) - right).max() < 8


def bent_scene(folder: Path, model: str = "SIMPLE_RADIAL", *params: float) -> Path:
    """The tiny scene with one bent lens for every other view."""
    write_scene(folder)
    content = tiny_model()
    bent = replace(content.cameras[0], model=model, params=params or (30.0, 16.0, 12.0, -0.1))
    colmap.write_model(folder / "sparse" / "0", replace(content, cameras=(bent, content.cameras[1])))
    return folder


def test_a_scene_of_bent_lenses(tmp_path: Path) -> None:
    pytest.importorskip("pycolmap")
    scene = load_scene(bent_scene(tmp_path))
    bent = [view for view in scene.views if view.camera.name.startswith("part 0")]
    assert len(scene.views) == 10 and len(bent) == 5
    assert all(view.mask is None for view in scene.views if view not in bent)
    for view in bent:
        assert view.camera.fx == 30 and view.camera.width > 32
        assert view.mask is not None and not view.mask().all() and view.mask().mean() > 0.7
        assert view.load().shape == (view.camera.height, view.camera.width, 3) == (*view.mask().shape, 3)
    assert any(
        "5 views straightened from SIMPLE_RADIAL, all of their field kept" in n.text for n in scene.notes
    )
    cropped = [view for view in load_scene(tmp_path, DataOptions(field="crop")).views if view.mask is None]
    assert len(cropped) == 10
    half = load_scene(tmp_path, DataOptions(resolution=2)).views[0]
    assert half.camera.width == round(bent[0].camera.width / 2) and half.load().shape[1] == half.camera.width
    names = [view.camera for view in scene.views]
    assert [(c.name, c.width, c.fx) for c in load_cameras(tmp_path)] == [
        (c.name, c.width, c.fx) for c in names
    ]


def test_off_center_principal_points_stay(tmp_path: Path) -> None:
    """The direction of a photograph's pixel is that of the straightened one that shows it."""
    pytest.importorskip("pycolmap")
    view = load_scene(bent_scene(tmp_path, "OPENCV", 30.0, 31.0, 9.0, 18.0, -0.05, 0.0, 0.0, 0.0)).views[0]
    lens = Lens("OPENCV", 32, 24, (30.0, 31.0, 9.0, 18.0, -0.05, 0.0, 0.0, 0.0))
    ray = undistort._model(lens).cam_ray_from_img(np.array([[20.5, 6.5]]))[0]
    camera = view.camera
    x, y = camera.fx * ray[0] / ray[2] + camera.cx, camera.fy * ray[1] / ray[2] + camera.cy
    shown = view.load()[int(y), int(x)].astype(int)
    assert np.abs(shown - iio.imread(view.path)[6, 20]).max() <= 12


def test_straightened_photographs_are_kept(tmp_path: Path) -> None:
    pytest.importorskip("pycolmap")
    options = DataOptions(cache=tmp_path / "kept", image_cache=0)
    first = load_scene(bent_scene(tmp_path), options).views[0]
    pixels = first.load()
    (file,) = (tmp_path / "kept").iterdir()
    iio.imwrite(file, pixels // 2)
    np.testing.assert_array_equal(load_scene(tmp_path, options).views[0].load(), pixels // 2)
    file.write_bytes(b"broken")
    np.testing.assert_array_equal(load_scene(tmp_path, options).views[0].load(), pixels)
    iio.imwrite(first.path, 255 - iio.imread(first.path))  # another photograph of that name
    assert (load_scene(tmp_path, options).views[0].load() != pixels).any()


def test_without_pycolmap_one_line_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undistort._model.cache_clear()
    undistort._plane.cache_clear()
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    with pytest.raises(
        BackendError, match=r"SIMPLE_RADIAL camera needs pycolmap; pip install 'gspc\[colmap\]'"
    ):
        load_scene(bent_scene(tmp_path))


def test_pinholes_never_import_pycolmap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def guarded(name: str, *args: object, **rest: object) -> object:
        assert not name.startswith("pycolmap")
        return real(name, *args, **rest)

    monkeypatch.setattr(builtins, "__import__", guarded)
    scene = load_scene(bent_scene(tmp_path, "FULL_OPENCV", 30.0, 31.0, 16.0, 12.0, *(0.0,) * 8))
    assert [view.camera.width for view in scene.views] == [32] * 10
    assert scene.views[0].camera.fy == 31 and scene.views[0].mask is None


@pytest.mark.parametrize("params", [(0.0, 1.0, 1.0, 0.1), (30.0, 1.0, 1.0, float("nan")), (30.0, 1.0, 1.0)])
def test_impossible_lenses(params: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="x: has impossible parameters"):
        check_lens("x", Lens("SIMPLE_RADIAL", 32, 24, params))


def test_being_ended_stays_quiet_with_pycolmap() -> None:
    """Its logging library would answer SIGTERM with a stack trace."""
    pytest.importorskip("pycolmap")
    code = (
        "import os, signal\nfrom gspc.data.undistort import pycolmap_for\npycolmap_for('x')\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, b"", b"")
