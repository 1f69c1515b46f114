"""Who computes an operation: the compiled CPU kernels, the CUDA kernels, or torch by the definition."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from gspc.ops import cuda

Place = Literal["cpu", "cuda", "torch"]


def of(tensor: Tensor) -> Place:  # of any shape, [...]
    """Whose kernels compute what is given as float32 tensors on this one's device.

    Every operation asks here, so that tests can run the path of a GPU on a CPU by answering in its place.
    """
    if tensor.dtype != torch.float32:
        return "torch"
    if tensor.device.type == "cpu":
        return "cpu"
    return "cuda" if tensor.is_cuda and cuda.enabled() else "torch"
