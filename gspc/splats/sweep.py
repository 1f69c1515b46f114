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

from gspc.scene import F32, Camera
from gspc.splats.drawing import draw, shades, show
from gspc.splats.splats import Splats

FEW_PIXELS = 0.3  # added to a Gaussian's pixels: its mean error says little where it covers next to none
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
) -> Splats:
    """The Gaussians with harmonics changed so that they look like the pictures, `rounds` times through."""
    order = np.random.default_rng(0).permutation(len(views))  # neighbors one after the other teach little
    for number in np.tile(order, rounds):
        splats = _match(splats, views[number], background)
        on_view()
    return splats


def _match(splats: Splats, view: View, background: Sequence[float]) -> Splats:
    looks = shades(splats, view.camera.center)
    drawn = draw(show(splats, looks), view.camera, background)
    error = drawn.gradients(view.picture - drawn.picture).colors  # [M, 3] summed over pixels
    step = np.clip(error / (view.pixels + FEW_PIXELS)[:, None], -LARGEST_STEP, LARGEST_STEP)
    step /= np.square(looks.basis).sum(axis=1, keepdims=True)
    return replace(splats, sh=splats.sh + looks.basis[:, :, None] * step[:, None])
