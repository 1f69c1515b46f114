"""The readable torch version of `gspc.ops.heads` (method section 1), in any float dtype and on any device;
tests compare the kernels with it. N anchors, K offsets per anchor, M Gaussians, F features."""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops.heads.types import HeadWeights, NeuralGaussians


def logits(inputs: Tensor, heads: HeadWeights) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of opacity [N, K], color [N, 3K] and cov [N, 7K] from inputs [N, F + 4]. Under autocast the
    products come in bfloat16; what follows them does not."""
    kind = inputs.dtype
    hidden = torch.relu((inputs @ heads.w1.T).to(kind) + heads.b1)
    of_opacity, of_color, of_cov = hidden.chunk(3, 1)
    return (
        (of_opacity @ heads.w_opacity.T).to(kind) + heads.b_opacity,
        (of_color @ heads.w_color.T).to(kind) + heads.b_color,
        (of_cov @ heads.w_cov.T).to(kind) + heads.b_cov,
    )


def neural_gaussians(
    features: Tensor,
    log_scales: Tensor,
    offsets: Tensor,
    mask: Tensor,
    anchors: Tensor,
    camera_center: Tensor,
    heads: HeadWeights,
    visible: Tensor | None = None,
    predicted: Tensor | None = None,
) -> NeuralGaussians:
    """See `gspc.ops.heads.neural_gaussians`, which has the shapes: features [N, F] and so on. An anchor
    exactly at the camera has view direction 0."""
    n, k = mask.shape
    if predicted is not None:
        features = torch.cat([predicted, features], 1)
    toward = anchors.detach() - camera_center.detach()
    distance = toward.norm(dim=1, keepdim=True)
    inputs = torch.cat([features, toward / distance.clamp(min=1e-12), distance * heads.distance_scale], 1)
    of_opacity, of_color, of_cov = (heads.logits or logits)(inputs, heads)
    alpha = torch.tanh(of_opacity)  # [N, K]
    color = torch.sigmoid(of_color).view(n, k, 3)
    cov = of_cov.view(n, k, 7)
    keep = (alpha > 0) & (mask > 0.5)
    if visible is not None:
        keep &= visible[:, None]
    index = keep.flatten().nonzero()[:, 0]
    row, gate = index // k, mask.flatten().index_select(0, index)
    extent = log_scales.index_select(0, row).expand(-1, 6).exp()
    cov = cov.flatten(0, 1).index_select(0, index)
    return NeuralGaussians(
        index=index,
        means=anchors.detach().index_select(0, row)
        + offsets.flatten(0, 1).index_select(0, index) * extent[:, :3],
        quats=torch.nn.functional.normalize(cov[:, 3:], dim=1, eps=1e-12),
        scales=extent[:, 3:] * torch.sigmoid(cov[:, :3]) * gate[:, None],
        opacities=alpha.flatten().index_select(0, index) * gate,
        colors=color.flatten(0, 1).index_select(0, index),
    )
