"""Photographs of bent lenses as pinhole pictures: which pinhole, and where its pixels come from.

COLMAP's camera models are computed by pycolmap, which is imported here only and only when a lens needs it.
Pixels are sampled from a copy of the photograph that is not much larger than what is asked for, with two
samples per pixel and axis where it is reduced, so that no detail aliases.
"""

from __future__ import annotations

import math
import signal
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.choices import LensField
from gspc.data.images import reduce_image
from gspc.data.lens import PANORAMA, Lens
from gspc.errors import BackendError
from gspc.scene import F64, U8

WIDEST = math.tan(
    math.radians(60)
)  # of a pinhole picture to each side; farther out a plane only stretches pixels
BORDER = 64  # samples along each border of a photograph
BLOCK = 1 << 18  # pixels mapped at a time, which bounds memory

# Where the six faces of a panorama look: name and camera-to-face rotation.
FACES: tuple[tuple[str, tuple[tuple[float, ...], ...]], ...] = (
    ("front", ((1, 0, 0), (0, 1, 0), (0, 0, 1))),
    ("right", ((0, 0, -1), (0, 1, 0), (1, 0, 0))),
    ("back", ((-1, 0, 0), (0, 1, 0), (0, 0, -1))),
    ("left", ((0, 0, 1), (0, 1, 0), (-1, 0, 0))),
    ("up", ((1, 0, 0), (0, 0, 1), (0, -1, 0))),
    ("down", ((1, 0, 0), (0, 0, -1), (0, 1, 0))),
)


@dataclass(frozen=True)
class Plane:
    """A pinhole picture that a lens is straightened to, in pixels of the lens's own size.

    `face` names the side of a panorama, `rotation` turns camera directions into the picture's.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    cut: bool = False  # whether some of the lens's field lies outside
    face: str = ""
    rotation: tuple[tuple[float, ...], ...] = FACES[0][1]


def planes_of(lens: Lens, field: LensField) -> tuple[Plane, ...]:
    """The pictures that a lens is straightened to: one, or the six faces of a panorama.

    "full" keeps all that the photograph shows, up to 120 degrees across, with a blank border where the lens
    saw nothing; "crop" is the largest rectangle without one. Focal lengths stay, so the middle keeps its
    resolution. Raises BackendError where pycolmap is missing.
    """
    if lens.model == PANORAMA:
        side = max(1, round(lens.width / 4))
        half = side / 2
        return tuple(Plane(side, side, half, half, half, half, False, name, turn) for name, turn in FACES)
    return (_plane(lens, field),)


def pycolmap_for(what: str) -> Any:
    """The module pycolmap; BackendError names the extra that brings it."""
    try:
        import pycolmap
    except ImportError:
        raise BackendError(f"{what} needs pycolmap; pip install 'gspc[colmap]'") from None
    # Its logging library answers SIGTERM with a stack trace; a process that is ended should just end.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)
    return pycolmap


@lru_cache(maxsize=64)
def _model(lens: Lens) -> Any:
    """pycolmap's camera of a lens."""
    module = pycolmap_for(f"straightening photographs of a {lens.model} camera")
    return module.Camera(model=lens.model, width=lens.width, height=lens.height, params=list(lens.params))


@lru_cache(maxsize=64)
def _plane(lens: Lens, field: LensField) -> Plane:
    sides = [_on_plane(lens, border) for border in _borders(lens)]
    everything = np.concatenate([*(side for side, _ in sides), _on_plane(lens, _inner(lens))[0]])
    cut = any(beyond for _, beyond in sides)
    low, high = everything.min(0), everything.max(0)
    if field == "crop":
        left, right, top, bottom = (side for side, _ in sides)
        inner_low = np.array([left[:, 0].max(), top[:, 1].max()])
        inner_high = np.array([right[:, 0].min(), bottom[:, 1].min()])
        if (inner_high - inner_low > 0.2 * (high - low)).all():
            low, high, cut = inner_low, inner_high, True
    fx, fy = lens.focals
    # Inward to whole pixels when cropping, outward when keeping everything.
    whole = math.floor if field == "crop" else math.ceil
    width, height = (max(1, whole(round(v, 6))) for v in (fx * (high[0] - low[0]), fy * (high[1] - low[1])))
    return Plane(width, height, fx, fy, -fx * float(low[0]), -fy * float(low[1]), cut)


def _borders(lens: Lens) -> tuple[F64, F64, F64, F64]:
    """Points [BORDER, 2] in pixels along the left, right, top and bottom edge of the photograph."""
    along = np.linspace(0, 1, BORDER)
    none, w, h = np.zeros(BORDER), float(lens.width), float(lens.height)
    return (
        np.stack([none, along * h], 1),
        np.stack([none + w, along * h], 1),
        np.stack([along * w, none], 1),
        np.stack([along * w, none + h], 1),
    )


def _inner(lens: Lens) -> F64:
    """Points across the photograph: the edge of a wide fisheye's field lies inside it."""
    x, y = np.meshgrid(np.linspace(0, lens.width, 33), np.linspace(0, lens.height, 33))
    return np.stack([x.ravel(), y.ravel()], 1)


