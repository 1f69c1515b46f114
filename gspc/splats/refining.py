"""Refining baked Gaussians: gradient steps on everything but positions, against the neural scene's pictures.

Adam (Kingma and Ba 2015) on the mean squared error of one suggested camera's picture per step, rates falling
to zero along half a cosine. In numpy: the rasterizer brings its own gradients, so torch is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gspc.format.limits import MAX_MEMORY
from gspc.ops import arrays
from gspc.rendering import Renderer
from gspc.rendering.budget import Budget, scene_bytes
from gspc.scene import F32, Camera, DecodedScene, Gaussians
from gspc.splats.drawing import draw, in_batches
from gspc.splats.splats import Splats, checked, sigmoid, with_arrays

RATES = {"logits": 0.03, "log_scales": 0.006, "quats": 0.004, "sh": 0.004}
HARMONIC_RATES = (2.0, 1.0, 0.7, 0.5)  # by degree, times the rate of "sh": higher ones matter less
DECAY = (0.8, 0.95)  # of both moments; short memories suit a few hundred steps
EPSILON = 1e-8
REFINED = 1200  # bytes of one Gaussian: it and the baked one, gradients, two moments, colors


def refine(
    splats: Splats,
    scene: DecodedScene,
    steps: int,
    on_step: Callable[[int, int], None] | None = None,
    *,
    max_memory: int = MAX_MEMORY,
) -> Splats:
    """The Gaussians after `steps` steps towards the scene's pictures; `on_step` hears (done, all).

    The Gaussians must be in the scene's frame. Raises BackendError without the kernels,
    InputError where more than `max_memory` bytes are needed.
    """
    budget = Budget(max_memory).holding(scene_bytes(scene) + REFINED * splats.count)
    renderer = Renderer(scene, max_memory=max_memory - REFINED * splats.count)
    random = np.random.default_rng(0)
    state = {name: np.array(getattr(splats, name)) for name in RATES}
    moments = {name: _Moments.zero(array) for name, array in state.items()}
    order: list[int] = []
    for step in range(steps):
        order = order or random.permutation(len(scene.cameras)).tolist()
        camera = scene.cameras[order.pop()]
        found = _gradients(splats.means, state, camera, renderer.render(camera), scene.background, budget)
        rate = 0.5 * (1 + math.cos(math.pi * step / steps))
        for name, gradient in found.items():
            moments[name].apply(state[name], gradient, rate * _rates(name, gradient), step + 1)
        if on_step is not None:
            on_step(step + 1, steps)
    return checked(with_arrays(splats, state))


def _gradients(
    means: F32,
    state: dict[str, F32],
    camera: Camera,
    target: F32,
    background: tuple[float, float, float],
    budget: Budget,
) -> dict[str, F32]:
    """Gradients of the summed squared error by logits, log scales, quaternions and harmonics."""
    raw = arrays.harmonic_colors(means, state["sh"], camera.center)
    scales, opacities = np.exp(state["log_scales"]), sigmoid(state["logits"])
    shown = Gaussians(means, state["quats"], scales, opacities, np.maximum(raw, 0))
    drawn = draw(shown, camera, background, budget.holding(2 * target.nbytes))
    found = drawn.gradients(2 * (drawn.picture - target))
    return {
        "logits": found.opacities * opacities * (1 - opacities),
        "log_scales": found.scales * scales,
        "quats": found.quats,
        "sh": arrays.harmonic_gradient(
            means, camera.center, np.where(raw > 0, found.colors, 0), state["sh"].shape[1]
        ),
    }


def _rates(name: str, gradient: F32) -> F32:
    """Rates that broadcast over a parameter."""
    if name != "sh":
        return np.float32(RATES[name]) * np.ones(1, np.float32)
    degrees = [l for l in range(4) for _ in range(2 * l + 1)][: gradient.shape[1]]
    return np.array([RATES["sh"] * HARMONIC_RATES[l] for l in degrees], np.float32)[:, None]


@dataclass
class _Moments:
    """Running means of a parameter's gradient and of its square."""

    first: F32
    second: F32

    @classmethod
    def zero(cls, like: F32) -> _Moments:
        return cls(np.zeros_like(like), np.zeros_like(like))

    def apply(self, values: F32, gradient: F32, rate: F32, step: int) -> None:
        """One step of Adam, in place."""
        keep, keep_square = DECAY
        unbias, unbias_square = 1 - keep**step, 1 - keep_square**step

        def work(rows: slice) -> None:
            first, second, slope = self.first[rows], self.second[rows], gradient[rows]
            first += np.float32(1 - keep) * (slope - first)
            second += np.float32(1 - keep_square) * (slope * slope - second)
            size = np.sqrt(second * np.float32(1 / unbias_square)) + np.float32(EPSILON)
            values[rows] -= rate * np.float32(1 / unbias) * first / size

        in_batches(work, len(values))
