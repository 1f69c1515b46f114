"""Differentiable rendering of 3D Gaussians on the CPU (torch autograd over `gspc._kernels`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gspc.errors import BackendError
from gspc.ops.arrays import kernels


@dataclass(frozen=True)
class RasterOutput:
    """One rendered view."""

    image: Tensor  # [H, W, 3] over the background, not clamped
    alpha: Tensor  # [H, W] 1 - transmittance
    radii: Tensor  # [M] int32 pixels, 0 = culled
    means2d_grad: Tensor  # [M, 2] dloss / d(projected mean) in pixels; zeros until the backward pass has run


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        means2d_grad: Tensor,
        camera: tuple[list[float], list[float], int, int, list[float]],
    ) -> tuple[Tensor, Tensor, Tensor]:
        tensors = (means, quats, scales, opacities, colors)
        image, alpha, radii, state = kernels().raster_forward(*(t.detach() for t in tensors), *camera)
        ctx.save_for_backward(*tensors)
        ctx.state = state
        ctx.means2d_grad = means2d_grad
        ctx.set_materialize_grads(False)
        outputs = torch.from_numpy(image), torch.from_numpy(alpha), torch.from_numpy(radii)
        ctx.mark_non_differentiable(outputs[2])
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        grad_image, grad_alpha = grads[0], grads[1]
        tensors = ctx.saved_tensors
        if grad_image is None:
            if grad_alpha is None:
                return (None,) * 7
            grad_image = grad_alpha.new_zeros((*grad_alpha.shape, 3))
        found = kernels().raster_backward(
            ctx.state,
            *(t.detach() for t in tensors),
            grad_image.detach().contiguous(),
            None if grad_alpha is None else grad_alpha.detach().contiguous(),
        )
        *gradients, means2d = (torch.from_numpy(array) for array in found)
        ctx.means2d_grad.copy_(means2d)
        return (*gradients, None, None)


def _check(name: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tensor.device.type != "cpu":
        raise BackendError(f"rasterize: {name} is on {tensor.device}; this backend renders on the CPU only")
    if tensor.dtype != torch.float32 or tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: float32 {list(shape)} expected, got {tensor.dtype} {list(tensor.shape)}")
    return tensor.contiguous()


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
    means2d_grad = torch.zeros((count, 2))
    image, alpha, radii = _Rasterize.apply(means, quats, scales, opacities, colors, means2d_grad, camera)
    return RasterOutput(image, alpha, radii, means2d_grad)
