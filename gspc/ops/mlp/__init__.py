"""Two-layer networks over many rows. N rows, I inputs, H hidden units, O outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.mlp import cpu, definition
from gspc.ops.mlp.types import TwoLayerWeights

__all__ = ["TwoLayerWeights", "two_layers"]


def two_layers(
    x: Tensor, networks: Sequence[TwoLayerWeights], index: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Outputs of networks that read the same rows, which are fetched once; what lies between the layers stays
    in cache.

    Args:
        x: [N, I].
        networks: at least one; widths of their own but for I.
        index: int64 [n], the rows of x to read, in any order; None means all. x gets no gradient with it.

    Returns:
        [n, O] of each network; gradients flow to every argument, and x costs none where it needs none.

    Raises:
        ValueError: on no network, shapes that do not fit, tensors of different dtypes or devices, an index
            outside x, or one beside an x that needs a gradient.
    """
    _check(x, networks, index)
    if place.of(x) != "cpu":
        rows = x if index is None else x.index_select(0, index)
        return tuple(definition.two_layer(rows, *network) for network in networks)
    return cpu.two_layers(x, networks, index)


def _check(x: Tensor, networks: Sequence[TwoLayerWeights], index: Tensor | None) -> None:
    if not networks:
        raise ValueError("mlp: no network")
    if index is not None:
        if index.dtype != torch.int64 or index.ndim != 1 or index.device != x.device:
            raise ValueError(f"mlp: index is {index.dtype} {tuple(index.shape)}, expected int64 [n]")
        if x.requires_grad and torch.is_grad_enabled():
            raise ValueError("mlp: no gradient for rows of an index")
    for w1, b1, w2, b2 in networks:
        if x.ndim != 2 or w1.ndim != 2 or w2.ndim != 2:
            raise ValueError("mlp: matrices expected for x, w1 and w2")
        shapes = {"x": (len(x), w1.shape[1]), "w1": tuple(w1.shape), "b1": (len(w1),)}
        shapes |= {"w2": (len(w2), len(w1)), "b2": (len(w2),)}
        for (name, shape), tensor in zip(shapes.items(), (x, w1, b1, w2, b2), strict=True):
            if tuple(tensor.shape) != shape:
                raise ValueError(f"mlp: {name} has shape {tuple(tensor.shape)}, expected {shape}")
            if tensor.dtype != x.dtype or tensor.device != x.device:
                raise ValueError(
                    f"mlp: {name} is {tensor.dtype} on {tensor.device}, x is {x.dtype} on {x.device}"
                )
