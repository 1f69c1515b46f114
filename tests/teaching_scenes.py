"""Small splats that are seen from all around, from one side, or from within."""

from __future__ import annotations

import math

import numpy as np

from gspc.splats import Splats, checked
from gspc.splats.harmonics import C0


def splats_at(means: np.ndarray, size: np.ndarray | float, tint: np.ndarray, opacity: float = 0.95) -> Splats:
    """Round Gaussians with these standard deviations and colors."""
    count = len(means)
    sizes = np.broadcast_to(np.asarray(size, np.float64).reshape(-1, 1), (count, 3))
    return checked(
        Splats(
            means.astype(np.float32),
            np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
            np.log(sizes).astype(np.float32),
            np.full(count, math.log(opacity / (1 - opacity)), np.float32),
            ((tint - 0.5) / C0).astype(np.float32)[:, None],
        )
    )


def tints(means: np.ndarray) -> np.ndarray:
    """Soft patterns in space, so that views differ and can be learned."""
    return 0.5 + 0.4 * np.sin(3 * means + np.array([0, 1, 2]))


def directions(count: int, random: np.random.Generator) -> np.ndarray:
    found = random.normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def ball(count: int = 3000, seed: int = 0) -> Splats:
    """A ball full of matter: an object."""
    random = np.random.default_rng(seed)
    means = directions(count, random) * random.uniform(0.5, 1, (count, 1)) ** (1 / 3)
    return splats_at(means, 0.04, tints(means))


def front(count: int = 3000, seed: int = 0) -> Splats:
    """A relief at z = 0 to 0.3 that is fine towards -z, with blurs behind it: photographed from there."""
    random = np.random.default_rng(seed)
    means = random.uniform(-1, 1, (count, 3))
    means[:, 2] = 0.15 * (1 + np.sin(4 * means[:, 0]))
    behind = random.uniform(-1, 1, (count // 10, 3)) + np.array([0, 0, 1.2])
    sizes = np.concatenate([np.full(count, 0.03), np.full(len(behind), 0.4)])
    means = np.concatenate([means, behind])
    return splats_at(means, sizes, tints(means))


def surroundings(count: int = 4000, seed: int = 0) -> Splats:
    """What someone sees who turns around at the origin: the farther, the larger."""
    random = np.random.default_rng(seed)
    distance = random.uniform(1.5, 5, (count, 1))
    means = directions(count, random) * distance
    return splats_at(means, 0.05 * distance[:, 0], tints(means))
