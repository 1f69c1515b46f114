"""Two-layer networks over many rows. N rows, I inputs, H hidden units, O outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.mlp import cpu, cuda, definition
from gspc.ops.mlp.types import Inputs, LevelFactors, Rounding, TwoLayerWeights, in_one, parts_of

__all__ = [
    "Inputs",
    "LevelFactors",
    "Rounding",
    "TwoLayerWeights",
    "in_one",
    "two_layers",
    "two_layers_each",
]


def two_layers(
    x: Inputs, networks: Sequence[TwoLayerWeights], index: Tensor | None = None
) -> tuple[Tensor, ...]:
    """Outputs of networks that read the same rows, which are fetched once; what lies between the layers stays
    in cache.

    Args:
        x: [N, I], or up to three tensors that lie side by side in such rows.
        networks: at least one; widths of their own but for I. With a rounding a network runs in simulated
            integers.
        index: int64 [n], the rows of x to read, in any order; None means all. x gets no gradient with it.

    Returns:
        [n, O] of each network; gradients flow to every argument, and x costs none where it needs none.

    Raises:
        ValueError: on no network, shapes that do not fit, tensors of different dtypes or devices, an index
            outside x, or one beside an x that needs a gradient or comes in parts.
    """
    _check(x, networks, index)
    by = place.of(parts_of(x)[0])
    if by == "cuda":
        return cuda.two_layers_each([x] * len(networks), networks, index)
    rows = in_one(x)
    if any(network.rounding for network in networks):
        rows = rows if index is None else rows.index_select(0, index)
        return tuple(_by_definition(rows, network) for network in networks)
    folded = [network.folded() for network in networks]
    if by == "cpu":
        return cpu.two_layers(rows, folded, index)
    rows = rows if index is None else rows.index_select(0, index)
    return tuple(definition.two_layer(rows, *network) for network in folded)


def _by_definition(rows: Tensor, network: TwoLayerWeights) -> Tensor:
    if network.rounding:
        return definition.rounded_two_layer(rows, network)
    return definition.two_layer(rows, *network.folded())


def two_layers_each(inputs: Sequence[Inputs], networks: Sequence[TwoLayerWeights]) -> tuple[Tensor, ...]:
    """The same of networks that read rows of their own, all as many: a GPU computes all of them at once.

    inputs: [n, I] of each network, or its parts. Returns [n, O] of each. Raises ValueError as `two_layers`.
    """
    if place.of(parts_of(inputs[0])[0]) != "cuda":
        return tuple(two_layers(x, [net])[0] for x, net in zip(inputs, networks, strict=True))
    for x, network in zip(inputs, networks, strict=True):
        _check(x, [network], None)
    return cuda.two_layers_each(inputs, networks, None)


def _check(x: Inputs, networks: Sequence[TwoLayerWeights], index: Tensor | None) -> None:
    parts = parts_of(x)
    if not networks:
        raise ValueError("mlp: no network")
    if not 1 <= len(parts) <= cuda.MAX_PARTS or any(len(part) != len(parts[0]) for part in parts):
        raise ValueError(f"mlp: x has parts of {[tuple(part.shape) for part in parts]}")
    if index is not None:
        _check_index(parts, index)
    for network in networks:
        _check_network(parts, network)


def _check_index(parts: tuple[Tensor, ...], index: Tensor) -> None:
    x = parts[0]
    if index.dtype != torch.int64 or index.ndim != 1 or index.device != x.device:
        raise ValueError(f"mlp: index is {index.dtype} {tuple(index.shape)}, expected int64 [n]")
    if len(parts) > 1 or (x.requires_grad and torch.is_grad_enabled()):
        raise ValueError("mlp: no gradient for rows of an index")


def _check_network(parts: tuple[Tensor, ...], network: TwoLayerWeights) -> None:
    w1, b1, w2, b2, gain, rounding = network
    x = parts[0]
    if any(part.ndim != 2 for part in parts) or w1.ndim != 2 or w2.ndim != 2:
        raise ValueError("mlp: matrices expected for x, w1 and w2")
    read, hidden = sum(part.shape[1] for part in parts), len(w1)
    if w1.shape[1] != read:
        raise ValueError(f"mlp: x has shape {(len(x), read)}, expected {(len(x), w1.shape[1])}")
    expected = [("w1", w1, (hidden, read)), ("b1", b1, (hidden,)), ("w2", w2, (len(w2), hidden))]
    expected += [("b2", b2, (len(w2),)), *(("x", part, tuple(part.shape)) for part in parts)]
    if gain is not None:
        levels = (len(gain.slope),)
        shapes = levels, levels, levels, (hidden, 1), (hidden,)
        expected += [("gain", t, shape) for t, shape in zip(gain[:5], shapes, strict=True)]
    if rounding is not None and rounding.units is not None:
        expected.append(("units", rounding.units, ()))
    for name, tensor, shape in expected:
        if tuple(tensor.shape) != shape:
            raise ValueError(f"mlp: {name} has shape {tuple(tensor.shape)}, expected {shape}")
        if tensor.dtype != x.dtype or tensor.device != x.device:
            raise ValueError(
                f"mlp: {name} is {tensor.dtype} on {tensor.device}, x is {x.dtype} on {x.device}"
            )
