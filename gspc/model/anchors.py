"""The trainable model: anchors on a voxel grid, their attributes, heads, context grid and entropy
networks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from gspc.format.grid import GridSpec
from gspc.format.shape import (
    ALL_LEVELS,
    ATTRIBUTES,
    NEVER,
    TRITS,
    Attribute,
    Groups,
    Pool,
    StreamShape,
    Trits,
)
from gspc.model.context import ContextNets, Prediction, TwoLayer
from gspc.model.grid import PLANES, HashGrid
from gspc.model.heads import GaussianHeads
from gspc.model.masks import START
from gspc.model.quantization import ONE_SCALE_STEP, StepBase
from gspc.ops import place
from gspc.ops.mlp import two_layers
from gspc.ops.mlp.rounding import straight_through
from gspc.ops.rate import AttributeRows
from gspc.recipe import Recipe

PER_ANCHOR = ("features", "log_scales", "offsets", "masks")
POSITION_CENTER = (
    1 << 20
)  # integer position of the scene's middle while training: 21 bits per axis, 16 divides it


POOL_UNITS = 1024  # integers per 1.0 of the pool's features in the stream


@dataclass(frozen=True)
class ModelShape:
    """Everything that sizes a model; stored in checkpoints. Fields as in `gspc.recipe`."""

    levels: int
    rate_weights: tuple[float, ...]
    features: int = 32
    offsets: int = 10
    head_hidden: int = 50
    pool: int = 0
    pool_hidden: int = 64
    pool_planes: int = 0  # last planes of the grid, which only the pool reads
    residual_hidden: int = 0
    steps_hidden: int = 32
    trunk_hidden: int = 80
    trit_features_hidden: int = 64
    trit_scaling_hidden: int = 18
    trit_offsets_hidden: int = 64
    chunks: int = 0
    chunk_hidden: int = 24
    progressive_masks: bool = True
    refined: int = 3  # 1 features, 2 scaling, 4 offsets
    refine_until: int = 0  # last level that refines; 0: all do
    trits: Trits = "learned"
    one_scale: bool = False
    step_base: StepBase = field(default_factory=StepBase)

    @staticmethod
    def of(recipe: Recipe, levels: int, rate_weights: tuple[float, ...]) -> ModelShape:
        """The shape that a recipe asks for."""
        own = {entry.name for entry in fields(ModelShape)}
        same = {name: value for name, value in recipe.values().items() if name in own}
        same |= {"levels": levels, "rate_weights": rate_weights, "refined": recipe.levels.refined}
        chunks = min(recipe.contexts.chunks, recipe.representation.features)
        same["chunks"] = chunks if chunks > 1 else 0
        scaling = ONE_SCALE_STEP if recipe.representation.one_scale else StepBase.scaling
        same["step_base"] = StepBase(recipe.representation.feature_step, scaling)
        planes = PLANES if recipe.representation.pool_grid == "own" else 0
        return ModelShape(**same, pool_planes=planes)

    @property
    def scales(self) -> int:
        """Z, log scales of an anchor: 6, or 1 that stands for all of them."""
        return 1 if self.one_scale else 6

    def values(self, features: Tensor, log_scales: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the stream holds of anchors' parameters, [n, values] for each of `ATTRIBUTES`."""
        return features, log_scales, offsets.flatten(1)

    def attribute_rows(
        self, values: tuple[Tensor, ...], prediction: Prediction, octaves: Tensor
    ) -> dict[str, AttributeRows]:
        """Each attribute with what the contexts say about it: `values` as above; `octaves` [n, F + Z] of
        features and scaling at a level."""
        of_features, of_scaling = octaves.split([self.features, self.scales], dim=1)
        centers = (prediction.center_features, prediction.center_scaling, prediction.center_offsets)
        scales = (of_features, of_scaling, prediction.scale_offsets)
        bases = self.step_base.as_tuple()
        rows = zip(values, centers, scales, prediction.r.split(1, dim=1), bases, strict=True)
        return dict(zip(ATTRIBUTES, (AttributeRows(*parts) for parts in rows), strict=True))

    @cached_property
    def attributes(self) -> tuple[Attribute, ...]:
        """What the stream says of features, scaling and offsets."""
        values = (self.features, self.scales, 3 * self.offsets)
        hidden = (self.trit_features_hidden, self.trit_scaling_hidden, self.trit_offsets_hidden)
        bases = self.step_base.as_tuple()
        last = self.refine_until or ALL_LEVELS
        until = [last if self.refined >> bit & 1 else NEVER for bit in range(len(ATTRIBUTES))]
        rows = zip(ATTRIBUTES, values, until, TRITS[self.trits], hidden, bases, strict=True)
        found = [Attribute(*row) for row in rows]
        return tuple(a if a.wants_network and self.levels > 1 else replace(a, hidden=0) for a in found)

    def attribute(self, name: str) -> Attribute:
        """One of `attributes` by its name."""
        return self.attributes[ATTRIBUTES.index(name)]

    def stream(self, grid: GridSpec) -> StreamShape:
        """The shape of this model's stream."""
        return StreamShape(
            attributes=self.attributes,
            steps_hidden=self.steps_hidden,
            trunk_hidden=self.trunk_hidden,
            heads_hidden=self.head_hidden,
            residual_hidden=self.residual_hidden,
            groups=Groups(self.chunks, self.chunk_hidden) if self.chunks else None,
            pool=Pool(self.pool, self.pool_hidden, self.pool_planes) if self.pool else None,
            grid=grid,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)


