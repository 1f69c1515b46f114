"""The rasterizer on a CPU: torch autograd over `gspc._kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gspc.ops.kernels import native
from gspc.ops.raster.types import RasterOutput

Camera = tuple[list[float], list[float], int, int, list[float]]


def rasterize(tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor], camera: Camera) -> RasterOutput:
    """`gspc.ops.raster.rasterize` of checked arguments.

    tensors: means [M, 3], quats [M, 4], scales [M, 3], opacities [M], colors [M, 3]; float32 and contiguous.
    camera: world_to_camera [16], intrinsics [4], width, height, background [3].
    """
    means2d_grad = torch.zeros((len(tensors[0]), 2))
    image, alpha, radii = _Rasterize.apply(*tensors, means2d_grad, camera)
    return RasterOutput(image, alpha, radii, means2d_grad)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


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
        camera: Camera,
    ) -> tuple[Tensor, Tensor, Tensor]:
        tensors = (means, quats, scales, opacities, colors)
        image, alpha, radii, state = native.raster_forward(
            *(_array(means), _array(quats), _array(scales), _array(opacities), _array(colors)), *camera
        )
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
        means, quats, scales, opacities, colors = (_array(t) for t in tensors)
        found = native.raster_backward(
            *(ctx.state, means, quats, scales, opacities, colors, _array(grad_image)),
            None if grad_alpha is None else _array(grad_alpha),
        )
        *gradients, means2d = (torch.from_numpy(array) for array in found)
        ctx.means2d_grad.copy_(means2d)
        return (*gradients, None, None)
