"""L1, SSIM and squared error on a CUDA device: torch autograd over `kernels/cuda/photometric.cu`."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import cuda as kernels
from gspc.ops.cuda import FLOAT, INT, POINTER

TILE = 16  # pixels of a block's side


class _Call(ctypes.Structure):
    """`PhotometricCall` of kernels/cuda/photometric.cu."""

    _fields_ = (
        *((name, POINTER) for name in ("image", "target")),
        *((name, INT) for name in ("target_bytes", "height", "width")),
        ("weight", FLOAT),
        ("root", INT),
        *((name, POINTER) for name in ("counting", "maps", "partial", "means", "loss")),
        *((name, POINTER) for name in ("by_means", "by_loss", "grad_image")),
    )


def photometric(
    image: Tensor,
    target: Tensor,
    ssim_weight: float = 0.0,
    weight: Tensor | float = 1.0,
    *,
    root: bool = False,
) -> tuple[Tensor, Tensor]:
    """Mean absolute difference, mean SSIM and mean squared difference from the image between 0 and 1, float32
    [3], and the loss [] of `gspc.ops.ssim.picture_loss`; the first two and the loss are differentiable in
    `image`.

    Checked arguments on one CUDA device: image float32 [H, W, 3]; target float32, or uint8 standing for value
    / 255, of the same shape. Raises BackendError where the kernels cannot be used.
    """
    kernels.require()
    counting = None if isinstance(weight, float) and weight == 1.0 else torch.as_tensor(weight).to(image)
    means, loss = _Photometric.apply(image.contiguous(), target.contiguous(), ssim_weight, counting, root)
    return means, loss


def _about(image: Tensor, target: Tensor) -> _Call:
    height, width = image.shape[:2]
    call = _Call(height=height, width=width, target_bytes=target.element_size())
    call.image, call.target = image.data_ptr(), target.data_ptr()
    return call


def _partials(call: _Call) -> int:
    """Floats of scratch, three for each tile."""
    return 3 * -(-call.height // TILE) * -(-call.width // TILE)


class _Photometric(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: Tensor, target: Tensor, ssim_weight: float, counting: Tensor | None, root: bool
    ) -> tuple[Tensor, Tensor]:
        call = _about(image, target)
        call.weight, call.root, call.counting = ssim_weight, root, kernels.pointer(counting)
        maps = image.new_empty((3, *image.shape)) if ctx.needs_input_grad[0] else None
        means, loss, partial = image.new_empty(3), image.new_empty(()), image.new_empty(_partials(call))
        call.maps, call.partial = kernels.pointer(maps), partial.data_ptr()
        call.means, call.loss = means.data_ptr(), loss.data_ptr()
        kernels.run("gspc_photometric_forward", call, image)
        ctx.save_for_backward(image, target, maps, partial, counting)
        ctx.call = call
        ctx.set_materialize_grads(False)
        return means, loss

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, by_means: Tensor | None, by_loss: Tensor | None
    ) -> tuple[Tensor, None, None, None, None]:
        image, call = ctx.saved_tensors[0], ctx.call
        grad = torch.empty_like(image)
        given = [None if by is None else by.contiguous() for by in (by_means, by_loss)]
        call.by_means, call.by_loss = (kernels.pointer(by) for by in given)
        call.grad_image = grad.data_ptr()
        kernels.run("gspc_photometric_backward", call, image)
        return grad, None, None, None, None
