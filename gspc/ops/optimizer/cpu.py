"""A step of Adam over all tensors by `gspc._kernels`."""

from __future__ import annotations

import math
from collections.abc import MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.kernels import native


def takes(parameter: Tensor) -> bool:  # of any shape [...]
    """Whether the kernel can update this parameter in place."""
    return place.of(parameter) == "cpu" and parameter.is_contiguous()


def step(groups: Sequence[dict[str, Any]], states: MutableMapping[Tensor, dict[str, Any]]) -> None:
    """Updates every parameter [...] that has a gradient, and its moments [...], which are made where there
    are none; groups and states are those of `torch.optim.Adam`."""
    tensors, grads, settings = [], [], []
    for group in groups:
        beta1, beta2 = group["betas"]
        for p in group["params"]:
            if p.grad is None:
                continue
            state = states[p]
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros(p.shape), torch.zeros(p.shape)
            state["step"] += 1
            count = float(state["step"])
            first, second = 1 - beta1**count, math.sqrt(1 - beta2**count)
            tensors.append([t.detach().numpy() for t in (p, state["exp_avg"], state["exp_avg_sq"])])
            grads.append(p.grad.contiguous().numpy())
            settings.append([group["lr"] / first, second, beta1, beta2, group["eps"]])
    native.adam(tensors, grads, settings)
