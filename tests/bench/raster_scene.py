"""A scene with the statistics of a trained outdoor capture, made from a seed, for benchmarks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def garden_like(
    count: int = 200_000, width: int = 960, height: int = 540, seed: int = 0
) -> dict[str, object]:
    """Gaussians on a ground plane, a table and a far shell; long-tailed anisotropic sizes; opacities bimodal.

    Sizes are chosen so that about 100 Gaussians contribute to a pixel of a 960x540 view of 200,000 Gaussians.
    """
    rng = np.random.default_rng(seed)
    focal = 0.9 * width
    # By pixel and depth, so that nearly all are in view: half on surfaces, a third behind, the rest floating.
    pixel = np.stack([rng.uniform(-0.05, 1.05, count) * width, rng.uniform(-0.05, 1.05, count) * height], 1)
    kind = rng.random(count)
    ground = 2.0 + 6.0 * (1.05 - pixel[:, 1] / height) ** 2
    depth = np.where(
        kind < 0.5, ground * np.exp(0.05 * rng.standard_normal(count)), rng.uniform(4.0, 15.0, count)
    )
    depth = np.where(kind > 0.85, rng.uniform(1.0, 6.0, count), depth)
    means = np.stack(
        [(pixel[:, 0] - width / 2) / focal * depth, (pixel[:, 1] - height / 2) / focal * depth, depth], 1
    )
    radius = np.exp(rng.normal(math.log(2.6), 0.75, count)) * depth / focal  # standard deviation, world units
    scales = radius[:, None] * np.exp(0.6 * rng.standard_normal((count, 3)))
    opacities = np.where(rng.random(count) < 0.7, rng.beta(1.0, 6.0, count), rng.beta(4.0, 2.0, count))
    order = rng.permutation(count)  # as decoded: neighbors in memory are not neighbors in space
    order = order[
        np.argsort(np.floor(means[order, 0] * 2) * 4096 + np.floor(means[order, 2] * 2), kind="stable")
    ]
    arrays = {
        "means": means,
        "quats": rng.standard_normal((count, 4)),
        "scales": scales,
        "opacities": np.maximum(opacities, 0.005),
        "colors": rng.random((count, 3)),
    }
    scene: dict[str, Any] = {k: np.ascontiguousarray(v[order], dtype=np.float32) for k, v in arrays.items()}
    scene |= {
        "world_to_camera": np.eye(4),
        "intrinsics": (focal, focal, width / 2, height / 2),
        "width": width,
        "height": height,
    }
    return scene
