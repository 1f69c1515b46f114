"""End to end: decoded scenes to pictures and files, against values worked out by hand."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rendering_scenes import camera, look_at, one_gaussian_scene, random_scene

from gspc.errors import BackendError, InputError, OutputError
from gspc.rendering import Renderer, render_view, write_frames, write_scene
from gspc.rendering import render as render_module
from gspc.scene import Camera, DecodedScene


def expected_blob(
    view: Camera, u: float, v: float, variance: float, opacity: float, color, background
) -> np.ndarray:
    """One round Gaussian over a background: alpha = min(o exp(-d^2 / 2 s), 0.999), nothing under 1/255."""
    image = np.empty((view.height, view.width, 3))
    for i in range(view.height):
        for j in range(view.width):
            distance = (j + 0.5 - u) ** 2 + (i + 0.5 - v) ** 2
            alpha = min(opacity * math.exp(-distance / (2 * variance)), 0.999)
            alpha = 0.0 if alpha < 1 / 255 else alpha
            image[i, j] = alpha * np.array(color) + (1 - alpha) * np.array(background)
    return image


def test_one_gaussian_in_the_middle() -> None:
    """Focal 10, depth 2, sigma 0.2: 1 px on screen; with the blur a variance of 1.3, centered on pixel (3,
    4).
    """
    color, background = (0.9, 0.5, 0.25), (0.1, 0.2, 0.3)
    image = render_view(one_gaussian_scene(color=color, background=background), camera())
    assert image.shape == (7, 9, 3) and image.dtype == np.float32
    # The center has alpha 0.8, its neighbor 0.8 exp(-1 / 2.6) = 0.544570.
    np.testing.assert_allclose(image[3, 4], [0.74, 0.44, 0.26], atol=1e-5)
    np.testing.assert_allclose(image[3, 5], [0.535656, 0.363371, 0.272771], atol=1e-5)
    expected = expected_blob(camera(), 4.5, 3.5, 1.3, 0.8, color, background)
    np.testing.assert_allclose(image, expected, atol=1e-5)
    # The corner is 5 px away: 0.8 exp(-25 / 2.6) is far below 1/255, so it shows exactly the background.
    assert np.array_equal(image[0, 0], np.float32(background))


@pytest.mark.parametrize("width", [9, 33])
def test_one_gaussian_off_center_and_resized(width: int) -> None:
    view = dataclasses.replace(camera(width=width, height=20, focal=30.0), cx=width / 2 - 1.25, cy=8.5)
    scene = one_gaussian_scene((0.0, 0.0, 3.0), sigma=0.15, opacity=0.999999)
    expected = expected_blob(view, view.cx, 8.5, 1.5**2 + 0.3, 0.999999, (0.9, 0.5, 0.25), (0.1, 0.2, 0.3))
    np.testing.assert_allclose(render_view(scene, view), expected, atol=1e-5)


def test_a_moved_camera_sees_the_same() -> None:
    """Camera and anchor moved together give the same picture; the Gaussian is round, so turning does not show
    either.
    """
    still = render_view(one_gaussian_scene(), camera())
    position, target = np.array([1.0, -2.0, 3.0]), np.array([4.0, 1.0, 1.0])
    view = look_at("moved", position, target, 9, 7, 10.0)
    anchor = position + 2 * (target - position) / np.linalg.norm(target - position)
    np.testing.assert_allclose(render_view(one_gaussian_scene(tuple(anchor)), view), still, atol=2e-5)


def test_nearer_gaussians_cover_farther_ones() -> None:
    front, back = one_gaussian_scene((0, 0, 2), opacity=0.9), one_gaussian_scene((0, 0, 4), sigma=0.4)
    stack = {
        key: np.concatenate([getattr(back, key), getattr(front, key)])
        for key in ("anchors", "features", "log_scales", "offsets", "gaussian_mask")
    }
    # One head, so both have the same color and opacity.
    both = render_view(dataclasses.replace(front, **stack), camera())
    alpha = 1 - 0.1 * 0.1
    expected = alpha * np.array([0.9, 0.5, 0.25]) + (1 - alpha) * np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(both[3, 4], expected, atol=1e-5)


def test_an_empty_scene_is_background() -> None:
    scene = random_scene(0)
    assert np.array_equal(render_view(scene, scene.cameras[0]), np.ones((36, 48, 3), np.float32))


def test_culling_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = random_scene(300)
    view = look_at("near", (0.5, 0.2, -0.4), (0, 0, 0), 60, 40, 70.0)
    culled = render_view(scene, view)
    everything = np.ones(len(scene.anchors), bool)
    monkeypatch.setattr(render_module, "visible_anchors", lambda bounds, camera: everything)
    np.testing.assert_allclose(render_view(scene, view), culled, atol=1e-6)


def hostile_scene() -> DecodedScene:
    scene = random_scene(30)
    scene.log_scales[0] = 500.0  # exp overflows
    scene.log_scales[1, :3] = 88.0
    scene.log_scales[2] = -1000.0
    scene.offsets[3] = 3e38
    scene.anchors[4] = scene.cameras[0].center  # at distance 0
    scene.anchors[5] = [3e38, -3e38, 3e38]
    scene.features[6] = 3e38
    return scene


@pytest.mark.filterwarnings("error")
def test_hostile_numbers_give_a_finite_picture() -> None:
    scene = hostile_scene()
    for view in scene.cameras:
        assert np.isfinite(render_view(scene, view)).all()


def test_too_large_pictures_are_refused() -> None:
    scene = one_gaussian_scene()
    with pytest.raises(InputError, match=r"camera 'front\.png': 16384 x 16384 pixels are too many to draw"):
        render_view(scene, camera(width=16384, height=16384))
    with pytest.raises(InputError, match=r"camera 'front\.png': 16385 x 1 pixels are too many to draw"):
        render_view(scene, camera(width=16385, height=1))


@pytest.mark.parametrize("changes", [{"fx": -5.0}, {"fx": 1e300}, {"cx": float("nan")}, {"width": 0}])
def test_cameras_that_are_none_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InputError, match=r"camera 'front\.png': its "):
        render_view(one_gaussian_scene(), dataclasses.replace(camera(), **changes))


def test_a_device_that_is_not_there() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(BackendError, match="torch sees no CUDA device"):
        render_view(one_gaussian_scene(), camera(), backend="cuda")


def test_frames_on_disk(tmp_path: Path) -> None:
    scene = random_scene(40, cameras=5)
    heard: list[Path] = []
    paths = write_frames(scene, scene.cameras, tmp_path / "renders", on_frame=heard.append)
    assert [path.name for path in paths] == [f"view_{i:02d}.png" for i in range(5)]
    assert tuple(heard) == paths
    assert sorted((tmp_path / "renders").iterdir()) == sorted(paths)
    image = pytest.importorskip("PIL.Image")
    for path, view in zip(paths, scene.cameras, strict=True):
        picture = np.asarray(image.open(path)).astype(np.float32) / 255
        np.testing.assert_allclose(picture, np.clip(render_view(scene, view), 0, 1), atol=0.5001 / 255)
    before = paths[4].stat().st_mtime_ns
    paths[0].unlink()
    with pytest.raises(OutputError, match=r"view_01.png: exists already; add -f to overwrite it"):
        write_frames(scene, scene.cameras, tmp_path / "renders")
    assert not paths[0].exists() and paths[4].stat().st_mtime_ns == before
    write_frames(scene, scene.cameras, tmp_path / "renders", overwrite=True)
    assert paths[0].exists() and paths[4].stat().st_mtime_ns > before


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    (tmp_path / "renders").write_text("in the way")
    with pytest.raises(OutputError, match="renders: is a file where a directory should be"):
        write_frames(random_scene(1), random_scene(1).cameras, tmp_path / "renders")


def test_failures_while_writing_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = random_scene(3, cameras=4)

    def broken(path: Path, image: np.ndarray) -> None:
        raise OutputError(f"{path}: cannot be written: disk full")

    monkeypatch.setattr("gspc.rendering.frames.write_png", broken)
    with pytest.raises(OutputError, match="disk full"):
        write_frames(scene, scene.cameras, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_rendering_from_bytes_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "scene.safetensors").write_bytes(write_scene(random_scene(20)))
    code = (
        "import sys; from pathlib import Path; import gspc.rendering.render; from gspc.rendering import *;"
        f"d = Path({str(tmp_path)!r}); s = read_scene((d / 'scene.safetensors').read_bytes());"
        "paths = write_frames(s, s.cameras, d / 'out');"
        "assert len(paths) == 2 and paths[0].stat().st_size > 100;"
        "assert not {'torch', 'gsplat', 'PIL', 'imageio', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_renderer_is_kept_for_many_views() -> None:
    scene = random_scene(40)
    renderer = Renderer(scene)
    for view in scene.cameras:
        assert np.array_equal(renderer.render(view), render_view(scene, view))
