"""Rows of a COLMAP model, and what its poses mean."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gspc.data.lens import Lens
from gspc.rotations import rotation_matrix
from gspc.scene import F64, U8

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

MAX_COORDINATE = 1e9  # world units; float32 positions mean nothing beyond


@dataclass(frozen=True)
class ColmapCamera:
    """One row of `cameras`: an intrinsic model shared by images."""

    camera_id: int
    model: str
    width: int
    height: int
    params: tuple[float, ...]  # SIMPLE_PINHOLE f, cx, cy; PINHOLE fx, fy, cx, cy; pixels; see lens.py

    @property
    def lens(self) -> Lens:
        """Its lens."""
        return Lens(self.model, self.width, self.height, self.params)


@dataclass(frozen=True)
class ColmapImage:
    """One row of `images`: a pose (world to camera, OpenCV axes) and the observed key points."""

    image_id: int
    quaternion: tuple[float, float, float, float]  # wxyz
    translation: tuple[float, float, float]
    camera_id: int
    name: str
    keypoints: F64 = field(default_factory=lambda: np.zeros((0, 2)))  # [n, 2] pixels
    point_ids: I64 = field(default_factory=lambda: np.zeros(0, np.int64))  # [n], -1 where not triangulated

    @property
    def pose(self) -> F64:
        """World-to-camera [4, 4]."""
        result = np.eye(4)
        result[:3, :3] = rotation_matrix(self.quaternion)
        result[:3, 3] = self.translation
        return result


@dataclass(frozen=True)
class ColmapPoints:
    """`points3D` as arrays. The track of point i is track[track_start[i]:track_start[i + 1]]."""

    ids: I64  # [P]
    positions: F64  # [P, 3]
    colors: U8  # [P, 3]
    errors: F64  # [P] reprojection error in pixels
    track_start: I64  # [P + 1]
    track: I32  # [T, 2] image id, index of the key point in that image

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class ColmapModel:
    """A whole model."""

    cameras: tuple[ColmapCamera, ...]
    images: tuple[ColmapImage, ...]
    points: ColmapPoints


def without_tracks(positions: F64, colors: U8) -> ColmapPoints:
    """A point cloud from elsewhere as COLMAP points: ids from 1, no tracks."""
    count = len(positions)
    return ColmapPoints(
        ids=np.arange(1, count + 1, dtype=np.int64),
        positions=np.asarray(positions, np.float64),
        colors=np.asarray(colors, np.uint8),
        errors=np.zeros(count),
        track_start=np.zeros(count + 1, np.int64),
        track=np.zeros((0, 2), np.int32),
    )
