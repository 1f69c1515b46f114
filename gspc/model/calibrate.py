"""Ranges of the entropy networks' activations: how many integers stand for 1.0."""

from __future__ import annotations

import torch

from gspc.model import quantization as quant
from gspc.model.anchors import ATTRIBUTES, AnchorModel
from gspc.model.context import SO_FAR_LIMIT, TwoLayer
from gspc.model.fake_quant import ACTIVATION_LIMIT

SAMPLE = 20_000
HEADROOM = 1.25  # what lies beyond saturates, which costs less than coarse steps for everything


@torch.no_grad()
def calibrate(model: AnchorModel) -> None:
    """Sets the activation units of every entropy network from a sample of anchors; from then on they are
    quantized."""
    stride = max(1, model.anchors // SAMPLE)
    index = torch.arange(0, model.anchors, stride, device=model.features.device)
    nets, levels, base = model.context, model.shape.levels, model.shape.step_base.as_tuple()
    context, pool_values = model.split_grid(model.grid(model.positions[index]))
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

    values = model.shape.values(model.features[index], model.log_scales[index], model.offsets[index])
    centers = (prediction.center_features, prediction.center_scaling, prediction.center_offsets)
    for i, name in enumerate(ATTRIBUTES):
        first_step = quant.step(base[i], prediction.r[:, i : i + 1])
        for level in range(2, model.shape.step_level(name, levels) + 1) if name in nets.sizes.trits else ():
            so_far = _so_far(
                values[i] - base[i] * centers[i], first_step / quant.refinement(level - 1), base[i]
            )
            net, gain = nets.trit_net(name)
            note(net, net.hidden(torch.cat([context, so_far], 1)) * gain(level))
    for level in range(1, levels + 1) if nets.sizes.chunks else ():
        step = quant.step(base[0], prediction.r[:, :1]) / model.shape.refinement("features", level)
        scales = quant.log2_scale(nets.scales(hidden, level)[:, : model.shape.features])
        in_steps = quant.clamp_log2_scale_in_steps(scales - torch.log2(step / base[0]))
        so_far = _so_far(values[0] - base[0] * centers[0], step, base[0])
        for number in range(1, nets.sizes.chunks):
            net, gain = nets.chunk_net(number)
            inputs = nets.chunk_inputs(number, in_steps, centers[0], so_far)
            note(net, net.hidden(inputs) * gain(level))
    for net, largest in found.items():
        net.units.copy_(ACTIVATION_LIMIT / (HEADROOM * largest.clamp_min(1e-3)))


def _so_far(centered: torch.Tensor, step: torch.Tensor, base: float) -> torch.Tensor:
    """Values at a level's step as the networks see them, in units of 8 Q0."""
    return (quant.quantize(centered, step) * step / (8 * base)).clamp(-SO_FAR_LIMIT, SO_FAR_LIMIT)
