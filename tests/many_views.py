"""A scene of many views that is quick to write, and the peak memory of a fit of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from gspc.data import colmap
from gspc.data.demo import demo_cameras
from gspc.rotations import quaternion_of
from gspc.scene import Camera

ENLARGED = 4  # pictures are computed at a quarter of their size


def floor_color(points: np.ndarray) -> np.ndarray:
    """Colors [n, 3] of points [n, 3] of the floor: tiles of changing hue, 8 bits."""
    tile = np.floor(points[:, :2] * 2).astype(int)
    shade = 0.55 + 0.45 * ((tile.sum(1) % 2) * 2 - 1)[:, None] * (0.4, 0.5, 0.6)
    return np.rint(255 * np.clip(shade * (0.6 + 0.4 * np.sin(tile[:, :1] + (0, 2, 4))), 0, 1)).astype(
        np.uint8
    )


def picture(camera: Camera) -> np.ndarray:
    """The floor under a dark sky."""
    small = camera.resized(-(-camera.width // ENLARGED), -(-camera.height // ENLARGED))
    x, y = np.meshgrid(np.arange(small.width) + 0.5, np.arange(small.height) + 0.5)
    rays = np.stack([(x - small.cx) / small.fx, (y - small.cy) / small.fy, np.ones_like(x)], -1).reshape(
        -1, 3
    )
    rays = rays @ small.world_to_camera[:3, :3]
    down = np.maximum(-rays[:, 2], 1e-9)
    hit = small.center + rays * (small.center[2] / down)[:, None]
    near = (rays[:, 2] < 0) & (np.abs(hit[:, :2]) < 4).all(1)
    colors = np.where(near[:, None], floor_color(np.where(near[:, None], hit, 0)), 20).astype(np.uint8)
    large = colors.reshape(small.height, small.width, 3).repeat(ENLARGED, 0).repeat(ENLARGED, 1)
    return large[: camera.height, : camera.width]


def write_scene(folder: Path, views: int, width: int, height: int, points: int) -> None:
    """A COLMAP directory with photographs as JPEG files."""
    (folder / "images").mkdir(parents=True)
    images = []
    for number, camera in enumerate(demo_cameras(views, width, height)):
        name = f"{number:04d}.jpg"
        iio.imwrite(folder / "images" / name, picture(camera), quality=90)
        pose = camera.world_to_camera
        place = tuple(pose[:3, 3].tolist())
        none = np.zeros((0, 2)), np.zeros(0, np.int64)
        images.append(colmap.ColmapImage(number + 1, quaternion_of(pose[:3, :3]), place, 1, name, *none))
    lens = colmap.ColmapCamera(1, "PINHOLE", width, height, (camera.fx, camera.fy, camera.cx, camera.cy))
    positions = np.random.default_rng(0).uniform(-2, 2, (points, 3)) * (1, 1, 0)
    table = colmap.without_tracks(positions, floor_color(positions))
    colmap.write_model(folder / "sparse" / "0", colmap.ColmapModel((lens,), tuple(images), table))


def fit_peak_bytes(folder: Path, iterations: int, image_cache: float) -> int:
    """Peak resident memory of `gspc fit`, a process of its own that keeps `image_cache` gigabytes of decoded
    photographs."""
    command = [sys.executable, "-m", "gspc", "fit", str(folder), "-o", str(folder / "model.pt"), "-f"]
    command += ["--iterations", str(iterations), "--image-cache", str(image_cache), "--levels", "2"]
    command += ["--hold", "0", "--checkpoint-every", "0", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    messages = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"gspc fit exited with {process.returncode}: {messages[-2000:]}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
