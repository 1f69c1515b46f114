"""Which way up a photograph is: as stored, or as its EXIF orientation says.

Phones store pixels as the sensor reads them and note how to turn them. Some tools that made cameras turned
them first, others did not; which, shows in the size that they wrote down.
"""

from __future__ import annotations

from dataclasses import replace

from gspc.choices import Exif
from gspc.data.images import Photo

_SIDEWAYS = frozenset((5, 6, 7, 8))  # orientations that swap width and height


def upright(photo: Photo) -> Photo:
    """`photo` as its EXIF orientation wants it turned."""
    if photo.orientation == 1 or photo.turned != 1:
        return photo
    turned = replace(photo, turned=photo.orientation)
    if photo.orientation in _SIDEWAYS:
        turned = replace(turned, width=photo.height, height=photo.width)
    return turned


def fits(photo: Photo, width: float, height: float) -> bool:
    """Whether a photograph is a camera's picture of width x height at some scale, up to rounding by a
    pixel."""
    scale = photo.width / width
    slack = max(1.0, scale) * (1 + height / width)
    return abs(scale * height - photo.height) <= slack


def choose(photo: Photo, width: int, height: int, wish: Exif) -> tuple[Photo, bool]:
    """The photograph as the camera of width x height saw it, and whether its size left the choice open.

    With "auto" the orientation that fits is taken, the stored one where both do.
    """
    if photo.orientation == 1 or wish == "ignore":
        return photo, False
    turned = upright(photo)
    if wish == "apply":
        return turned, False
    stored_fits, turned_fits = fits(photo, width, height), fits(turned, width, height)
    return (turned if turned_fits and not stored_fits else photo), stored_fits and turned_fits
