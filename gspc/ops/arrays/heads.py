"""The Gaussian heads over numpy arrays, without torch. N anchors, K offsets per anchor, M Gaussians, F
features."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gspc.ops.kernels import native
from gspc.scene import F32, Gaussians, Heads

HEAD_WEIGHTS = ("w1", "b1", "w_opacity", "b_opacity", "w_color", "b_color", "w_cov", "b_cov")


def neural_gaussians(
    features: F32,
    log_scales: F32,
    offsets: F32,
    mask: NDArray[np.bool_] | F32,
    anchors: F32,
    camera_center: ArrayLike,
    heads: Heads,
    visible: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], Gaussians]:
    """The Gaussians that anchors show to a camera, as in `gspc.ops.heads.neural_gaussians`.

    Args:
        features: [N, F]; log_scales: [N, 6]; offsets: [N, K, 3]; mask: [N, K]; anchors: [N, 3] world space.
        camera_center: [3] world space.
        heads: weights.
        visible: bool [N], the anchors to look at; None means all.

    Returns:
        index int64 [M] = n * K + k, ascending, and the M Gaussians.

    Raises:
        ValueError: on a wrong shape.
    """
    inputs = [np.ascontiguousarray(a, np.float32) for a in (features, log_scales, offsets, mask, anchors)]
    weights = [np.ascontiguousarray(getattr(heads, name), np.float32) for name in HEAD_WEIGHTS]
    center = tuple(float(value) for value in np.asarray(camera_center).reshape(3))
    seen = None if visible is None else np.ascontiguousarray(visible, np.bool_).view(np.uint8)
    n, k = inputs[3].shape
    alpha, starts, active = np.empty((n, k), np.float32), np.empty(n + 1, np.int32), np.empty(n, np.int32)
    scale = float(heads.distance_scale)
    total, n_active = native.heads_select(weights, scale, inputs, center, seen, alpha, starts, active)
    index = np.empty(total, np.int64)
    shapes = ((total, 3), (total, 4), (total, 3), (total,), (total, 3), (total, 3), (total,))
    out = [np.empty(shape, np.float32) for shape in shapes]
    native.heads_forward(weights, scale, inputs, center, alpha, starts, active, n_active, index, out)
    return index, Gaussians(*out[:5])
