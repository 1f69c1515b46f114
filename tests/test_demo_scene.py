"""The embedded scene: what it promises, that its parts agree, and that its pictures are worth learning."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import numpy as np
import pytest

from gspc.data import colmap, load_scene
from gspc.data.colmap import binary as colmap_binary
from gspc.data.demo import demo_cameras, tracer, write_demo_scene
from gspc.errors import OutputError, UsageError
from gspc.scene import SceneData


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SceneData]:
    folder = tmp_path_factory.mktemp("demo")
    write_demo_scene(folder, views=16, width=96, height=72, points=800)
    return folder, load_scene(folder)


def test_forty_eight_views_hold_out_six(tmp_path: Path) -> None:
    write_demo_scene(tmp_path, width=16, height=16, points=50)
    data = load_scene(tmp_path)
    assert (len(data.train), len(data.test)) == (42, 6)
    assert sorted(path.name for path in (tmp_path / "sparse" / "0").iterdir()) == [
        "cameras.bin",
        "images.bin",
        "points3D.bin",
    ]


def test_points_lie_on_what_is_pictured(scene: tuple[Path, SceneData]) -> None:
    """Every key point is near its point's projection, and the pictures have the points' colors there."""
    folder, data = scene
    model = colmap.read_model(folder / "sparse" / "0")
    assert len(model.points) == 800
    assert (np.diff(model.points.track_start) >= 2).all()
    assert model.points.errors.max() < 8 and model.points.errors.mean() < 1
    views = {view.camera.name: view for view in data.views}
    for image in model.images:
        view = views[image.name]
        camera, points = view.camera, model.points.positions[image.point_ids - 1]
        local = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
        assert (local[:, 2] > 0.5).all()
        pixels = local[:, :2] / local[:, 2:] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
        assert np.median(np.linalg.norm(pixels - image.keypoints, axis=1)) < 0.8
        inside = ((image.keypoints >= 0) & (image.keypoints < (camera.width, camera.height))).all(1)
        column, row = np.floor(image.keypoints[inside]).astype(int).T
        difference = view.load()[row, column].astype(float) - model.points.colors[image.point_ids - 1][inside]
        assert np.abs(difference).mean() < 20
    assert np.array_equal(data.colors, model.points.colors)


def test_tracks_and_key_points_agree(scene: tuple[Path, SceneData]) -> None:
    model = colmap.read_model(scene[0] / "sparse" / "0")
    points = np.repeat(model.points.ids, np.diff(model.points.track_start))
    images = {image.image_id: image for image in model.images}
    for point, (image_id, keypoint) in zip(points[::7], model.points.track[::7], strict=True):
        assert images[int(image_id)].point_ids[keypoint] == point


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_demo_scene(tmp_path / name, views=3, width=32, height=24, seed=seed, points=60)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 6
    for file in files:
        same = (tmp_path / "a" / file).read_bytes()
        assert same == (tmp_path / "b" / file).read_bytes()
        if file.name == "points3D.bin":
            assert same != (tmp_path / "c" / file).read_bytes()
        if file.suffix == ".png":
            assert same == (tmp_path / "c" / file).read_bytes()


def test_held_out_views_have_neighbors() -> None:
    """No held-out view is an extrapolation: two training cameras stand within a third of its distance."""
    cameras = demo_cameras()
    centers = np.array([camera.center for camera in cameras])
    assert len({tuple(center) for center in centers}) == 48
    for index in range(0, 48, 8):
        others = np.delete(centers, np.s_[::8], axis=0)
        distances = np.sort(np.linalg.norm(others - centers[index], axis=1))
        assert distances[1] < 0.55 * np.linalg.norm(centers[index])


def test_pictures_have_texture_and_range(scene: tuple[Path, SceneData]) -> None:
    for view in scene[1].views:
        pixels = view.load().astype(float)
        gray = pixels.mean(2)
        assert gray.std() > 35  # not flat
        assert (pixels == 255).mean() < 0.03  # hardly anything is blown out
        assert (gray < 2).mean() < 0.35  # the stage fills most of the picture
        down, across = np.gradient(gray)
        assert np.hypot(down, across).mean() > 4


def test_tracer_against_closed_forms() -> None:
    """A ray straight down from above each shape's middle meets its top; a miss stays a miss."""
    for number, shape in enumerate(tracer.WORLD, start=1):
        x, y, z = shape.center
        top = z + (shape.radius if isinstance(shape, tracer.Sphere) else shape.half[2])
        distance, hit = tracer.trace(np.array([x, y, 9], np.float32), np.array([[0], [0], [-1]], np.float32))
        if number != 6:  # the crate carries the pearl
            assert hit[0] == number
            assert distance[0] == pytest.approx(9 - top, abs=1e-5)
        assert z - (top - z) >= -1e-6  # nothing sinks into the floor
    far = np.array([3.5, 0, 2], np.float32)
    distance, hit = tracer.trace(far, np.array([[0.0, 0.0], [0.0, 0.6], [-1.0, 0.8]], np.float32))
    assert hit.tolist() == [tracer.FLOOR, tracer.NONE]
    assert distance[0] == pytest.approx(2) and np.isinf(distance[1])


def test_rays_pass_through_pixel_centers() -> None:
    camera = demo_cameras(4, 8, 6)[1]
    directions = tracer.rays(camera, 1).reshape(3, 6, 8)
    local = camera.world_to_camera[:3, :3] @ directions[:, 2, 5]
    np.testing.assert_allclose(
        local[:2] / local[2] * camera.fx + (camera.cx, camera.cy), [5.5, 2.5], rtol=1e-5
    )
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1, rtol=1e-6)


@pytest.mark.parametrize("options", [{"views": 1}, {"width": 8}, {"height": 5000}, {"points": 0}])
def test_sizes_without_sense(tmp_path: Path, options: dict) -> None:
    with pytest.raises(UsageError, match="the demo scene needs"):
        write_demo_scene(tmp_path, **options)


def test_refused_by_the_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: a part of the path is not a directory"):
        write_demo_scene(tmp_path / "file", views=2, width=16, height=16, points=20)


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(colmap_binary, "write_points", full)
    with pytest.raises(OutputError, match="sparse/0: no space left on the device; free some"):
        write_demo_scene(tmp_path / "new", views=2, width=16, height=16, points=20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_full_size_takes_seconds(tmp_path: Path) -> None:
    start = time.process_time()
    write_demo_scene(tmp_path)
    assert time.process_time() - start < 30
    assert len(load_scene(tmp_path).points) == 5000
