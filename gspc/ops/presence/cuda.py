"""Presence of a level's Gaussians on a CUDA device, by `kernels/cuda/presence.cu`."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from gspc.ops import cuda as kernels
from gspc.ops.cuda import COUNT, INT, POINTER
from gspc.ops.presence.types import Presence, Tally

MAX_MEANS = 8
_ANCHORS = ("anchor_appears", "anchor_before", "anchor_now")
_GAUSSIANS = ("appears", "before", "now")


class _Call(ctypes.Structure):
    """`PresenceCall` of kernels/cuda/presence.cu."""

    _fields_ = (
        *((name, COUNT) for name in ("n", "offsets", "planes", "level")),
        *((name, POINTER) for name in ("masks", *_ANCHORS, *_GAUSSIANS, "parts", "bits", "costs")),
    )


class _Means(ctypes.Structure):
    """`MeansCall`."""

    _fields_ = (
        ("count", INT),
        ("n", COUNT * MAX_MEANS),
        *((name, POINTER * MAX_MEANS) for name in ("values", "weights")),
        ("means", POINTER),
    )


def presence(masks: Tensor, level: int) -> tuple[Presence, Presence, Tally]:
    """See `gspc.ops.presence.presence`: [n, K, S] -> [n, 1], [n, K] and numbers."""
    masks = masks.contiguous()
    n, offsets, planes = masks.shape
    call = _Call(n=n, offsets=offsets, planes=planes, level=level, masks=masks.data_ptr())
    of_anchors, of_gaussians = masks.new_empty(3, n, 1), masks.new_empty(3, n, offsets)
    bits = masks.new_empty(2)
    doubles = torch.empty(2 + 3 * kernels.blocks(n), dtype=torch.float64, device=masks.device)
    for names, tensor in ((_ANCHORS, of_anchors), (_GAUSSIANS, of_gaussians)):
        for number, name in enumerate(names):
            setattr(call, name, tensor.data_ptr() + 4 * number * (tensor.numel() // 3))
    call.bits, call.costs, call.parts = bits.data_ptr(), doubles.data_ptr(), doubles.data_ptr() + 16
    kernels.run("gspc_presence", call, masks)
    anchor_cost, gaussian_cost = doubles[:2].unbind()
    appearing, mask_bits = bits.unbind()
    tally = Tally(appearing, mask_bits, anchor_cost, gaussian_cost)
    return Presence(*of_anchors.unbind()), Presence(*of_gaussians.unbind()), tally


def means(values: list[Tensor], weights: list[Tensor]) -> Tensor:
    """See `gspc.ops.presence.means`: [...] each -> float64."""
    given = [(v.contiguous(), w.contiguous()) for v, w in zip(values, weights, strict=True)]
    call = _Means(count=len(given))
    found = torch.empty(len(given), dtype=torch.float64, device=values[0].device)
    for number, (v, w) in enumerate(given):
        call.n[number], call.values[number], call.weights[number] = v.numel(), v.data_ptr(), w.data_ptr()
    call.means = found.data_ptr()
    kernels.run("gspc_means", call, found)
    return found
