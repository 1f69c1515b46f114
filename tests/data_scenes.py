"""Small scenes made on the fly for the tests of gspc.data, and where the real ones lie."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import plyfile
import pytest
from numpy.lib import recfunctions as rfn

from gspc.data import colmap
from gspc.data.demo import demo_cameras
from gspc.rotations import quaternion_of

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
HOSTILE = SHARED.parent / "cases" / "hostile"  # files that once cost a reader memory, time or its manners


def real_scene(name: str) -> Path:
    """Folder of a real scene; skips the test where the data is not at hand."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"no real scene {name} at {SHARED}")
    return SHARED / name


def tiny_model(views: int = 10, width: int = 32, height: int = 24, points: int = 7) -> colmap.ColmapModel:
    """A sound model with key points, tracks of different lengths (one empty) and names in folders."""
    generator = np.random.default_rng(5)
    lens = (
        colmap.ColmapCamera(3, "PINHOLE", width, height, (30.5, 31.25, 16.5, 11.75)),
        colmap.ColmapCamera(9, "SIMPLE_PINHOLE", width, height, (29.0, 16.0, 12.0)),
    )
    images = []
    for index, camera in enumerate(demo_cameras(views, width, height)):
        count = index % 3
        images.append(
            colmap.ColmapImage(
                index + 1,
                quaternion_of(camera.world_to_camera[:3, :3]),
                tuple(camera.world_to_camera[:3, 3].tolist()),
                lens[index % 2].camera_id,
                f"part {index % 2}/{index:03d}.png",
                generator.uniform(0, 20, (count, 2)),
                np.arange(count, dtype=np.int64) - 1,
            )
        )
    lengths = np.arange(points) % 4
    cloud = colmap.ColmapPoints(
        ids=np.arange(points, dtype=np.int64) * 5 + 1,
        positions=generator.normal(size=(points, 3)),
        colors=generator.integers(0, 256, (points, 3), dtype=np.uint8),
        errors=generator.uniform(0, 1, points),
        track_start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        track=generator.integers(0, 9, (lengths.sum(), 2), dtype=np.int32),
    )
    return colmap.ColmapModel(lens, tuple(images), cloud)


def picture(index: int, width: int, height: int) -> np.ndarray:
    """Pixels that tell views apart and have content at every pixel."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 7 + index, y * 9, (x + y) * 3 + 5 * index], axis=2).astype(np.uint8)


def write_scene(
    folder: Path, *, text: bool = False, where: str = "sparse/0", scale: int = 1, **model: int
) -> Path:
    """A whole tiny scene with pictures `scale` times the cameras' size."""
    content = tiny_model(**model)
    colmap.write_model(folder / where, content, text=text)
    for index, image in enumerate(content.images):
        path = folder / "images" / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        lens = content.cameras[index % 2]
        iio.imwrite(path, picture(index, lens.width * scale, lens.height * scale))
    return folder


def same_model(a: colmap.ColmapModel, b: colmap.ColmapModel) -> None:
    """Assert that two models are equal to the bit."""
    assert a.cameras == b.cameras
    assert len(a.images) == len(b.images)
    for left, right in zip(a.images, b.images, strict=True):
        for name in ("image_id", "quaternion", "translation", "camera_id", "name"):
            assert getattr(left, name) == getattr(right, name)
        np.testing.assert_array_equal(left.keypoints, right.keypoints)
        np.testing.assert_array_equal(left.point_ids, right.point_ids)
    for name in ("ids", "positions", "colors", "errors", "track_start", "track"):
        left, right = getattr(a.points, name), getattr(b.points, name)
        assert left.dtype == right.dtype, name
        np.testing.assert_array_equal(left, right)


def write_transforms(
    folder: Path, part: str = "", count: int = 4, size: int = 16, alpha: bool = False, **extra: object
) -> Path:
    """A Blender scene of `count` frames on a circle, looking at the origin; returns its JSON file."""
    name = part or "images"
    (folder / name).mkdir(parents=True, exist_ok=True)
    frames = []
    for index in range(count):
        angle = 2 * np.pi * index / count
        back = np.array([np.cos(angle), np.sin(angle), 0.0])  # the camera's +z points away from the origin
        right = np.array([-np.sin(angle), np.cos(angle), 0.0])
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
        matrix[:3, 3] = 4 * back
        frames.append({"file_path": f"./{name}/r_{index}", "transform_matrix": matrix.tolist()})
        pixels = picture(index, size, size)
        if alpha:
            pixels = np.concatenate([pixels, np.full((size, size, 1), 51, np.uint8)], axis=2)
        iio.imwrite(folder / name / f"r_{index}.png", pixels)
    path = folder / (f"transforms_{part}.json" if part else "transforms.json")
    path.write_text(json.dumps({"camera_angle_x": 0.9, "frames": frames, **extra}))
    return path


def write_cloud(path: Path, positions: np.ndarray, colors: np.ndarray) -> None:
    """Binary PLY with float positions [N, 3] and uchar colors [N, 3]."""
    kinds = [(axis, "<f4") for axis in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")]
    vertex = rfn.unstructured_to_structured(np.hstack([positions, colors]), np.dtype(kinds))
    plyfile.PlyData([plyfile.PlyElement.describe(vertex, "vertex")], byte_order="<").write(str(path))
