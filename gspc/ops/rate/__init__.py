"""Rate of attributes at a level: what their values cost under the contexts' distributions.

The loss adds these up, so every function returns a sum, weighted by who appears or is refined; and beside it
the bits by group of values, which have no gradient. n anchors, V values of each, G groups of values.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from gspc.ops import place
from gspc.ops.rate import cpu, cuda, definition
from gspc.ops.rate.autograd import Rates
from gspc.ops.rate.definition import gaussian_bits, weighted_sum
from gspc.ops.rate.types import Appearing, AttributeRows, GaussianTrits, Job, ThreeWay, check
from gspc.ops.steps import relative_step

__all__ = [
    "Appearing",
    "AttributeRows",
    "GaussianTrits",
    "Job",
    "ThreeWay",
    "all_bits",
    "appearance_bits",
    "chunk_inputs",
    "gaussian_bits",
    "gaussian_trit_bits",
    "relative_step",
    "three_way_bits",
    "trits",
    "weighted_sum",
]

BY_CPU, BY_CUDA = Rates(cpu), Rates(cuda)


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
    _check_appearing(rows, weights, chunks)
    return _kernels(rows.values, chunks).appearance_bits(rows, refinement, weights, chunks, seed)


def _check_appearing(rows: AttributeRows, weights: Tensor, chunks: Sequence[Tensor]) -> None:
    _check_weights(weights, rows.values)
    channels = 0
    for number, outputs in enumerate(chunks):
        own = outputs.shape[-1] // 3
        check(f"chunk {number}", outputs, (len(rows.values), 3 * own), rows.values)
        channels += own
    if channels > rows.values.shape[1]:
        raise ValueError(f"rate: chunks of {channels} channels, there are {rows.values.shape[1]}")


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
    return _kernels(rows.values, ends).chunk_inputs(rows, refinement, ends)


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
    return _kernels(rows.values).trits(rows, finest, coarser)


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
    _check_three_way(outputs, trits, weights)
    return _kernels(outputs).three_way_bits(outputs, trits, weights)


def gaussian_trit_bits(
    rows: AttributeRows, refinement: int, finest: int, coarser: int, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Bits of trits by the shares that the Gaussians of first appearances have of the three bins (PCGS's
    ablation "trits with a Gaussian"). Gradients flow to octaves, r and weights [n, G]; arguments and results,
    a scalar and [n, G], are those of `appearance_bits` and `trits`."""
    _check_gaussian_trits(rows, finest, coarser, weights)
    return _kernels(rows.values).gaussian_trit_bits(rows, refinement, finest, coarser, weights)


def all_bits(jobs: Sequence[Sequence[Job | Tensor]]) -> tuple[Tensor, list[Tensor]]:
    """Bits of several attributes, which a GPU finds in one go.

    Args:
        jobs: of each attribute those that appear, then what else its bits are made of: jobs, whose fields are
            the arguments of the functions here, or scalars that are known already.

    Returns:
        The weighted sum of all of it, a scalar, and the sums of bits [n, G] of each attribute's first job.
        Gradients and errors as those of the functions.
    """
    flat = [job for some in jobs for job in some if not isinstance(job, Tensor)]
    if place.of(flat[0].weights) == "cuda" and cuda.takes_all(flat):
        for job in flat:
            _CHECKS[type(job)](job)
        total, sums = cuda.all_bits(flat)
        by_job = {id(job): found for job, found in zip(flat, sums, strict=True)}
        known = [job for some in jobs for job in some if isinstance(job, Tensor)]
        return sum(known, total), [by_job[id(some[0])] for some in jobs]
    totals, groups = [], []
    for some in jobs:
        bits = [job if isinstance(job, Tensor) else _ALONE[type(job)](*job) for job in some]
        first, *others = (found if isinstance(found, Tensor) else found[0] for found in bits)
        totals.append(sum(others, first))
        groups.append(bits[0][1])
    return sum(totals[1:], totals[0]), groups


_ALONE: dict[type, Callable[..., tuple[Tensor, Tensor]]] = {
    Appearing: appearance_bits,
    ThreeWay: three_way_bits,
    GaussianTrits: gaussian_trit_bits,
}
_CHECKS: dict[type, Callable[..., None]] = {
    Appearing: lambda job: _check_appearing(job.rows, job.weights, job.chunks),
    ThreeWay: lambda job: _check_three_way(*job),
    GaussianTrits: lambda job: _check_gaussian_trits(job.rows, job.finest, job.coarser, job.weights),
}


def _check_three_way(outputs: Tensor, trits: Tensor, weights: Tensor) -> None:
    check("outputs", outputs, (len(trits), 2 * trits.shape[1]), trits)
    _check_weights(weights, trits)


def _check_gaussian_trits(rows: AttributeRows, finest: int, coarser: int, weights: Tensor) -> None:
    _check_weights(weights, rows.values)
    if finest % 3 ** (coarser + 1):
        raise ValueError(f"rate: nothing {coarser + 1} levels above a grid of {finest} steps")


def _check_weights(weights: Tensor, values: Tensor) -> None:
    n, width = values.shape
    groups = weights.shape[-1]
    if groups == 0 or width % groups:
        raise ValueError(f"rate: {groups} weights for {width} values")
    check("weights", weights, (n, groups), values)


def _kernels(tensor: Tensor, chunks: Sequence[object] = ()) -> Any:
    """The module that computes."""
    by = place.of(tensor)
    if by == "cuda" and not cuda.takes(chunks):
        by = "torch"
    return {"cpu": BY_CPU, "cuda": BY_CUDA, "torch": definition}[by]
