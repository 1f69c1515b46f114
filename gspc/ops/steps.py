"""The step of a row's grid, in torch, for the definitions of rates and of rows alike."""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.format import units

# What the stream's table of steps holds.
_LOWEST_R = -units.STEP_CENTER / units.STEP_RESOLUTION
_HIGHEST_R = (units.STEP_COUNT - 1 - units.STEP_CENTER) / units.STEP_RESOLUTION


def relative_step(r: Tensor) -> Tensor:  # [...] -> [...]
    """Step of level 1 over Q0 from the steps network's output r: 1 + tanh r, as far as the stream's table of
    steps reaches (method section 2). The only formula of steps in torch."""
    return 1 + torch.tanh(r.clamp(_LOWEST_R, _HIGHEST_R))
