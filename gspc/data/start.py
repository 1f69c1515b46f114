"""Random points to start from, for scenes that bring none that their cameras see; in the canonical frame.

An object that stands before nothing fills a part of every picture only: where one picture shows what lies
behind the scene there is nothing along the ray, so points start inside the visual hull of all silhouettes. In
other scenes anything the cameras see may hold something: points start around what all of them look at, and
along their rays, denser where it is near.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gspc.data.backgrounds import PLAIN_BORDER, border_of
from gspc.data.frame import FEW, GRAIN, Framed, canonical, focus, working_distance
from gspc.scene import F64, U8, Camera, Frame, SceneData, View

RANDOM_POINTS = 30_000  # enough to cover a cube at a hundredth of its edge on a surface
# Half the cube's edge per distance of the cameras to what they look at: 1.3 at 4.03, the field's habit for
# Synthetic-NeRF.
CUBE_PER_DISTANCE = 1.3 / 4.03
NEAREST, FARTHEST = 0.25, 16.0  # working distances between which points start along rays
SILHOUETTES = 40  # views that carve; more take longer and hardly change the hull
CELLS = 64  # of the hull, along an edge of its cube
NEARLY = 8 / 255  # of a color's range: JPEG and resampling blur the background by as much
SIDE = 200  # pixels of a silhouette's longer side
SEEN_BY = 1 / 3  # of the cameras: what fewer see is beside the object, or before a camera
FEWEST_CELLS = 30  # of a hull; fewer are a fault of the silhouettes
ON_SURFACE = 0.5  # of the points start in the outermost cells of the hull, the others anywhere in it


def prepared(scene: SceneData, known: Frame | None = None) -> Framed:
    """The scene in its canonical frame, or in that which is `known`, with random points where it brings fewer
    than `FEW` that its training cameras see. Raises InputError for a photograph that cannot be decoded."""
    framed = canonical(scene, known)
    brought = framed.scene
    if len(brought.points) >= FEW:
        return framed
    points, colors = random_start(brought)
    points = np.round(points / GRAIN) * GRAIN
    started = replace(
        brought,
        points=np.concatenate([brought.points, points]),
        colors=np.concatenate([brought.colors, colors]),
    )
    return replace(framed, scene=started, random=len(points))


def random_start(scene: SceneData, seed: int = 0) -> tuple[F64, U8]:
    """Gray points [P, 3] with colors [P, 3] that the training cameras of a scene in its canonical frame see;
    the same for the same cameras, pictures and seed."""
    generator = np.random.default_rng(seed)
    cameras = [view.camera for view in scene.train]
    points = _in_hull(scene, generator)
    if points is None:
        half = RANDOM_POINTS // 2
        points = np.concatenate(
            [_in_cube(cameras, half, generator), along_rays(cameras, RANDOM_POINTS - half, generator)]
        )
    return points, generator.integers(96, 160, (len(points), 3), dtype=np.uint8)


def _in_cube(cameras: Sequence[Camera], count: int, generator: np.random.Generator) -> F64:
    middle = focus(cameras)
    half = CUBE_PER_DISTANCE * working_distance(middle, cameras)
    return middle + half * generator.uniform(-1, 1, (count, 3))


def along_rays(cameras: Sequence[Camera], count: int, generator: np.random.Generator) -> F64:  # [count, 3]
    """Points along random pixels' rays, uniform in inverse depth."""
    depth = 1 / generator.uniform(1 / FARTHEST, 1 / NEAREST, count)
    chosen = generator.integers(len(cameras), size=count)
    place = generator.uniform(0, 1, (count, 2))
    result = np.empty((count, 3))
    for index, camera in enumerate(cameras):
        mine = chosen == index
        x = (place[mine, 0] * camera.width - camera.cx) / camera.fx
        y = (place[mine, 1] * camera.height - camera.cy) / camera.fy
        local = np.stack([x, y, np.ones_like(x)], axis=1) * depth[mine, None]
        result[mine] = camera.center + local @ camera.world_to_camera[:3, :3]
    return result


