"""Views drawn of a trained model as its stream restores it, of any of its anchors and steps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gspc.model.masks import first_level
from gspc.ops.constants import constant
from gspc.ops.heads import neural_gaussians
from gspc.rendering.rasterizer import rasterize
from gspc.train.masking import only_counting
from gspc.train.shots import Shot, center_of
from gspc.train.trainer import Trainer


class Pictures:
    """A trained model whose networks are integers, and the views of its scene."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.model, self.device = trainer, trainer.model, trainer.device
        self.first = first_level(self.model.masks)
        self.world = self.model.world()
        with torch.no_grad():
            self.weights = self.model.heads.weights(quantized=True)

    def error(
        self, shot: Shot, anchors: Tensor, values: Sequence[Tensor], mask: Tensor, visible: Tensor
    ) -> Tensor:
        """Mean squared error [] of a view; see `compared`."""
        shown, wanted, weight = self.compared(shot, anchors, values, mask, visible)
        return weight * (shown - wanted).square().mean()

    def compared(
        self, shot: Shot, anchors: Tensor, values: Sequence[Tensor], mask: Tensor, visible: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | float]:
        """A view [H, W, 3] drawn of the anchors `visible` [v], which lie at `anchors` [v, 3] and have
        features, log scales and offsets `values` and the masks [v, K]; its photograph, and the factor for
        means over pixels."""
        features, log_scales, offsets = values
        gaussians = neural_gaussians(
            features,
            log_scales,
            offsets,
            mask,
            anchors,
            constant(center_of(shot.camera), mask.device),
            self.weights,
            predicted=self.trainer.attributes.pooled(visible),
        )
        raster = rasterize(self.trainer.backend, *gaussians.parts, shot.camera, shot.background)
        shown, wanted, weight = only_counting(raster.image, shot.target, shot.mask)
        if wanted.dtype == torch.uint8:
            wanted = wanted.float() / 255
        return shown.clamp(0, 1), wanted, weight
