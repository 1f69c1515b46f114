"""A step of Adam over all tensors by `kernels/cuda/adam.cu`."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from gspc.ops import cuda as kernels
from gspc.ops.cuda import COUNT, FLOAT, INT, POINTER
from gspc.ops.optimizer.updates import Update

MAX_TENSORS = 55  # of a launch


class _Tensor(ctypes.Structure):
    """`AdamTensor` of kernels/cuda/adam.cu."""

    _fields_ = (
        *((name, POINTER) for name in ("value", "moment", "square", "grad")),
        ("n", COUNT),
        *((name, FLOAT) for name in ("step", "root", "keep1", "keep2", "epsilon", "take1", "take2")),
    )


class _Call(ctypes.Structure):
    """`AdamCall`."""

    _fields_ = (("tensors", INT), ("tensor", _Tensor * MAX_TENSORS))


def step(updates: Iterable[Update]) -> None:
    """Updates parameters and their moments [...]."""
    all_of = list(updates)
    for first in range(0, len(all_of), MAX_TENSORS):
        some = all_of[first : first + MAX_TENSORS]
        call = _Call(tensors=len(some))
        for to, one in zip(call.tensor, some, strict=False):
            to.value, to.moment, to.square = (t.data_ptr() for t in (one.value, one.moment, one.square))
            to.grad, to.n = one.grad.data_ptr(), one.value.numel()
            to.step, to.root, to.keep1, to.keep2, to.epsilon = one.settings
            to.take1, to.take2 = 1 - one.beta1, 1 - one.beta2
        kernels.run("gspc_adam", call, some[0].value)
