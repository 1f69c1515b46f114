"""The digits -1, 0 and 1 with which later stages refine values (pcgs(5), TRITS)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gspc.format.shape import Attribute
from gspc.reference.arrays import I32, I64, U8, U16, Bool
from gspc.reference.mixtures import Mixtures, normal_cdf
from gspc.reference.networks import Layers, gaussian_indices, network, value_inputs
from gspc.reference.symbol_tables import SymbolTable, trit_table
from gspc.reference.tables import PLUS, ZERO

MEAN_LIMIT = 1 << 10  # of a Gaussian without bounds, 1/16 steps


@dataclass(frozen=True)
class Coarse:
    """Values of one attribute of N anchors before `stage` refines them."""

    stage: int
    context: I64  # [N, C]
    k: I32  # [N, n], symbols of the stage before
    step: U8  # [N], step indices
    scales: I64  # [N, n], scale outputs of `stage`


def trit_tables(attribute: Attribute, layers: Layers, coarse: Coarse, chosen: Bool) -> list[SymbolTable]:
    """The tables of the trits of those values [N, n] that are chosen, anchor by anchor."""
    if attribute.trit_model == "gaussian":
        indices = gaussian_trits(coarse)[chosen]
    elif attribute.trit_model == "learned":
        indices = learned_trits(attribute, layers, coarse)[chosen]
    else:
        return unbounded_trits(attribute, layers, coarse).where(chosen).tables()
    return [trit_table(index) for index in indices.tolist()]


def _outputs(attribute: Attribute, layers: Layers, coarse: Coarse) -> tuple[I64, I64]:
    """Outputs a [N, n] and b [N, n] of the attribute's trit network."""
    values = value_inputs(coarse.k, coarse.step, coarse.stage - 1)
    inputs = np.concatenate([coarse.context, values], axis=1)
    z = network(layers, f"trit_{attribute.name}", inputs, coarse.stage - 2)
    return z[:, : attribute.values], z[:, attribute.values :]


def learned_trits(attribute: Attribute, layers: Layers, coarse: Coarse) -> U16:
    """Trit tables [N, n] that a network names (trit model 0)."""
    a, b = _outputs(attribute, layers, coarse)
    return (64 * np.clip(a, 0, 63) + np.clip(b, 0, 63)).astype(np.uint16)


def gaussian_trits(coarse: Coarse) -> U16:
    """Trit tables [N, n] nearest to the Gaussian on 3k - 1, 3k and 3k + 1 (trit model 1)."""
    gaussians = gaussian_indices(coarse.scales, coarse.step, coarse.stage)
    center = 16 * 3 * coarse.k.astype(np.int64)
    edges = [normal_cdf(center + x, gaussians) for x in (-24, -8, 8, 24)]
    minus, zero, plus = (end - start + 1 for start, end in pairwise(edges))
    a = _reached(zero, minus + zero + plus, ZERO)
    b = _reached(plus, minus + plus, PLUS)
    return (64 * a + b).astype(np.uint16)


def _reached(part: I64, whole: I64, shares: I64) -> I64:
    """How many of the shares in 1/2^16 `part` has of `whole`, elementwise."""
    return np.sum([part << 16 >= share * whole for share in shares.tolist()], axis=0)


def unbounded_trits(attribute: Attribute, layers: Layers, coarse: Coarse) -> Mixtures:
    """Gaussians [N, n] that a network names, each as a mixture of it with itself (trit model 2)."""
    a, b = _outputs(attribute, layers, coarse)
    means = np.clip(a, -MEAN_LIMIT, MEAN_LIMIT).astype(np.int16)
    scales = np.clip(b + 64, 0, 127).astype(np.uint8)
    return Mixtures((scales, scales), (means, means), np.zeros(means.shape, np.uint8))