class AnchorModel(nn.Module):
    """Anchors and all that is learned about them.

    positions int32 [N, 3] on the voxel grid (world = position * voxel_size + origin); features [N, F], with a
    pool the residuals; log_scales [N, Z], Z = 6 or 1 that stands for all six; offsets [N, K, 3]; masks
    [N, K, S], or [N, K, 1] without progressive masks. Anchors do not move.
    """

    positions: Tensor
    origin: Tensor
    pool: TwoLayer | None

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
        self.log_scales = nn.Parameter(torch.zeros(anchors, shape.scales))
        self.offsets = nn.Parameter(torch.zeros(anchors, shape.offsets, 3))
        planes = shape.levels if shape.progressive_masks else 1
        self.masks = nn.Parameter(torch.full((anchors, shape.offsets, planes), START))
        self.grid = HashGrid(spec)
        self.heads = GaussianHeads(
            shape.pool,
            shape.features,
            shape.offsets,
            shape.head_hidden,
            distance_scale,
            shape.residual_hidden,
        )
        self.stream = shape.stream(spec)
        # The entropy networks take their starting weights from a random state of their own, so that how many
        # levels and trits there are does not change where the rest of a fit of the same seed starts.
        with torch.random.fork_rng(devices=[]):
            self.context = ContextNets(self.stream, shape.levels, shape.rate_weights)
        read = self.stream.pool_context_size
        self.pool = TwoLayer(read, shape.pool_hidden, shape.pool) if shape.pool else None

    @property
    def anchors(self) -> int:
        """N."""
        return self.positions.shape[0]

    @property
    def quantized(self) -> bool:
        """Whether the entropy networks run in simulated integers (see train.calibrate)."""
        return self.context.steps.quantized

    def world(self, index: Tensor | None = None) -> Tensor:  # -> float32 [n, 3]
        """World positions of all anchors or of some."""
        positions = self.positions if index is None else self.positions[index]
        return (positions.double() * self.voxel_size + self.origin).float()

    def values_per_anchor(self) -> int:
        """F + Z + 3K, the divisor of the rate loss."""
        return self.stream.values

    def split_grid(self, values: Tensor) -> tuple[Tensor, Tensor]:  # [n, C_all] -> [n, C], [n, Cp]
        """What the contexts and what the pool read of the grid."""
        if not self.shape.pool_planes:
            return values, values
        return values[:, : self.stream.context_size], values[:, self.stream.context_size :]

    def predicted(self, pool_values: Tensor) -> Tensor:  # [n, Cp] -> [n, P]
        """f_c of Predict-GS: what the spatial feature pool predicts, on the stream's grid once calibrated."""
        assert self.pool is not None
        out: Tensor = self.pool(pool_values)
        if self.quantized:
            out = straight_through(out, torch.round(out.detach() * POOL_UNITS) / POOL_UNITS)
        return out

    def predicted_and_steps(
        self, values: Tensor, index: Tensor | None = None, *, steps: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """What the grid's `values` [N, C_all] predict for all rows or for those of `index` [n]: the pool's
        channels [n, P], None without a pool, and if asked for the step parameters [n, 3]. With an index,
        `values` may not need a gradient."""
        networks = [net for net in (self.pool, self.context.steps if steps else None) if net is not None]
        if not networks:
            return None, None
        if self.shape.pool_planes or (self.quantized and place.of(values) != "cuda"):
            context, pool_values = self.split_grid(values if index is None else values.index_select(0, index))
            predicted = None if self.pool is None else self.predicted(pool_values)
            return predicted, self.context.step_parameters(context) if steps else None
        units = [POOL_UNITS if self.quantized and net is self.pool else None for net in networks]
        weights = [net.weights(output_units=each) for net, each in zip(networks, units, strict=True)]
        outputs = list(two_layers(values, weights, index))
        return None if self.pool is None else outputs.pop(0), outputs.pop() if steps else None
