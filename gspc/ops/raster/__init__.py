"""Differentiable rendering of 3D Gaussians on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gspc.errors import BackendError
from gspc.ops.raster import cpu
from gspc.ops.raster.types import RasterOutput

__all__ = ["RasterOutput", "rasterize"]


def rasterize(
    means: Tensor,  # [M, 3] world space
    quats: Tensor,  # [M, 4] wxyz, any norm but 0
    scales: Tensor,  # [M, 3] standard deviations, world units
    opacities: Tensor,  # [M]
    colors: Tensor,  # [M, 3]
    world_to_camera: Any,  # [4, 4]
    intrinsics: Sequence[float],  # fx, fy, cx, cy in pixels
    width: int,
    height: int,
    background: Sequence[float] = (0.0, 0.0, 0.0),
) -> RasterOutput:
    """Renders Gaussians with gsplat 1.5.3's conventions.

    Pixel centers at +0.5; 0.3 added to the diagonal of the 2D covariance; alpha clamped to 0.999, skipped
    below 1/255; a pixel stops before its transmittance would reach 1e-4; near plane 0.01. Gaussians with a
    parameter that is not finite (or a null quaternion) are culled and get zero gradients. Differentiable in
    means, quats, scales, opacities and colors through image and alpha. Bit-equal for any number of threads.

    Raises:
        ValueError: a shape, dtype, camera or size that does not fit.
        BackendError: tensors that are not on the CPU, or kernels that cannot be loaded.
    """
    if means.ndim != 2:
        raise ValueError(f"means: float32 [M, 3] expected, got {means.dtype} {list(means.shape)}")
    count = means.shape[0]
    means = _check("means", means, (count, 3))
    quats = _check("quats", quats, (count, 4))
    scales = _check("scales", scales, (count, 3))
    opacities = _check("opacities", opacities, (count,))
    colors = _check("colors", colors, (count, 3))
    if isinstance(world_to_camera, Tensor):
        world_to_camera = world_to_camera.detach().cpu().numpy()
    matrix = np.asarray(world_to_camera, dtype=np.float64)
    if tuple(matrix.shape) != (4, 4) or len(intrinsics) != 4 or len(background) != 3:
        raise ValueError(
            "rasterize: world_to_camera [4, 4], four intrinsics and three background values expected"
        )
    camera = (
        matrix.reshape(16).tolist(),
        [float(x) for x in intrinsics],
        int(width),
        int(height),
        [float(x) for x in background],
    )
    return cpu.rasterize((means, quats, scales, opacities, colors), camera)


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tensor.device.type != "cpu":
        raise BackendError(f"rasterize: {name} is on {tensor.device}; this backend renders on the CPU only")
    if tensor.dtype != torch.float32 or tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: float32 {list(shape)} expected, got {tensor.dtype} {list(tensor.shape)}")
    return tensor.contiguous()
