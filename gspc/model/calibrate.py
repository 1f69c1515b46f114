"""Ranges of the entropy networks' activations: how many integers stand for 1.0."""

from __future__ import annotations

import torch

from gspc.model.anchors import AnchorModel
from gspc.model.context import TwoLayer
from gspc.ops import rate
from gspc.ops.mlp.rounding import ACTIVATION_LIMIT

SAMPLE = 20_000
HEADROOM = 1.25  # what lies beyond saturates, which costs less than coarse steps for everything


@torch.no_grad()
def calibrate(model: AnchorModel) -> None:
    """Sets the activation units of every entropy network from a sample of anchors; from then on they are
    quantized."""
    stride = max(1, model.anchors // SAMPLE)
    index = torch.arange(0, model.anchors, stride, device=model.features.device)
    nets, shape, levels = model.context, model.shape, model.shape.levels
    context, pool_values = model.split_grid(model.grid(model.positions.index_select(0, index)))
    prediction, hidden = nets.predict(context)
    gains = [torch.ones_like(hidden[0]), *(nets.trunk_gain(level) for level in range(1, levels + 1))]
    found: dict[TwoLayer, torch.Tensor] = {
        nets.steps: nets.steps.hidden(context).amax(),
        nets.trunk: torch.stack([(hidden * gain).amax() for gain in gains]).amax(),
    }
    if model.pool is not None:
        found[model.pool] = model.pool.hidden(pool_values).amax()

    def note(net: TwoLayer, rows: torch.Tensor) -> None:
        found[net] = torch.maximum(found.get(net, rows.amax()), rows.amax())

    values = shape.values(model.features[index], model.log_scales[index], model.offsets[index])
    ends = [end for _, end in nets.shape.group_bounds] if nets.shape.groups else []
    for level in range(1, levels + 1):
        rows = shape.attribute_rows(values, prediction, nets.scales(hidden, level))
        for a in shape.attributes:
            if not a.hidden or not a.refines_at(level):
                continue
            so_far, _ = rate.trits(rows[a.name], a.refinement(levels), a.step_level(levels) - level)
            net, gain = nets.trit_net(a.name)
            note(net, net.hidden(torch.cat([context, so_far], 1)) * gain(level))
        if not ends:
            continue
        refinement = shape.attributes[0].refinement(level)
        of_chunks = rate.chunk_inputs(rows["features"], refinement, ends)
        for number, inputs in enumerate(of_chunks, start=1):
            net, gain = nets.chunk_net(number)
            note(net, net.hidden(inputs) * gain(level))
    for net, largest in found.items():
        net.calibrate(ACTIVATION_LIMIT / (HEADROOM * largest.clamp_min(1e-3)))
