"""Baking: the neural Gaussians of a decoded scene, which look different from every place, as plain ones.

What a Gaussian shows to the scene's suggested cameras is gathered, weighted by what it contributes to their
pictures, and replaced by the one opacity, shape and set of harmonics that fit best. The contribution of a
Gaussian to a picture is the sum of its blending weights over the pixels, which is the gradient of the sum of
all pixels with respect to the Gaussian's color.

Fitted one by one, Gaussians err where their opacity changes with the view. Colors can make up for most of it,
so a few rounds over the pictures then change the harmonics until the pictures agree (`sweep`).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.format.limits import MAX_MEMORY
from gspc.ops import arrays
from gspc.rendering.budget import Budget, scene_bytes
from gspc.rendering.culling import anchor_bounds, visible_anchors
from gspc.scene import F32, Camera, DecodedScene, Gaussians
from gspc.splats.drawing import draw
from gspc.splats.fitting import Fitted, Sightings, fit
from gspc.splats.splats import Splats, checked
from gspc.splats.sweep import View, match_colors

CHUNK = 1024  # anchors fitted at once: with 16 cameras and 10 offsets each 10 MB
CAMERAS = 16  # most cameras to bake for, spread over the suggested ones; 24 gain less than a further round
# Pictures of up to half the size take less work and say the same about Gaussians, as long as there are enough
# pixels to tell them apart: fox, photographed at 132x237, lost 0.46 dB when it was baked at half of that.
SHRUNK, ENOUGH = 2, 125_000  # most that pictures are reduced by, and pixels at which they are not any more
BAKED = 1000  # bytes of one Gaussian: what 16 cameras see of it, its fit twice, its place in the file
PIXEL = 12  # bytes
ROUNDS = 3  # over the pictures, to match colors

Progress = Callable[[int, int], None]  # done, all
Sight = Callable[[Camera, F32], None]  # a camera of the scene, and its picture [H, W, 3]


def bake(
    scene: DecodedScene,
    degree: int = 3,
    on_step: Progress | None = None,
    *,
    on_picture: Sight | None = None,
    max_memory: int = MAX_MEMORY,
) -> Splats:
    """Plain Gaussians that look like the scene from its suggested cameras, harmonics of `degree` (0 to 3).

    A Gaussian that is there for no camera is left out. `on_step` hears of progress, `on_picture` of each
    picture of the scene that had to be drawn in its full size. Raises InputError for a scene without cameras
    or Gaussians and where more than `max_memory` bytes are needed, BackendError without the kernels.
    """
    if not scene.cameras:
        raise InputError("suggests no cameras to bake for; compress the model again from its photographs")
    cameras = spread(scene.cameras, CAMERAS)
    rounds = ROUNDS if degree else 0  # one color for all directions is best where it was fitted
    total = (1 + rounds) * len(cameras)
    done = itertools.count(1)

    def step() -> None:
        if on_step is not None:
            on_step(next(done), total)

    budget = _budget(scene, cameras, max_memory)
    seen = _look(scene, cameras, step, budget)
    for camera, picture in zip(cameras, seen.pictures, strict=True):
        if on_picture is not None and picture.shape[:2] == (camera.height, camera.width):
            on_picture(camera, picture)
    starts = range(0, len(scene.anchors), CHUNK)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        parts = list(pool.map(lambda start: _fit_chunk(scene, cameras, seen, start, degree), starts))
    found = Fitted.joined(parts)
    if not len(found.means):
        raise InputError("holds no Gaussians that its cameras could see; nothing can be baked")
    plain = Splats(found.means, found.quats, found.log_scales, found.logits, found.sh)
    views = [
        View(_small(camera), seen.pictures[number], found.pixels[number])
        for number, camera in enumerate(cameras)
    ]
    return checked(match_colors(plain, views, scene.background, rounds, step, budget))


def _budget(scene: DecodedScene, cameras: Sequence[Camera], max_memory: int) -> Budget:
    """What is left for drawing beside the scene, its Gaussians and all pictures. Raises InputError."""
    pixels = sum(small.width * small.height for small in map(_small, cameras))
    needed = scene_bytes(scene) + BAKED * int(scene.gaussian_mask.sum()) + PIXEL * pixels
    budget = Budget(max_memory)
    budget.require(needed, "the scene as plain Gaussians")
    return budget.holding(needed)


def spread(cameras: Sequence[Camera], most: int) -> list[Camera]:
    """At most `most` of the cameras, each as far as can be from those before it, in place and direction."""
    if len(cameras) <= most:
        return list(cameras)
    centers = np.array([camera.center for camera in cameras])
    size = np.linalg.norm(centers - centers.mean(axis=0), axis=1).mean()
    gaze = np.array([camera.world_to_camera[2, :3] for camera in cameras])
    points = np.concatenate([centers / max(size, 1e-12), gaze], axis=1)
    chosen, distance = [0], np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < most:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return [cameras[number] for number in chosen]


def _small(camera: Camera) -> Camera:
    shrunk = min(max((camera.width * camera.height / ENOUGH) ** 0.5, 1.0), SHRUNK)
    return camera.resized(max(int(camera.width / shrunk), 1), max(int(camera.height / shrunk), 1))


@dataclass(frozen=True)
class _Seen:
    """What each camera sees of whom; Gaussians that are not alive at the scene's level have no column."""

    pictures: list[F32]  # V of [H, W, 3]
    pixels: F32  # [V, M] blending weights summed over pixels
    in_view: NDArray[np.bool_]  # [V, N] anchors whose Gaussians may touch the picture
    column: NDArray[np.int64]  # [N * K] of each Gaussian; that of the living one before for others


