"""Adam over named parameter groups whose anchors come and go."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gspc.model.anchors import PER_ANCHOR, AnchorModel
from gspc.model.heads import BLOCKS
from gspc.ops.optimizer import Adam

FIRST_DECAY, SECOND_DECAY = 0.9, 0.999  # of Adam


def make_optimizer(model: AnchorModel, mask_momentum: float = 0.9, views: int = 1) -> torch.optim.Adam:
    """One group per name of the schedule's learning rates; eps as in the reference. `views` that a step
    averages over: moments then forget as fast as they would over as many steps of one view.

    Masks have a momentum of their own, which averages over many views: in a short run their steps are large,
    one view asks for other masks than all views together, and a closed mask does not open again.
    """
    groups: list[dict[str, object]] = [
        {"params": [getattr(model, name)], "name": name} for name in PER_ANCHOR
    ]
    groups[PER_ANCHOR.index("masks")]["betas"] = (mask_momentum**views, SECOND_DECAY**views)
    for name in BLOCKS:
        params = [*model.heads.first[name].parameters(), *model.heads.second[name].parameters()]
        groups.append({"params": params, "name": name})
    residual = [*model.heads.residual_first.parameters(), *model.heads.residual_second.parameters()]
    if residual:
        groups.append({"params": residual, "name": "residual"})
    if model.pool is not None:
        groups.append({"params": list(model.pool.parameters()), "name": "pool"})
    groups.append({"params": list(model.grid.parameters()), "name": "grid"})
    groups.append({"params": list(model.context.parameters()), "name": "context"})
    betas = (FIRST_DECAY**views, SECOND_DECAY**views)
    return Adam(groups, lr=0.0, betas=betas, eps=1e-15, fused=True)


def edit_anchors(
    model: AnchorModel, optimizer: torch.optim.Adam, edit: Callable[[str, Tensor, bool], Tensor]
) -> None:
    """Replaces every per-anchor parameter by `edit(name, values, is_state)`, and its Adam moments likewise:
    [old N, ...] -> [new N, ...]."""
    for group in optimizer.param_groups:
        name = group["name"]
        if name not in PER_ANCHOR:
            continue
        old = group["params"][0]
        new = nn.Parameter(edit(name, old.data, False).contiguous())
        state = optimizer.state.pop(old, None)
        if state:
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = edit(name, state[key], True).contiguous()
            optimizer.state[new] = state
        group["params"][0] = new
        setattr(model, name, new)