def _on_plane(lens: Lens, pixels: F64) -> tuple[F64, bool]:
    """Where pixels [n, 2] meet the plane at depth 1, and whether some were farther out than WIDEST and pulled
    in."""
    rays = np.asarray(_model(lens).cam_ray_from_img(pixels), np.float64)
    rays = rays[np.isfinite(rays).all(1)]
    across = np.hypot(rays[:, 0], rays[:, 1])
    depth = rays[:, 2]
    beyond = across > WIDEST * np.maximum(depth, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = rays[:, :2] / depth[:, None]
        pulled = rays[:, :2] / across[:, None] * WIDEST
    return np.where(beyond[:, None], pulled, inside), bool(beyond.any())


@dataclass(frozen=True)
class Straightener:
    """Makes a pinhole picture of width x height from a photograph of a lens; `plane` is at the lens's
    size."""

    lens: Lens
    plane: Plane
    width: int
    height: int

    def __call__(self, pixels: U8) -> U8:
        """Pixels [height, width, C] from those of the photograph [H, W, C], at any scale of the lens's size.

        What the lens did not see repeats the nearest pixel of the border; `valid` tells where that is.
        """
        scale = pixels.shape[1] / self.lens.width * self.plane.width / self.width  # photograph per result
        samples = 1 if scale < 1.5 else 2
        wanted = max(1.0, scale / samples)
        small = reduce_image(
            pixels, max(1, round(pixels.shape[1] / wanted)), max(1, round(pixels.shape[0] / wanted))
        )
        place = _places(self.lens, self.plane, self.width * samples, self.height * samples)
        # What is averaged afterwards needs no sharper samples.
        taps = 4 if samples == 1 else 2
        return reduce_image(_sample(small, place, self.lens, taps), self.width, self.height)

    def valid(self) -> NDArray[np.bool_]:
        """[height, width], read-only: where the lens saw something, and saw it once."""
        return _valid(self)

    def covered(self) -> bool:
        """Whether the lens saw all of the picture."""
        return self.lens.model == PANORAMA or _covered(self)


@lru_cache(maxsize=1024)
def _covered(straight: Straightener) -> bool:
    return bool(straight.valid().all())


@lru_cache(maxsize=4)
def _valid(straight: Straightener) -> NDArray[np.bool_]:
    lens = straight.lens
    place = _places(lens, straight.plane, straight.width, straight.height)
    with np.errstate(invalid="ignore"):
        inside = (place >= 0).all(2) & (place[..., 0] <= lens.width) & (place[..., 1] <= lens.height)
        # Far outside its field a polynomial folds back into the picture, mirrored.
        if min(place.shape[:2]) > 1 and lens.model != PANORAMA:
            down, across = (np.asarray(np.gradient(place, axis=axis)) for axis in (0, 1))
            inside &= across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0] > 0
    inside.flags.writeable = False
    return inside


@lru_cache(maxsize=2)  # the maps of the two sizes in use; 8 bytes per pixel
def _places(lens: Lens, plane: Plane, width: int, height: int) -> NDArray[np.float32]:
    """Where the pixels of a picture lie in the photograph, in pixels of the lens's size: [height, width,
    2]."""
    camera, turn = _model(lens), np.array(plane.rotation, np.float64)
    x = ((np.arange(width) + 0.5) * plane.width / width - plane.cx) / plane.fx
    y = ((np.arange(height) + 0.5) * plane.height / height - plane.cy) / plane.fy
    result = np.empty((height, width, 2), np.float32)
    rows = max(1, BLOCK // width)
    for start in range(0, height, rows):
        block = y[start : start + rows]
        rays = np.ones((len(block), width, 3))
        rays[..., 0], rays[..., 1] = x[None], block[:, None]
        found = camera.img_from_cam(np.ascontiguousarray(rays.reshape(-1, 3) @ turn))
        result[start : start + rows] = np.asarray(found).reshape(len(block), width, 2)
    return result


def _sample(pixels: U8, place: NDArray[np.float32], lens: Lens, taps: int) -> U8:
    """Pixels [H, W, C] at places [h, w, 2] given in pixels of the lens's size.

    Between two neighbors per axis (`taps` 2), or four (Catmull and Rom 1974), which blurs less.
    """
    height, width = pixels.shape[:2]
    result = np.empty((*place.shape[:2], *pixels.shape[2:]), np.uint8)
    rows = max(1, BLOCK // place.shape[1])
    for start in range(0, len(place), rows):
        block = place[start : start + rows]
        columns, across = _neighbors(block[..., 0], width / lens.width, width, taps)
        lines, down = _neighbors(block[..., 1], height / lens.height, height, taps)
        total = np.zeros((*block.shape[:2], *pixels.shape[2:]), np.float32)
        for line, weight in zip(lines, down, strict=True):
            for column, other in zip(columns, across, strict=True):
                total += pixels[line, column] * (weight * other)[..., None]
        result[start : start + rows] = np.rint(np.clip(total, 0, 255))
    return result


def _neighbors(
    place: NDArray[np.float32], scale: float, count: int, taps: int
) -> tuple[list[NDArray[np.intp]], list[NDArray[np.float32]]]:
    """Along one axis of `count` pixels: the neighbors of each place, and what each weighs."""
    at = np.nan_to_num(place * np.float32(scale) - np.float32(0.5), nan=-1.0).clip(0, count - 1)
    first = at.astype(np.intp)
    t = at - first.astype(np.float32)
    if taps == 2:
        steps: tuple[int, ...] = (0, 1)
        weights = [1 - t, t]
    else:
        steps = (-1, 0, 1, 2)
        weights = [
            0.5 * t * (t * (2 - t) - 1),
            0.5 * (t * t * (3 * t - 5) + 2),
            0.5 * t * (t * (4 - 3 * t) + 1),
            0.5 * t * t * (t - 1),
        ]
    return [(first + step).clip(0, count - 1) for step in steps], weights
