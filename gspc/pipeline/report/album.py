"""The pictures of a report: some views with their photograph, and per level what is drawn and its error.

A report can be sent by mail, so the pictures together have a budget of bytes. Those of a few views are kept
while an evaluation runs, and become smaller and coarser afterwards until they fit.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gspc.scene import F32, U8, Camera

MOST = 12  # views
BUDGET = 3_500_000  # bytes of all pictures: as text they take a third more, and the page stays below 5 MB
# Longest side in pixels and quality of the coder, from what looks best to what always fits.
SIZES = ((1280, 90), (960, 88), (800, 85), (640, 82), (480, 78), (360, 70), (240, 60), (160, 50))
ERROR_QUALITY = 60
WHITE_AT = 0.2  # mean error of the three colors, of 1, at which the map is white
# Colors of the error map, evenly spread from no error to WHITE_AT.
SHADES = ((0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (255, 255, 235))


@dataclass
class _Sight:
    """One view."""

    name: str
    photograph: U8  # [H, W, 3]
    drawn: dict[int, U8] = field(default_factory=dict)  # [H, W, 3] by level
    errors: dict[int, U8] = field(default_factory=dict)  # [H, W, 3] by level, in SHADES


@dataclass
class Album:
    """Collects pictures; `evaluate` calls `add` for each one it scores."""

    budget: int = BUDGET
    sights: dict[int, _Sight] = field(default_factory=dict)

    def add(
        self,
        level: int,
        index: int,
        count: int,
        camera: Camera,
        image: F32,
        target: U8,
        mask: NDArray[np.bool_] | None,
    ) -> None:
        """What the `index`th of `count` views looks like at a level. image: [H, W, 3] in [0, 1], target:
        [H, W, 3], mask: [H, W], False where a pixel does not count."""
        import numpy as np

        if index not in chosen(count):
            return
        sight = self.sights.setdefault(index, _Sight(camera.name, target))
        sight.drawn[level] = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
        sight.errors[level] = error_map(image, target, mask)

    def pictures(self) -> list[dict[str, Any]]:
        """The views in order, pictures as data URLs: name, width, height, photograph, and per level `drawn`
        and `error`."""
        for side, quality in SIZES:
            views = [_encoded(self.sights[index], side, quality) for index in sorted(self.sights)]
            if sum(len(url) * 3 // 4 for view in views for url in _urls(view)) <= self.budget:
                return views
        return []


def chosen(count: int) -> frozenset[int]:
    """Which of `count` views are shown: all, or MOST spread evenly."""
    if count <= MOST:
        return frozenset(range(count))
    return frozenset(round(number * (count - 1) / (MOST - 1)) for number in range(MOST))


def error_map(image: F32, target: U8, mask: NDArray[np.bool_] | None) -> U8:
    """The mean absolute error of the three colors as a color, [H, W, 3]; black where none counts."""
    import numpy as np

    error = np.abs(np.clip(image, 0, 1) - target.astype(np.float32) / 255).mean(axis=2)
    if mask is not None:
        error = np.where(mask, error, 0)
    at = np.clip(error / WHITE_AT, 0, 1)
    stops = np.linspace(0, 1, len(SHADES))
    shades = np.array(SHADES, np.float64)
    bands = [np.interp(at, stops, shades[:, channel]) for channel in range(3)]
    return np.rint(np.stack(bands, axis=2)).astype(np.uint8)


def _encoded(sight: _Sight, side: int, quality: int) -> dict[str, Any]:
    height, width = sight.photograph.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))

    def url(picture: U8, quality: int) -> str:
        return "data:image/webp;base64," + base64.b64encode(_webp(picture, size, quality)).decode()

    return {
        "name": sight.name,
        "width": size[0],
        "height": size[1],
        "photograph": url(sight.photograph, quality),
        "levels": {
            str(level): {
                "drawn": url(picture, quality),
                "error": url(sight.errors[level], min(quality, ERROR_QUALITY)),
            }
            for level, picture in sorted(sight.drawn.items())
        },
    }


def _webp(picture: U8, size: tuple[int, int], quality: int) -> bytes:
    import io

    from PIL import Image

    image = Image.fromarray(picture)
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def _urls(view: dict[str, Any]) -> Iterator[str]:
    yield view["photograph"]
    for level in view["levels"].values():
        yield from level.values()
