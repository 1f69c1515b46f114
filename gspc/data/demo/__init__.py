"""The embedded scene: a stage with balls and boxes, ray traced here and written as a COLMAP directory.

No file is read: `make demo` and the tests have a scene with known cameras at any size. The same arguments
give the same bytes on the same machine (across machines a few pixels may differ by one step, as vectorized
sines do).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from gspc.data import colmap
from gspc.errors import OutputError, UsageError
from gspc.output import write_atomically, writing
from gspc.rotations import quaternion_of
from gspc.scene import F32, F64, U8, Camera

FOCAL = 230 / 240  # focal length per image width: 55 degrees across
TARGET = np.array([0.0, 0.0, 0.42])  # what all cameras look at
POINT_NOISE = 0.0015  # of the distance to the camera that saw it: a good triangulation
KEYPOINT_NOISE = 0.3  # pixels


def demo_cameras(views: int = 48, width: int = 240, height: int = 180) -> tuple[Camera, ...]:
    """Cameras on a path three and a quarter times around the stage, rising and sinking; named in order."""
    cameras = []
    for index in range(views):
        along = 2 * np.pi * index / views
        azimuth = 3.25 * along
        elevation = np.radians(36 + 14 * np.sin(5 * along + 0.6))
        distance = 3.75 + 0.3 * np.sin(2 * along)
        direction = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        pose = look_at(TARGET + distance * direction, TARGET)
        focal = FOCAL * width
        cameras.append(Camera(f"{index:03d}.png", width, height, focal, focal, width / 2, height / 2, pose))
    return tuple(cameras)


def look_at(center: F64, target: F64) -> F64:
    """World-to-camera [4, 4] of a camera at `center` that looks at `target`, upright in a world with z up."""
    forward = (target - center) / np.linalg.norm(target - center)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = right, np.cross(forward, right), forward
    pose[:3, 3] = -pose[:3, :3] @ center
    return pose


def write_demo_scene(
    directory: Path,
    *,
    views: int = 48,
    width: int = 240,
    height: int = 180,
    seed: int = 0,
    points: int = 5000,
    on_picture: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write images/*.png and sparse/0/*.bin to `directory` (made when missing), about `points` sparse points.

    `seed` draws the points and their noise; the pictures do not depend on it. `on_picture` hears how many
    pictures are drawn, and of how many. Takes about 10 s on one core at the default size. Raises UsageError
    for sizes without sense, OutputError when the disk refuses.
    """
    if views < 2 or not (16 <= width <= 4096 and 16 <= height <= 4096) or points < 1:
        raise UsageError("the demo scene needs at least 2 views of 16 to 4096 pixels a side and 1 point")
    import imageio.v3 as iio

    from gspc.data.demo import tracer

    cameras = demo_cameras(views, width, height)
    pictures = []
    for camera in cameras:
        pictures.append(tracer.render(camera))
        on_picture(len(pictures), views)
    depths = [tracer.depth(camera) for camera in cameras]
    images, sparse = _sparse_points(cameras, pictures, depths, points, np.random.default_rng(seed))
    focal = FOCAL * width
    lens = colmap.ColmapCamera(1, "PINHOLE", width, height, (focal, focal, width / 2, height / 2))
    new = not directory.exists()
    try:
        with writing(directory):
            (directory / "images").mkdir(parents=True, exist_ok=True)
        for camera, picture in zip(cameras, pictures, strict=True):
            png = iio.imwrite("<bytes>", picture, extension=".png")
            write_atomically(directory / "images" / camera.name, png)
        colmap.write_model(directory / "sparse" / "0", colmap.ColmapModel((lens,), images, sparse))
    except OutputError:
        if new:
            shutil.rmtree(directory, ignore_errors=True)
        raise


