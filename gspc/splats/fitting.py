"""One plain Gaussian from what a neural one shows to several cameras. V cameras, M Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gspc.ops import arrays
from gspc.scene import F32, F64, Gaussians
from gspc.splats.splats import logit

FLOOR = 1e-3  # weight of a camera that sees nothing of a Gaussian, of all cameras' mean weight
RIDGE = (1e-6, 2e-4, 1e-3, 4e-3)  # by degree, against a sum of weights of one: few directions fit anything
ALMOST_OPAQUE = 0.9999  # the rasterizer stops at 0.999


@dataclass(frozen=True)
class Sightings:
    """What Gaussians show to cameras. Where one is not there, its opacity is 0 and the rest means nothing."""

    means: F32  # [M, 3]
    directions: F32  # [V, M, 3] unit, from the camera to the Gaussian
    opacities: F32  # [V, M]
    colors: F32  # [V, M, 3]
    log_scales: F32  # [V, M, 3]
    quats: F32  # [V, M, 4]
    pixels: F32  # [V, M] contribution to the camera's picture
    in_view: NDArray[np.bool_]  # [V, M]

    @classmethod
    def empty(cls, means: F32, pixels: F32, in_view: NDArray[np.bool_]) -> Sightings:
        """Nothing of the Gaussians' looks is known yet."""

        def zeros(*tail: int) -> F32:
            return np.zeros((*pixels.shape, *tail), np.float32)

        looks = zeros(3), zeros(), zeros(3), zeros(3), zeros(4)
        return cls(means.astype(np.float32), *looks, pixels, in_view)

    def add(self, camera: int, center: F64, columns: NDArray[np.int64], shown: Gaussians) -> None:
        """Enters what a camera at `center` is shown of the Gaussians in `columns`."""
        rays = self.means - center.astype(np.float32)
        self.directions[camera] = rays / np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)
        self.opacities[camera, columns] = shown.opacities
        self.colors[camera, columns] = shown.colors
        self.log_scales[camera, columns] = np.log(np.maximum(shown.scales, np.float32(1e-30)))
        self.quats[camera, columns] = shown.quats

    def take(self, kept: NDArray[np.int64]) -> Sightings:
        """These Gaussians only."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        means = values.pop("means")[kept]
        return Sightings(means, **{name: value[:, kept] for name, value in values.items()})


@dataclass(frozen=True)
class Fitted:
    """M plain Gaussians, and how much of each camera's picture they are expected to make up."""

    means: F32  # [M, 3]
    quats: F32  # [M, 4]
    log_scales: F32  # [M, 3]
    logits: F32  # [M]
    sh: F32  # [M, C, 3]
    pixels: F32  # [V, M] expected contribution

    @classmethod
    def joined(cls, parts: Sequence[Fitted]) -> Fitted:
        """All of them one after the other."""
        names = [field.name for field in fields(cls)]
        axes = {"pixels": 1}
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts], axis=axes.get(name, 0))
                for name in names
            )
        )


def fit(seen: Sightings, degree: int) -> Fitted:
    """The plain Gaussians that fit the sightings best, with harmonics of `degree`."""
    there = seen.opacities > 0
    weights = _shares(np.where(there, seen.pixels, 0), there)
    gain = _gain(seen)
    shares = _shares(gain, there | seen.in_view)
    opacities = np.minimum((shares * seen.opacities).sum(axis=0), np.float32(ALMOST_OPAQUE))
    return Fitted(
        seen.means,
        _mean_quats(seen.quats, weights),
        np.einsum("vm,vmi->mi", weights, seen.log_scales),
        logit(opacities),
        _harmonics(seen, weights, degree),
        gain * opacities,
    )


def _shares(weights: F32, there: NDArray[np.bool_]) -> F32:  # [V, M], columns add up to one
    """Weights with a floor wherever the Gaussian is there, so that one never seen gets plain means."""
    floor = FLOOR * weights.mean(axis=0) + np.float32(1e-6)
    raised = np.where(there, weights + floor, 0)
    return (raised / np.maximum(raised.sum(axis=0), np.float32(1e-30))).astype(np.float32)


def _gain(seen: Sightings) -> F32:  # [V, M]
    """How a Gaussian's contribution to a picture grows with its opacity: pixels / opacity.

    A camera in whose view the Gaussian is, but from which it hides, counts as the mean of those that see it:
    there a plain Gaussian cannot hide, so its opacity has to weigh both.
    """
    there = seen.opacities > 0
    known = np.where(there, seen.pixels / np.maximum(seen.opacities, np.float32(1e-3)), 0)
    usual = known.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(there, known, np.where(seen.in_view, usual, 0)).astype(np.float32)


def _mean_quats(quats: F32, weights: F32) -> F32:  # [V, M, 4], [V, M] -> [M, 4]
    """Weighted means of rotations: signs aligned with the heaviest camera's (q and -q are the same)."""
    heaviest = quats[weights.argmax(axis=0), np.arange(quats.shape[1])]
    signs = np.sign(np.einsum("vmi,mi->vm", quats, heaviest))
    mean = np.einsum("vm,vmi->mi", weights * signs, quats)
    norm = np.linalg.norm(mean, axis=1, keepdims=True)
    return np.where(norm > 1e-6, mean / np.maximum(norm, 1e-6), heaviest).astype(np.float32)


def _harmonics(seen: Sightings, weights: F32, degree: int) -> F32:  # [M, C, 3]
    """Weighted least squares of color - 0.5 over directions, higher degrees held back by a ridge."""
    ridge = np.repeat(np.array(RIDGE[: degree + 1], np.float32), [2 * l + 1 for l in range(degree + 1)])
    return arrays.fit_harmonics(seen.directions, weights, seen.colors, ridge)
