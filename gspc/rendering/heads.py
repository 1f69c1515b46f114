"""From anchors to the neural Gaussians of one view, in numpy.

`gaussians_for_view` goes through the compiled kernel where it is there; `reference_gaussians` is the readable
definition (method section 1, Scaffold-GS section 3.2) and the fallback.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gspc.errors import BackendError
from gspc.ops import arrays
from gspc.ops.kernels import kernels
from gspc.scene import F32, Camera, DecodedScene, Gaussians, Heads

CHUNK = 1 << 15  # anchors per batch of the fallback: bounds its memory to some 20 MB per hidden layer


def gaussians_for_view(
    scene: DecodedScene, camera: Camera, visible: NDArray[np.bool_] | None = None
) -> Gaussians:
    """The Gaussians that anchors show to a camera, both in the scene's own coordinates, in order of anchor,
    then offset.

    visible [N]: the anchors to look at; None means all.
    """
    try:
        kernels()
    except BackendError:
        return reference_gaussians(scene, camera, visible)
    return arrays.neural_gaussians(
        scene.features,
        scene.log_scales,
        scene.offsets,
        scene.gaussian_mask,
        scene.anchors,
        camera.center,
        scene.heads,
        visible,
    )[1]


def reference_gaussians(
    scene: DecodedScene, camera: Camera, visible: NDArray[np.bool_] | None = None
) -> Gaussians:
    """The same in plain numpy; visible [N]."""
    rows = np.arange(len(scene.anchors)) if visible is None else np.flatnonzero(visible)
    center = camera.center.astype(np.float32)
    parts = [
        _chunk(scene, center, rows[start : start + CHUNK]) for start in range(0, max(len(rows), 1), CHUNK)
    ]
    means, quats, scales, opacities, colors = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Gaussians(means, quats, scales, opacities, colors)


def _chunk(scene: DecodedScene, center: F32, rows: NDArray[np.int64]) -> tuple[F32, F32, F32, F32, F32]:
    heads, offsets = scene.heads, scene.offsets.shape[1]
    anchors = scene.anchors[rows]
    opacity_hidden, color_hidden, cov_hidden = _hidden(heads, anchors - center, scene.features[rows])
    opacity = np.tanh(opacity_hidden @ heads.w_opacity.T + heads.b_opacity)  # [n, K]
    row, k = np.nonzero((opacity > 0) & scene.gaussian_mask[rows])
    colors = (color_hidden @ heads.w_color.T + heads.b_color).reshape(-1, offsets, 3)[row, k]
    cov = (cov_hidden @ heads.w_cov.T + heads.b_cov).reshape(-1, offsets, 7)[row, k]
    extent = np.exp(scene.log_scales[rows])[row]
    quats = cov[:, 3:]
    norm = np.linalg.norm(quats, axis=1, keepdims=True)
    return (
        anchors[row] + scene.offsets[rows][row, k] * extent[:, :3],
        quats / np.maximum(norm, 1e-12),
        extent[:, 3:] * _sigmoid(cov[:, :3]),
        opacity[row, k],
        _sigmoid(colors),
    )


def _hidden(heads: Heads, ray: F32, features: F32) -> tuple[F32, F32, F32]:
    """The three hidden layers, [n, H] each. `ray` [n, 3] points from the camera to the anchors."""
    distance = np.linalg.norm(ray, axis=1, keepdims=True)
    direction = ray / np.maximum(distance, np.float32(1e-12))
    scaled = distance * np.float32(heads.distance_scale)
    inputs = np.concatenate([features, direction, scaled], axis=1, dtype=np.float32)
    hidden = np.maximum(inputs @ heads.w1.T + heads.b1, 0)
    opacity, color, cov = np.split(hidden, 3, axis=1)
    return opacity, color, cov


def _sigmoid(x: F32) -> F32:
    return 0.5 * (1 + np.tanh(0.5 * x))
