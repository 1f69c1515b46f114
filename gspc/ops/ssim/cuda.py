"""L1 and SSIM on a CUDA device: torch autograd over `kernels/cuda/photometric.cu`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels


def photometric(image: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference and mean SSIM: float32 [2], differentiable in `image`.

    Checked arguments on one CUDA device: image float32 [H, W, 3]; target float32, or uint8 standing for value
    / 255, of the same shape. Raises BackendError where the kernels cannot be used.
    """
    kernels.require()
    result: Tensor = _Photometric.apply(image.contiguous(), target.contiguous())
    return result


class _Photometric(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Tensor) -> Tensor:
        height, width = image.shape[:2]
        needs_grad = ctx.needs_input_grad[0]
        maps = image.new_empty((3, height, width, 3) if needs_grad else (0,))
        out = image.new_empty(2)
        tiles = ((height + 15) // 16) * ((width + 15) // 16)  # as gspc_photometric_partials counts them
        partial = image.new_empty(2 * tiles)
        with kernels.on_device(image):
            kernels.call(
                "gspc_photometric_forward",
                image.data_ptr(),
                target.data_ptr(),
                target.element_size(),
                height,
                width,
                maps.data_ptr() if needs_grad else None,
                partial.data_ptr(),
                out.data_ptr(),
                kernels.stream(image),
            )
        ctx.save_for_backward(image, target, maps)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_out: Tensor) -> tuple[Tensor, None]:
        image, target, maps = ctx.saved_tensors
        grad = torch.empty_like(image)
        grad_out = grad_out.contiguous()
        with kernels.on_device(image):
            kernels.call(
                "gspc_photometric_backward",
                image.data_ptr(),
                target.data_ptr(),
                target.element_size(),
                *image.shape[:2],
                maps.data_ptr(),
                grad_out.data_ptr(),
                grad.data_ptr(),
                kernels.stream(image),
            )
        return grad, None
