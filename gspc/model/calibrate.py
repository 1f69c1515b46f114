"""Ranges of the entropy networks' activations: how many integers stand for 1.0."""

from __future__ import annotations

import torch

from gspc.model import quantization as quant
from gspc.model.anchors import AnchorModel
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
    nets, levels, base = model.context, model.shape.levels, model.shape.step_base
    context = model.grid(model.positions[index])
    prediction, hidden = nets.predict(context)
    gains = [torch.ones_like(hidden[0]), *(nets.trunk_gain(level) for level in range(1, levels + 1))]
    found: dict[TwoLayer, torch.Tensor] = {
        nets.steps: nets.steps.hidden(context).amax(),
        nets.trunk: torch.stack([(hidden * gain).amax() for gain in gains]).amax(),
    }
    for level in range(2, levels + 1):
        for i, (name, values, center, q0) in enumerate(
            (
                ("features", model.features[index], prediction.center_features, base.features),
                ("scaling", model.log_scales[index], prediction.center_scaling, base.scaling),
            )
        ):
            step = quant.step(q0, prediction.r[:, i : i + 1]) / quant.refinement(level - 1)
            so_far = quant.quantize(values - q0 * center, step) * step / (8 * q0)
            net, gain = nets.trit_net(name)
            rows = net.hidden(torch.cat([context, so_far.clamp(-SO_FAR_LIMIT, SO_FAR_LIMIT)], 1))
            largest = (rows * gain(level)).amax()
            found[net] = torch.maximum(found.get(net, largest), largest)
    for net, largest in found.items():
        net.units.copy_(ACTIVATION_LIMIT / (HEADROOM * largest.clamp_min(1e-3)))
