"""Rate of attributes at a level: what their values cost under the contexts' distributions (torch autograd
over `gspc._kernels`, values and derivatives in one pass; the definition is in `gspc.ops.reference` and runs
on every device).

The loss adds these up, so every function returns a sum, weighted by who appears or is refined; and beside it
the bits by group of values, which have no gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gspc.ops import reference
from gspc.ops.arrays import kernels


@dataclass(frozen=True)
class AttributeRows:
    """One attribute of n anchors, V values each, and what their contexts say about it; rows may be part of
    wider ones.

    Raises ValueError for shapes that do not fit, and different dtypes or devices.
    """

    values: Tensor  # [n, V]
    center: Tensor  # [n, V] mean of the values' grid, in units of Q0
    octaves: Tensor  # [n, V] log2 of the standard deviation over Q0 / 8
    r: Tensor  # [n, 1] of the step (see gspc.model.quantization)
    base: float  # Q0

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"rate: values are {tuple(self.values.shape)}, expected [n, V]")
        n, width = self.values.shape
        shapes = {"center": (n, width), "octaves": (n, width), "r": (n, 1)}
        for name, shape in shapes.items():
            _check(name, getattr(self, name), shape, self.values)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Values, center, octaves and r."""
        return self.values, self.center, self.octaves, self.r