def _in_hull(scene: SceneData, generator: np.random.Generator) -> F64 | None:  # [RANDOM_POINTS, 3]
    """Points in the visual hull of an object; None where the pictures show none before nothing."""
    views = scene.train[:: max(1, len(scene.train) // SILHOUETTES)][:SILHOUETTES]
    found = [(view.camera, silhouette(view, scene.background)) for view in views]
    seen = [(camera, shape) for camera, shape in found if shape is not None]
    if len(seen) < 2 or len(seen) < 0.9 * len(found):
        return None
    cameras = [camera for camera, _ in seen]
    middle = focus(cameras)
    widest = max(max(c.width / c.fx, c.height / c.fy) for c in cameras) / 2
    half = widest * working_distance(middle, cameras)
    axis = (np.arange(CELLS) + 0.5) / CELLS * 2 - 1
    centers = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    full = _hull(middle + half * centers, seen).reshape(CELLS, CELLS, CELLS)
    if full.sum() < FEWEST_CELLS:
        return None
    outer = np.flatnonzero(full & ~_eroded(full))
    on_surface = round(ON_SURFACE * RANDOM_POINTS)
    cells = np.concatenate(
        [
            generator.choice(outer, on_surface),
            generator.choice(np.flatnonzero(full), RANDOM_POINTS - on_surface),
        ]
    )
    jitter = generator.uniform(-1, 1, (RANDOM_POINTS, 3)) / CELLS
    return middle + half * (centers[cells] + jitter)


def _hull(
    points: F64, seen: Sequence[tuple[Camera, NDArray[np.bool_]]]
) -> NDArray[np.bool_]:  # [P, 3] -> [P]
    """Points that many cameras see and all that see them have in their silhouette."""
    inside = np.ones(len(points), np.bool_)
    times = np.zeros(len(points), np.int64)
    for camera, shape in seen:
        left = np.flatnonzero(inside)
        local = (points[left] - camera.center) @ camera.world_to_camera[:3, :3].T
        with np.errstate(divide="ignore", invalid="ignore"):
            x = (local[:, 0] / local[:, 2] * camera.fx + camera.cx) / camera.width
            y = (local[:, 1] / local[:, 2] * camera.fy + camera.cy) / camera.height
        visible = (local[:, 2] > 0) & (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
        rows, columns = (y[visible] * shape.shape[0]).astype(int), (x[visible] * shape.shape[1]).astype(int)
        times[left[visible]] += 1
        inside[left[visible]] = shape[rows, columns]
    return inside & (times >= max(2, SEEN_BY * len(seen)))


def _eroded(full: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells [n, n, n] whose six neighbors are all full."""
    padded = np.pad(full, 1)
    inner = full.copy()
    for axis in range(3):
        for step in (-1, 1):
            inner &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return inner


def silhouette(view: View, background: tuple[float, float, float]) -> NDArray[np.bool_] | None:
    """Where a picture may show something, [H, W] at most `SIDE` pixels long and a pixel wider than it is;
    None where it does not end in the background.

    By its alpha, or by what differs from the background's color and is not enclosed: a highlight as bright as
    a white background is no hole.
    """
    from scipy import ndimage

    if view.alpha is not None:
        something = view.alpha() > 0
    else:
        apart = np.abs(view.load().astype(np.float32) / 255 - np.array(background, np.float32))
        something = apart.max(axis=2) > NEARLY
    if border_of(something).mean() > 1 - PLAIN_BORDER:
        return None
    something = ndimage.binary_fill_holes(something)
    step = -(-max(something.shape) // SIDE)
    height, width = -(-something.shape[0] // step), -(-something.shape[1] // step)
    padded = np.pad(
        something, ((0, height * step - something.shape[0]), (0, width * step - something.shape[1]))
    )
    small = padded.reshape(height, step, width, step).any(axis=(1, 3))
    return ndimage.binary_dilation(small, iterations=1)
