"""Steps of the grids that nest (method section 2); their formula is `gspc.ops.rate.relative_step`.

Attributes are centered: the grid of an anchor's values is laid around a mean that the context alone predicts,
so that it is the same at every level. The step of level 1 is `q_1 = Q0 (1 + tanh r)`, r one number per anchor
and attribute, predicted from the context alone; level s refines it three-fold: `q_s = q_1 / 3^(s - 1)`.
Offsets keep q_1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gspc.format import units
from gspc.ops.rate import relative_step

# Q0 of a single log scale, about 0.2 / sqrt(6): its rounding moves all six at once, as far as a step sqrt(6)
# times as wide would move one of them.
ONE_SCALE_STEP = 0.08


@dataclass(frozen=True)
class StepBase:
    """Q0 of each attribute: features, log-space scaling, offsets (PCGS reference: 1, -, 0.2; scaling is
    ours, in log space)."""

    features: float = 1.0
    scaling: float = 0.2
    offsets: float = 0.2

    def as_tuple(self) -> tuple[float, float, float]:
        """In the order the steps network emits them."""
        return self.features, self.scaling, self.offsets


def step(base: float, r: Tensor) -> Tensor:
    """Quantization step [...] of level 1 from the network's output r [...]."""
    return base * relative_step(r)


def tabled_step(r: Tensor) -> Tensor:
    """Step [...] relative to Q0 as the stream's table has it for the network's output r [...]."""
    indexed = torch.round(r * units.STEP_RESOLUTION) / units.STEP_RESOLUTION
    return torch.round(float(units.STEP_UNITS) * relative_step(indexed)) / float(units.STEP_UNITS)


def clamp_log2_scale_in_steps(value: Tensor) -> Tensor:
    """Limits log2(sigma / step) [...] to what the pinned Gaussian tables hold."""
    low = units.LOG2_SMALLEST_SCALE
    return value.clamp(low, low + (units.SCALE_COUNT - 1) / units.SCALES_PER_OCTAVE)


def trit_scale(z: Tensor) -> Tensor:
    """Standard deviation [...] in steps of an unbounded refinement, from a trit network's second output
    [...] (in octaves around that of index 64)."""
    middle = units.LOG2_SMALLEST_SCALE + (units.SCALE_COUNT // 2) / units.SCALES_PER_OCTAVE
    return torch.exp2(clamp_log2_scale_in_steps(z + middle))
