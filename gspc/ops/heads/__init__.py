"""Neural Gaussians of a view from anchors. N anchors, K offsets per anchor, F features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gspc.ops import place
from gspc.ops.constants import constant
from gspc.ops.heads import cpu, cuda, definition
from gspc.ops.heads.types import HeadNetworks, HeadTensors, HeadWeights, Logits, NeuralGaussians

__all__ = ["HeadNetworks", "HeadTensors", "HeadWeights", "Logits", "NeuralGaussians", "neural_gaussians"]


def neural_gaussians(
    features: Tensor,
    log_scales: Tensor,
    offsets: Tensor,
    mask: Tensor,
    anchors: Tensor,
    camera_center: Tensor | Sequence[float],
    heads: HeadWeights | HeadNetworks,
    visible: Tensor | None = None,
    predicted: Tensor | None = None,
) -> NeuralGaussians:
    """The Gaussians that anchors show to a camera (method section 1).

    Args:
        features: [N, F] anchor features, or those after the predicted ones.
        log_scales: [N, 6]; exp of the first three scales the offsets, of the last three the Gaussians. Or
            [N, 1], which stands for all six.
        offsets: [N, K, 3].
        mask: [N, K], 0 or 1 (straight-through); multiplies opacity and scale, and receives a gradient.
        anchors: [N, 3] world space; no gradient.
        camera_center: [3] world space, a tensor or numbers; no gradient.
        heads: weights of the heads, as networks of their own only for kernels of a GPU. With `bf16` their
            products run in bfloat16 through the definition in `gspc.ops.heads.definition`, everything else
            stays in the features' dtype; so do they by `logits`.
        visible: bool [N], the anchors to look at; None means all.
        predicted: [N, P], the first channels of the features, where a pool predicts them.

    Returns:
        The Gaussians with opacity > 0 and mask > 0.5, ordered by index = n * K + k. Gradients flow to
        features, log_scales, offsets, mask, predicted and every weight; a Gaussian that is not returned
        receives none. Beside them there may be room, see `NeuralGaussians`.

    Raises:
        ValueError: on a wrong shape or dtype, or tensors on different devices.
    """
    anchors_of = {
        "features": features,
        "log_scales": log_scales,
        "offsets": offsets,
        "mask": mask,
        "anchors": anchors,
        "predicted": predicted,
    }
    if isinstance(heads, HeadNetworks):
        _check(anchors_of, visible)
        center = camera_center.tolist() if isinstance(camera_center, Tensor) else camera_center
        return cuda.neural_gaussians(
            features, log_scales, offsets, mask, anchors, center, heads, visible, predicted
        )
    if not isinstance(camera_center, Tensor):
        camera_center = constant(camera_center, features.device)
    _check(anchors_of, visible, camera_center, heads)
    arguments = features, log_scales, offsets, mask, anchors, camera_center, heads, visible, predicted
    if heads.bf16:
        with torch.autocast(features.device.type, torch.bfloat16):
            return definition.neural_gaussians(*arguments)
    if place.of(features) == "cpu" and heads.logits is None:
        return cpu.neural_gaussians(*arguments)
    return definition.neural_gaussians(*arguments)


def _check(
    given: Mapping[str, Tensor | None],
    visible: Tensor | None,
    camera_center: Tensor | None = None,
    heads: HeadWeights | None = None,
) -> None:
    """Arguments by name; the shapes of `HeadNetworks` are checked where they are computed."""
    tensors = {name: tensor for name, tensor in given.items() if tensor is not None}
    features, mask = tensors["features"], tensors["mask"]
    n, k = len(features), mask.shape[-1]
    widths = {
        name: tensors[name].shape[-1] for name in ("features", "log_scales", "predicted") if name in tensors
    }
    inputs = widths["features"] + widths.get("predicted", 0) + 4
    wanted = {
        "features": (n, widths["features"]),
        "log_scales": (n, 1 if widths["log_scales"] == 1 else 6),
        "offsets": (n, k, 3),
        "mask": (n, k),
        "anchors": (n, 3),
        "predicted": (n, widths.get("predicted", 0)),
    }
    shapes = {name: (tensor, wanted[name]) for name, tensor in tensors.items()}
    if camera_center is not None:
        shapes["camera_center"] = camera_center, (3,)
    if heads is not None:
        shapes |= _weight_shapes(heads, inputs, k)
    for name, (tensor, shape) in shapes.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")
        if tensor.dtype != features.dtype or not tensor.is_floating_point():
            raise ValueError(f"{name} is {tensor.dtype}, features are {features.dtype}")
        if tensor.device != features.device:
            raise ValueError(f"{name} is on {tensor.device}, features on {features.device}")
    if visible is not None and (visible.dtype != torch.bool or visible.shape != (n,)):
        raise ValueError(f"visible is {visible.dtype} {tuple(visible.shape)}, expected bool {(n,)}")


def _weight_shapes(heads: HeadWeights, inputs: int, k: int) -> dict[str, tuple[Tensor, tuple[int, ...]]]:
    hidden = heads.w_opacity.shape[-1]
    return {
        "w1": (heads.w1, (3 * hidden, inputs)),
        "b1": (heads.b1, (3 * hidden,)),
        "w_opacity": (heads.w_opacity, (k, hidden)),
        "b_opacity": (heads.b_opacity, (k,)),
        "w_color": (heads.w_color, (3 * k, hidden)),
        "b_color": (heads.b_color, (3 * k,)),
        "w_cov": (heads.w_cov, (7 * k, hidden)),
        "b_cov": (heads.b_cov, (7 * k,)),
    }
