"""What a step of Adam does to each parameter, for the kernels of a CPU and of a GPU alike."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Update:
    """One parameter's step; all tensors have its shape [...] and lie in rows."""

    value: Tensor
    moment: Tensor
    square: Tensor
    grad: Tensor
    step: float  # learning rate / (1 - beta1^t)
    root: float  # sqrt(1 - beta2^t)
    beta1: float
    beta2: float
    epsilon: float

    @property
    def settings(self) -> list[float]:
        """The five numbers, in order."""
        return [self.step, self.root, self.beta1, self.beta2, self.epsilon]


def updates(
    groups: Sequence[dict[str, Any]], states: MutableMapping[Tensor, dict[str, Any]]
) -> Iterator[Update]:
    """The parameters [...] that have a gradient, their states one step further, with moments of zeros where
    there were none; groups and states are those of `torch.optim.Adam`."""
    for group in groups:
        beta1, beta2 = group["betas"]
        for p in group["params"]:
            if p.grad is None:
                continue
            state = states[p]
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
            first, second = 1 - beta1 ** (count := _counted(state)), math.sqrt(1 - beta2**count)
            yield Update(
                *(p, state["exp_avg"], state["exp_avg_sq"], p.grad.contiguous()),
                *(group["lr"] / first, second, beta1, beta2, group["eps"]),
            )


def _counted(state: dict[str, Any]) -> float:
    """One more step. The count is a tensor as torch has it, on the CPU, where torch's fused kernels put it on
    the GPU. It is changed where it lies: by operations of torch, or through numpy, the counts of some seventy
    parameters take a fifth of a millisecond."""
    if state["step"].device.type != "cpu":
        state["step"] = state["step"].cpu()
    count = ctypes.c_float.from_address(state["step"].data_ptr())
    count.value += 1
    return count.value
