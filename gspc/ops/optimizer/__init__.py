"""Adam (Kingma and Ba 2015): torch's optimizer, on a CPU in one pass over all tensors."""

from __future__ import annotations

from typing import Any

import torch

from gspc.ops.optimizer import cpu

__all__ = ["Adam"]


class Adam(torch.optim.Adam):
    """torch's Adam with betas, eps and learning rates by group; parameters of any shape [...], one state of
    their shape per moment.

    Float32 parameters on a CPU that lie in rows are updated by one kernel. Everything else is updated by
    `torch.optim.Adam`, which is the definition. State and checkpoints are torch's.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; parameters without a gradient stay as they are. A closure is torch's business."""
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        if closure is not None or not all(cpu.takes(p) for p in params):
            return super().step(closure)
        cpu.step(self.param_groups, self.state)
        return None
