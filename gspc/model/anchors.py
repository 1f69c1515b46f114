"""The trainable model: anchors on a voxel grid, their attributes, heads, context grid and entropy
networks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gspc.model.context import ContextNets, ContextSizes
from gspc.model.grid import HashGrid
from gspc.model.grid_spec import GridSpec
from gspc.model.heads import GaussianHeads
from gspc.model.masks import START
from gspc.model.quantization import StepBase

PER_ANCHOR = ("features", "log_scales", "offsets", "masks")
POSITION_CENTER = (
    1 << 20
)  # integer position of the scene's middle while training: 21 bits per axis, 16 divides it


@dataclass(frozen=True)
class ModelShape:
    """Everything that sizes a model; stored in checkpoints."""

    levels: int
    rate_weights: tuple[float, ...]
    features: int = 32
    offsets: int = 10
    head_hidden: int = 50
    steps_hidden: int = 32
    trunk_hidden: int = 80
    trit_features_hidden: int = 64
    trit_scaling_hidden: int = 18
    step_base: StepBase = field(default_factory=StepBase)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> ModelShape:
        """The reverse of `to_dict`."""
        values = dict(values)
        values["step_base"] = StepBase(**values["step_base"])
        values["rate_weights"] = tuple(values["rate_weights"])
        return ModelShape(**values)


class AnchorModel(nn.Module):
    """Anchors and all that is learned about them.

    positions int32 [N, 3] on the voxel grid (world = position * voxel_size + origin); features [N, F];
    log_scales [N, 6]; offsets [N, K, 3]; masks [N, K, S]. Anchors do not move.
    """

    positions: Tensor
    origin: Tensor

    def __init__(
        self,
        shape: ModelShape,
        spec: GridSpec,
        voxel_size: float,
        origin: Tensor,
        distance_scale: float,
        anchors: int,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.voxel_size = voxel_size
        self.register_buffer("origin", origin.double())
        self.register_buffer("positions", torch.zeros(anchors, 3, dtype=torch.int32))
        self.features = nn.Parameter(torch.zeros(anchors, shape.features))
        self.log_scales = nn.Parameter(torch.zeros(anchors, 6))
        self.offsets = nn.Parameter(torch.zeros(anchors, shape.offsets, 3))
        self.masks = nn.Parameter(torch.full((anchors, shape.offsets, shape.levels), START))
        self.grid = HashGrid(spec)
        self.heads = GaussianHeads(shape.features, shape.offsets, shape.head_hidden, distance_scale)
        sizes = ContextSizes(
            features=shape.features,
            offsets=shape.offsets,
            context=spec.context_size,
            steps_hidden=shape.steps_hidden,
            trunk_hidden=shape.trunk_hidden,
            trit_features_hidden=shape.trit_features_hidden,
            trit_scaling_hidden=shape.trit_scaling_hidden,
        )
        self.context = ContextNets(sizes, shape.levels, shape.rate_weights)

    @property
    def anchors(self) -> int:
        """N."""
        return self.positions.shape[0]

    @property
    def quantized(self) -> bool:
        """Whether the entropy networks run in simulated integers (see train.calibrate)."""
        return bool(self.context.steps.units > 0)

    def world(self, index: Tensor | None = None) -> Tensor:  # -> float32 [n, 3]
        """World positions of all anchors or of some."""
        positions = self.positions if index is None else self.positions[index]
        return (positions.double() * self.voxel_size + self.origin).float()

    def values_per_anchor(self) -> int:
        """F + 6 + 3K, the divisor of the rate loss."""
        return self.shape.features + 6 + 3 * self.shape.offsets