def _look(scene: DecodedScene, cameras: Sequence[Camera], step: Callable[[], None], budget: Budget) -> _Seen:
    bounds = anchor_bounds(scene)
    column = np.cumsum(scene.gaussian_mask.reshape(-1)) - 1
    pixels = np.zeros((len(cameras), int(scene.gaussian_mask.sum())), np.float32)
    in_view = np.zeros((len(cameras), len(scene.anchors)), np.bool_)
    pictures = []
    for number, camera in enumerate(map(_small, cameras)):
        in_view[number] = visible_anchors(bounds, camera)
        index, shown = _shown(scene, camera, slice(None), in_view[number])
        drawn = draw(shown, camera, scene.background, budget)
        ones = np.zeros_like(drawn.picture)
        ones[..., 0] = 1
        pixels[number, column[index]] = drawn.color_gradients(ones)[:, 0]
        pictures.append(drawn.picture)
        step()
    return _Seen(pictures, pixels, in_view, column)


def _shown(
    scene: DecodedScene, camera: Camera, rows: slice, visible: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], Gaussians]:
    """The Gaussians that these anchors show to a camera; the index counts from the first of `rows`."""
    return arrays.neural_gaussians(
        scene.features[rows],
        scene.log_scales[rows],
        scene.offsets[rows],
        scene.gaussian_mask[rows],
        scene.anchors[rows],
        camera.center,
        scene.heads,
        visible,
    )


def _fit_chunk(
    scene: DecodedScene, cameras: Sequence[Camera], seen: _Seen, start: int, degree: int
) -> Fitted:
    rows = slice(start, start + CHUNK)
    mask = scene.gaussian_mask[rows]
    columns = seen.column[start * mask.shape[1] :][: mask.size][mask.reshape(-1)]
    local = np.cumsum(mask.reshape(-1)) - 1
    anchor, offset = np.nonzero(mask)
    extent = np.exp(scene.log_scales[rows][anchor, :3])
    means = scene.anchors[rows][anchor] + scene.offsets[rows][anchor, offset] * extent
    sightings = Sightings.empty(
        means, pixels=seen.pixels[:, columns], in_view=seen.in_view[:, rows][:, anchor]
    )
    for number, camera in enumerate(cameras):
        index, shown = _shown(scene, camera, rows)
        sightings.add(number, camera.center, local[index], shown)
    kept = np.flatnonzero((sightings.opacities > 0).any(axis=0))
    return fit(sightings.take(kept), degree)
