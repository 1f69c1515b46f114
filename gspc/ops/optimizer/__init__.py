"""Adam (Kingma and Ba 2015): torch's optimizer, in one pass over all tensors."""

from __future__ import annotations

from typing import Any

import torch

from gspc.ops import place
from gspc.ops.optimizer import cpu, cuda
from gspc.ops.optimizer.updates import updates

__all__ = ["Adam"]


class Adam(torch.optim.Adam):
    """torch's Adam with betas, eps and learning rates by group; parameters of any shape [...], one state of
    their shape per moment.

    Float32 parameters that lie in rows are updated by one kernel, on a CPU and by our kernels on a GPU.
    Everything else is updated by `torch.optim.Adam`, which is the definition. State and checkpoints are
    torch's.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; parameters without a gradient stay as they are. A closure is torch's business."""
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        places = {place.of(p) if p.is_contiguous() else "torch" for p in params}
        if closure is not None or places not in ({"cpu"}, {"cuda"}):
            return super().step(closure)
        kernels = {"cpu": cpu, "cuda": cuda}[places.pop()]
        kernels.step(updates(self.param_groups, self.state))
        return None
