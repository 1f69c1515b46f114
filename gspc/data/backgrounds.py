"""What lies behind a scene: the color behind transparent pixels and behind everything that is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gspc.choices import Background
from gspc.data.images import Photo, PixelCache, decode, decode_alpha, reduce_image
from gspc.data.report import Notes
from gspc.data.undistort import Straightener
from gspc.scene import U8

Color = tuple[float, float, float]
COLORS: dict[Background, Color] = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}
SAMPLED = 4  # photographs that are looked at
PLAIN_BORDER = 0.9  # of the outermost pixels are of one color where an object stands before nothing


@dataclass(frozen=True)
class Backing:
    """The color behind the scene, and whether the photographs say what covers it."""

    color: Color
    transparent: bool


@dataclass(frozen=True)
class AlphaLoader:
    """View.alpha of a photograph: how much of each pixel it covers, [height, width] uint8, read-only."""

    photo: Photo
    width: int
    height: int
    straight: Straightener | None = None
    cache: PixelCache | None = field(default=None, compare=False, repr=False)

    def __call__(self) -> U8:
        """What the cache holds; else decode, reduce or straighten. Raises InputError."""
        key = ("alpha", self.photo, self.width, self.height, self.straight)
        kept = None if self.cache is None else self.cache.get(key)
        if kept is None:
            alpha = decode_alpha(self.photo)[:, :, None]
            straight = self.straight
            kept = reduce_image(alpha, self.width, self.height) if straight is None else straight(alpha)
            kept.flags.writeable = False
            if self.cache is not None:
                self.cache.put(key, kept)
        return kept[:, :, 0]


def choose_backing(wish: Background, photos: Sequence[Photo], notes: Notes) -> Backing:
    """White or black, and why. "auto": white where photographs have transparent pixels, or where the
    outermost pixels of all that are looked at are nearly all pure white (objects before white); else black.

    Photographs with an alpha channel that is opaque everywhere are like those without. Raises InputError.
    """
    transparent = any(
        decode_alpha(photo).min() < 255 for photo in _some([p for p in photos if p.transparent])
    )
    if wish != "auto":
        return Backing(COLORS[wish], transparent)
    if transparent:
        notes.say("the photographs are transparent in places: white is put behind them (--background)")
        return Backing(COLORS["white"], True)
    chosen = _some(photos)
    if chosen and all(_ends_white(decode(photo)) for photo in chosen):
        notes.say("the photographs show something before white: the background is white (--background)")
        return Backing(COLORS["white"], False)
    return Backing(COLORS["black"], False)


def _some(photos: Sequence[Photo]) -> Sequence[Photo]:
    return photos[:: max(1, len(photos) // SAMPLED)][:SAMPLED]


def _ends_white(pixels: U8) -> bool:
    return bool((border_of(pixels) == 255).all(axis=1).mean() > PLAIN_BORDER)


def border_of(pixels: np.ndarray) -> np.ndarray:
    """The outermost pixels of [H, W, ...], [n, ...]."""
    return np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