def appearance_bits(
    rows: AttributeRows,
    refinement: int,
    weights: Tensor,
    chunks: Sequence[Tensor] = (),
    seed: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Bits of values that appear, under Gaussians around their centers (PCGS Eq. 4); of the later channels
    under mixtures of those with second components (HAC++).

    Args:
        rows: float32 [n, V] and so on.
        refinement: steps of the level per step of level 1.
        weights: [n, G] of V / G values each.
        chunks: outputs of the networks of the intra-anchor context, [n, 3 own] each: means in units of Q0,
            octaves and logits of the second components' weights. The last one's channels are the last ones.
        seed: of the uniform noise that stands for rounding, 0 <= seed < 2^64; element (row, c) has the same
            noise on every device. None rounds, and values and centers get no gradient.

    Returns:
        The weighted sum, a scalar, and the sums of bits [n, G], detached; a value costs at most 24. Gradients
        flow to every tensor, also from where a mass is bounded, so that far-off values find their way back.

    Raises:
        ValueError: shapes that do not fit, dtypes or devices that differ.
    """
    _check_weights(weights, rows.values)
    channels = 0
    for number, outputs in enumerate(chunks):
        own = outputs.shape[-1] // 3
        _check(f"chunk {number}", outputs, (len(rows.values), 3 * own), rows.values)
        channels += own
    if channels > rows.values.shape[1]:
        raise ValueError(f"rate: chunks of {channels} channels, there are {rows.values.shape[1]}")
    if _elsewhere(rows.values):
        return reference.appearance_bits(rows, refinement, weights, chunks, seed)
    return _Appearance.apply(rows.base, refinement, seed, weights, *rows.tensors, *chunks)


def chunk_inputs(rows: AttributeRows, refinement: int, ends: Sequence[int]) -> tuple[Tensor, ...]:
    """What the networks of the intra-anchor context see (the stream's integers / 512).

    Args:
        rows: of the features.
        refinement: as for `appearance_bits`.
        ends: one after the last channel of each chunk, ascending, the first chunk's included.

    Returns:
        Of every chunk but the first, [n, 2 own + before]: the own channels' scales as table indices, (index -
        64) / 32; their centers in units of 8 Q0; and the rounded values of the channels before, in units of 8
        Q0. Gradients flow through the scales and centers, to centers, octaves and r.

    Raises:
        ValueError: ends that do not ascend or that are beyond the channels.
    """
    ascending = [0, *ends]
    if len(ends) < 2 or any(a >= b for a, b in itertools.pairwise(ascending)):
        raise ValueError(f"rate: ends {list(ends)} must ascend, two or more")
    if ends[-1] > rows.values.shape[1]:
        raise ValueError(f"rate: ends {list(ends)} of {rows.values.shape[1]} channels")
    if _elsewhere(rows.values):
        return reference.chunk_inputs(rows, refinement, ends)
    return _ChunkInputs.apply(rows.base, refinement, list(ends), *rows.tensors)


def trits(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """What refines values at a level, and what is known before; of nested grids, so both come from the finest
    symbols (PCGS Eq. 5). No gradients.

    Args:
        rows: their octaves are not read.
        finest: steps of the finest grid per step of level 1, a power of 3.
        coarser: levels from the finest grid up to the one that refines; at least one more is above it.

    Returns:
        The values at the level before in units of 8 Q0, limited as the networks see them, and the trits, -1,
        0 or 1; [n, V].

    Raises:
        ValueError: no level above.
    """
    if finest % 3 ** (coarser + 1):
        raise ValueError(f"rate: nothing {coarser + 1} levels above a grid of {finest} steps")
    if _elsewhere(rows.values):
        return reference.trits(rows, finest, coarser)
    so_far, found = torch.empty(rows.values.shape), torch.empty(rows.values.shape)
    arrays = _attribute(rows.base, 1, rows.tensors)
    kernels().rate_trits(arrays, finest, coarser, so_far.numpy(), found.numpy())
    return so_far, found


def three_way_bits(outputs: Tensor, trits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Bits of trits under a network's three-way distributions (PCGS Eq. 6).

    Args:
        outputs: [n, 2 V]; logits of zero against nonzero, limited to [-8, 7.75], and of +1 against -1,
            limited to [-4, 3.875], as the stream's tables are.
        trits: [n, V] of -1, 0, 1; no gradient.
        weights: [n, G] of V / G values each.

    Returns:
        As `appearance_bits`, which also says what is refused.
    """
    _check("outputs", outputs, (len(trits), 2 * trits.shape[1]), trits)
    _check_weights(weights, trits)
    if _elsewhere(outputs):
        return reference.weighted_three_way_bits(outputs, trits, weights)
    return _ThreeWay.apply(outputs, trits, weights)


def gaussian_trit_bits(
    rows: AttributeRows, refinement: int, finest: int, coarser: int, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Bits of trits by the shares that the Gaussians of first appearances have of the three bins (PCGS's
    ablation "trits with a Gaussian"). Gradients flow to octaves, r and weights; arguments and results are
    those of `appearance_bits` and `trits`."""
    _check_weights(weights, rows.values)
    if finest % 3 ** (coarser + 1):
        raise ValueError(f"rate: nothing {coarser + 1} levels above a grid of {finest} steps")
    if _elsewhere(rows.values):
        return reference.gaussian_trit_bits(rows, refinement, finest, coarser, weights)
    return _GaussianTrits.apply(rows.base, refinement, finest, coarser, weights, *rows.tensors)


def _check(name: str, tensor: Tensor, shape: tuple[int, ...], like: Tensor) -> None:
    if tuple(tensor.shape) != shape:
        raise ValueError(f"rate: {name} has shape {tuple(tensor.shape)}, expected {shape}")
    if tensor.dtype != like.dtype or tensor.device != like.device:
        raise ValueError(
            f"rate: {name} is {tensor.dtype} on {tensor.device}, expected {like.dtype} on {like.device}"
        )


def _check_weights(weights: Tensor, values: Tensor) -> None:
    n, width = values.shape
    groups = weights.shape[-1]
    if groups == 0 or width % groups:
        raise ValueError(f"rate: {groups} weights for {width} values")
    _check("weights", weights, (n, groups), values)


def _elsewhere(tensor: Tensor) -> bool:
    return tensor.device.type != "cpu" or tensor.dtype != torch.float32


def _rows(tensor: Tensor) -> Any:
    """As numpy, of any row stride."""
    tensor = tensor.detach()
    return (tensor if tensor.stride(1) == 1 else tensor.contiguous()).numpy()


def _attribute(base: float, refinement: int, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    return *(_rows(tensor) for tensor in tensors), base, float(refinement)


def _numpy(tensors: Sequence[Tensor] | None) -> list[Any] | None:
    return None if tensors is None else [tensor.numpy() for tensor in tensors]


def _scaled(grad: Tensor, needed: Sequence[bool], tensors: Sequence[Tensor]) -> list[Tensor | None]:
    return [grad * tensor if need else None for need, tensor in zip(needed, tensors, strict=True)]


class _Appearance(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, seed: int | None, weights: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        sums = torch.empty(weights.shape)
        slopes = [torch.empty(t.shape) for t in tensors] if any(ctx.needs_input_grad[4:]) else None
        total = kernels().rate_appearance(
            *(_attribute(base, refinement, tensors[:4]), seed, weights.detach().contiguous().numpy()),
            *([_rows(t) for t in tensors[4:]], sums.numpy(), _numpy(slopes)),
        )
        ctx.save_for_backward(sums, *(slopes or ()))
        ctx.mark_non_differentiable(sums)
        return torch.tensor(total, dtype=torch.float32), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        needed = ctx.needs_input_grad
        by_weights = grad * sums if needed[3] else None
        return None, None, None, by_weights, *_scaled(grad, needed[4:], slopes or [None] * len(needed[4:]))


class _ChunkInputs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, ends: list[int], *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        n = len(tensors[0])
        inputs = tuple(torch.empty(n, 2 * end - first) for first, end in itertools.pairwise(ends))
        kernels().rate_chunk_inputs(_attribute(base, refinement, tensors), ends, _numpy(inputs))
        ctx.save_for_backward(*tensors)
        ctx.constants = base, refinement, ends
        return inputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        base, refinement, ends = ctx.constants
        by = [torch.empty(t.shape) for t in ctx.saved_tensors[1:]]
        kernels().rate_chunk_inputs_backward(
            *(_attribute(base, refinement, ctx.saved_tensors), ends),
            *([grad.contiguous().numpy() for grad in grads], *(t.numpy() for t in by)),
        )
        return None, None, None, None, *by


class _ThreeWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, outputs: Tensor, trits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        sums = torch.empty(weights.shape)
        slopes = torch.empty(outputs.shape) if ctx.needs_input_grad[0] else None
        total = kernels().rate_three_way(
            *(_rows(outputs), trits.contiguous().numpy(), weights.detach().contiguous().numpy()),
            *(sums.numpy(), None if slopes is None else slopes.numpy()),
        )
        ctx.save_for_backward(sums, *(() if slopes is None else (slopes,)))
        ctx.mark_non_differentiable(sums)
        return torch.tensor(total, dtype=torch.float32), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        by_outputs = grad * slopes[0] if slopes else None
        return by_outputs, None, grad * sums if ctx.needs_input_grad[2] else None


class _GaussianTrits(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, base: float, refinement: int, finest: int, coarser: int, weights: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        sums = torch.empty(weights.shape)
        wanted = any(ctx.needs_input_grad[7:])
        slopes = [torch.empty(t.shape) if wanted else None for t in tensors[2:]]
        total = kernels().rate_gaussian_trits(
            *(_attribute(base, refinement, tensors), finest, coarser, weights.detach().contiguous().numpy()),
            *(sums.numpy(), *(None if t is None else t.numpy() for t in slopes)),
        )
        ctx.save_for_backward(sums, *(t for t in slopes if t is not None))
        ctx.mark_non_differentiable(sums)
        return torch.tensor(total, dtype=torch.float32), sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        sums, *slopes = ctx.saved_tensors
        needed = ctx.needs_input_grad
        by_weights = grad * sums if needed[4] else None
        by = _scaled(grad, needed[7:], slopes) if slopes else [None, None]
        return None, None, None, None, by_weights, None, None, *by
