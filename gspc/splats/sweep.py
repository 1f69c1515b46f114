"""Colors that make pictures agree, by simultaneous algebraic reconstruction (SART, Andersen and Kak 1984).

A picture is linear in the Gaussians' colors, its weights at a pixel add up to at most one, and a color is
linear in the harmonics. So each picture in turn hands its error back to the Gaussians, each of which takes
the mean error over its own pixels and changes its harmonics by the least that gives this color in this
direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gspc.ops import arrays
from gspc.rendering.budget import Budget
from gspc.scene import F32, Camera, Gaussians
from gspc.splats.drawing import Drawn, draw
from gspc.splats.splats import Splats

FEW_PIXELS = 0.1  # added to a Gaussian's pixels: its mean error says little where it covers next to none
STRIDE = (1.3, 0.7)  # of the first and of the last correction: far at first, and no noise left at the end
KEPT = 1 << 28  # bytes of views that stay projected and sorted from round to round
LARGEST_STEP = 0.5  # of a color; more comes from Gaussians whose pixels were estimated wrongly


@dataclass(frozen=True)
class View:
    """A picture to match."""

    camera: Camera
    picture: F32  # [H, W, 3]
    pixels: F32  # [M] about what each Gaussian contributes to it


def match_colors(
    splats: Splats,
    views: Sequence[View],
    background: Sequence[float],
    rounds: int,
    on_view: Callable[[], None] = lambda: None,
    budget: Budget | None = None,
) -> Splats:
    """The Gaussians with harmonics changed so that they look like the pictures, `rounds` times through."""
    order = np.random.default_rng(0).permutation(len(views))  # neighbors one after the other teach little
    draw_view = _Painter(splats, background, budget or Budget(), again=rounds > 1)
    sh = splats.sh.copy()
    strides = np.linspace(*STRIDE, rounds * len(views), dtype=np.float32)
    for number, stride in zip(np.tile(order, rounds), strides, strict=True):
        view = views[number]
        center = view.camera.center
        drawn = draw_view(view.camera, np.maximum(arrays.harmonic_colors(splats.means, sh, center), 0))
        error = drawn.color_gradients(view.picture - drawn.picture)  # summed over each one's pixels
        error *= stride
        arrays.correct_harmonics(
            sh, splats.means, center, error, view.pixels, few=FEW_PIXELS, largest=LARGEST_STEP
        )
        on_view()
    return replace(splats, sh=sh)


class _Painter:
    """Draws the same Gaussians in ever new colors. Where memory is plenty, a camera's second picture takes
    the first one's projection."""

    def __init__(self, splats: Splats, background: Sequence[float], budget: Budget, *, again: bool) -> None:
        self._fixed = (splats.means, splats.quats, splats.scales, splats.opacities)
        self._background = background
        self._room = KEPT if again and budget.room >= 4 * KEPT else 0
        self._budget = budget.holding(self._room)
        self._kept: dict[int, Drawn] = {}

    def __call__(self, camera: Camera, colors: F32) -> Drawn:
        before = self._kept.get(id(camera))
        if before is not None:
            drawn = self._kept[id(camera)] = before.repainted(colors)
            return drawn
        drawn = draw(Gaussians(*self._fixed, colors), camera, self._background, self._budget)
        if drawn.held <= self._room:
            self._room -= drawn.held
            self._kept[id(camera)] = drawn
        return drawn
