"""Camera models: COLMAP's table of them, and which of them are pinholes.

All of COLMAP's models are known (src/colmap/sensor/models.h, ids 0 to 17). Those that bend straight lines are
straightened when photographs are loaded, see undistort.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gspc.errors import InputError
from gspc.format.limits import MAX_SIDE

MAX_PARAMETER = 1e7

# id -> name, number of parameters
MODELS: dict[int, tuple[str, int]] = {
    0: ("SIMPLE_PINHOLE", 3),
    1: ("PINHOLE", 4),
    2: ("SIMPLE_RADIAL", 4),
    3: ("RADIAL", 5),
    4: ("OPENCV", 8),
    5: ("OPENCV_FISHEYE", 8),
    6: ("FULL_OPENCV", 12),
    7: ("FOV", 5),
    8: ("SIMPLE_RADIAL_FISHEYE", 4),
    9: ("RADIAL_FISHEYE", 5),
    10: ("THIN_PRISM_FISHEYE", 12),
    11: ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    12: ("SIMPLE_DIVISION", 4),
    13: ("DIVISION", 5),
    14: ("SIMPLE_FISHEYE", 3),
    15: ("FISHEYE", 4),
    16: ("EUCM", 6),
    17: ("EQUIRECTANGULAR", 2),
}
PARAMETERS = dict(MODELS.values())
PANORAMA = "EQUIRECTANGULAR"
# One focal length for both axes: f, cx, cy, ...; the others have fx, fy, cx, cy, ...
ONE_FOCAL = frozenset(
    (
        "SIMPLE_PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "SIMPLE_RADIAL_FISHEYE",
        "RADIAL_FISHEYE",
        "SIMPLE_DIVISION",
        "SIMPLE_FISHEYE",
    )
)
# Pinholes when everything after the principal point is 0. A fisheye lens is none even then: it maps angles.
_STRAIGHT_AT_ZERO = frozenset(
    (
        "SIMPLE_PINHOLE",
        "PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "OPENCV",
        "FULL_OPENCV",
        "FOV",
        "SIMPLE_DIVISION",
        "DIVISION",
    )
)


@dataclass(frozen=True)
class Lens:
    """How a camera maps directions to pixels: COLMAP's model and parameters for pictures of width x
    height."""

    model: str
    width: int
    height: int
    params: tuple[float, ...]

    @property
    def focals(self) -> tuple[float, float]:
        """Focal lengths in pixels; of a panorama, the pixels per radian at its middle."""
        if self.model == PANORAMA:
            return self.width / (2 * math.pi), self.height / math.pi
        return self.params[0], self.params[0 if self.model in ONE_FOCAL else 1]

    @property
    def center(self) -> tuple[float, float]:
        """Principal point in pixels."""
        if self.model == PANORAMA:
            return self.width / 2, self.height / 2
        first = 1 if self.model in ONE_FOCAL else 2
        return self.params[first], self.params[first + 1]

    @property
    def straight(self) -> bool:
        """Whether it is a pinhole, that is: straight lines stay straight."""
        if self.model == "EUCM":
            return self.params[4] == 0  # alpha; beta has then no effect
        return self.model in _STRAIGHT_AT_ZERO and not any(self.params[3 if self.model in ONE_FOCAL else 4 :])


def check_lens(label: str, lens: Lens) -> Lens:
    """`lens` itself when it can be used; raises InputError about `label`."""
    if not (1 <= lens.width <= MAX_SIDE and 1 <= lens.height <= MAX_SIDE):
        raise InputError(
            f"is {lens.width}x{lens.height} pixels, outside 1 to {MAX_SIDE}; the model file is corrupt",
            source=label,
        )
    if lens.model not in PARAMETERS:
        raise InputError(
            f"is {lens.model}, which is no camera model of COLMAP; undistort the photographs first "
            "(colmap image_undistorter)",
            source=label,
        )
    sane = all(math.isfinite(value) and abs(value) < MAX_PARAMETER for value in lens.params)
    if not (len(lens.params) == PARAMETERS[lens.model] and sane and min(lens.focals) > 0):
        raise InputError(f"has impossible parameters {lens.params}; the model file is corrupt", source=label)
    return lens