def _sparse_points(
    cameras: tuple[Camera, ...],
    pictures: list[U8],
    depths: list[F32],
    count: int,
    generator: np.random.Generator,
) -> tuple[tuple[colmap.ColmapImage, ...], colmap.ColmapPoints]:
    """Surface points, more of them where the pictures have texture, each seen by at least two cameras."""
    each = -(-2 * count // len(cameras))  # twice as many as wanted: some are seen once only
    picked = [
        _pick(camera, picture, depth, each, generator)
        for camera, picture, depth in zip(cameras, pictures, depths, strict=True)
    ]
    exact = np.concatenate(picked)
    exact = exact[generator.permutation(len(exact))]
    seen = [_project(camera, exact, depth) for camera, depth in zip(cameras, depths, strict=True)]
    kept = np.flatnonzero(np.sum([visible for _, visible in seen], axis=0) >= 2)[:count]
    visible = np.stack([visible[kept] for _, visible in seen])  # [views, points]
    exact, sightings = exact[kept], visible.sum(0)
    centers = np.stack([camera.center for camera in cameras])
    distance = np.linalg.norm(exact - centers[visible.argmax(0)], axis=1)
    noisy = exact + generator.normal(size=exact.shape) * (POINT_NOISE * distance)[:, None]

    images, entries = [], []
    colors, errors = np.zeros((len(kept), 3)), np.zeros(len(kept))
    for index, camera in enumerate(cameras):
        mine = np.flatnonzero(visible[index])
        pixels = seen[index][0][kept[mine]]
        keypoints = pixels + generator.normal(size=pixels.shape) * KEYPOINT_NOISE
        column, row = np.floor(pixels).astype(int).T
        colors[mine] += pictures[index][row, column]
        errors[mine] += np.linalg.norm(keypoints - _pixels(camera, noisy[mine])[0], axis=1)
        entries.append(np.stack([mine, np.full(len(mine), index + 1), np.arange(len(mine))], axis=1))
        images.append(_image(index + 1, camera, keypoints, mine + 1))
    track = np.concatenate(entries)
    table = colmap.ColmapPoints(
        ids=np.arange(1, len(kept) + 1, dtype=np.int64),
        positions=noisy,
        colors=np.rint(colors / sightings[:, None]).astype(np.uint8),
        errors=errors / sightings,
        track_start=np.concatenate([[0], np.cumsum(sightings)]).astype(np.int64),
        track=track[np.argsort(track[:, 0], kind="stable"), 1:].astype(np.int32),
    )
    return tuple(images), table


def _image(image_id: int, camera: Camera, keypoints: F64, point_ids: np.ndarray) -> colmap.ColmapImage:
    """A camera's row of `images`."""
    pose = camera.world_to_camera
    x, y, z = pose[:3, 3].tolist()
    quaternion = quaternion_of(pose[:3, :3])
    return colmap.ColmapImage(image_id, quaternion, (x, y, z), 1, camera.name, keypoints, point_ids)


def _pick(camera: Camera, picture: U8, depth: F32, count: int, generator: np.random.Generator) -> F64:
    """World points [count, 3] under random pixels, likelier where brightness changes."""
    gray = picture.astype(np.float64).mean(2)
    down, across = np.gradient(gray)
    weight = np.where(np.isfinite(depth) & (gray > 12), 4 + np.hypot(down, across), 0).ravel()
    if not weight.any():
        return np.zeros((0, 3))
    chosen = generator.choice(weight.size, count, p=weight / weight.sum())
    row, column = np.divmod(chosen, camera.width)
    z = depth.ravel()[chosen].astype(np.float64)
    x = (column + 0.5 - camera.cx) / camera.fx * z
    y = (row + 0.5 - camera.cy) / camera.fy * z
    local = np.stack([x, y, z], axis=1) - camera.world_to_camera[:3, 3]
    return local @ camera.world_to_camera[:3, :3]


def _pixels(camera: Camera, points: F64) -> tuple[F64, F64]:
    """Pixel coordinates [n, 2] and depths [n] of world points."""
    local = points @ camera.world_to_camera[:3, :3].T + camera.world_to_camera[:3, 3]
    z = np.maximum(local[:, 2], 1e-6)
    pixels = local[:, :2] / z[:, None] * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    return pixels, local[:, 2]


def _project(camera: Camera, points: F64, depth: F32) -> tuple[F64, np.ndarray]:
    """Pixel coordinates [n, 2] of world points and whether the camera sees them [n]: depth agrees to 1 %."""
    pixels, z = _pixels(camera, points)
    inside = (z > 0.1) & (pixels >= 0).all(1) & (pixels < (camera.width, camera.height)).all(1)
    column, row = np.where(inside, np.floor(pixels).T, 0).astype(int)
    return pixels, inside & (np.abs(depth[row, column] - z) < 0.01 * z)
