"""Weights that the Gaussian heads take, and the Gaussians they give. K offsets per anchor, M Gaussians, F
features, H hidden units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from gspc.ops.mlp import TwoLayerWeights

# From inputs [N, F + 4] and weights to logits of opacity [N, K], color [N, 3K] and cov [N, 7K].
Logits = Callable[[Tensor, Any], tuple[Tensor, ...]]


class HeadWeights(Protocol):
    """What `neural_gaussians` reads of the heads; fields as in `gspc.scene.Heads`, as tensors."""

    @property
    def w1(self) -> Tensor: ...  # [3H, F + 4]
    @property
    def b1(self) -> Tensor: ...  # [3H]
    @property
    def w_opacity(self) -> Tensor: ...  # [K, H]
    @property
    def b_opacity(self) -> Tensor: ...  # [K]
    @property
    def w_color(self) -> Tensor: ...  # [3K, H]
    @property
    def b_color(self) -> Tensor: ...  # [3K]
    @property
    def w_cov(self) -> Tensor: ...  # [7K, H]
    @property
    def b_cov(self) -> Tensor: ...  # [7K]
    @property
    def distance_scale(self) -> float: ...
    @property
    def bf16(self) -> bool: ...  # matrix products in bfloat16
    @property
    def logits(self) -> Logits | None: ...  # who computes the products; None: this project


class HeadTensors(NamedTuple):
    """The heads as plain tensors."""

    w1: Tensor
    b1: Tensor
    w_opacity: Tensor
    b_opacity: Tensor
    w_color: Tensor
    b_color: Tensor
    w_cov: Tensor
    b_cov: Tensor
    distance_scale: float
    bf16: bool = False
    logits: Logits | None = None


class HeadNetworks(NamedTuple):
    """The heads as networks of their own, as kernels of a GPU read them: over [predicted, features, view], or
    with a residual decoder over [predicted, view]. That one's appearance (opacities of all offsets, then
    colors) and shape read [features, view] and add to the logits."""

    distance_scale: float
    opacity: TwoLayerWeights  # K outputs
    color: TwoLayerWeights  # 3K
    cov: TwoLayerWeights  # 7K
    appearance: TwoLayerWeights | None = None  # K + 3K
    shape: TwoLayerWeights | None = None  # 7K


@dataclass(frozen=True)
class NeuralGaussians:
    """The Gaussians drawn in one view; `index` = n * K + k tells where each comes from, ascending.

    On a GPU arrays have room for all N * K; `count` says how many are there, and what lies behind them has
    opacity 0.
    """

    index: Tensor  # [M] int64
    means: Tensor  # [M, 3] world space
    quats: Tensor  # [M, 4] wxyz, normalized (a zero quaternion stays zero)
    scales: Tensor  # [M, 3] world units
    opacities: Tensor  # [M]
    colors: Tensor  # [M, 3]
    count: Tensor | None = None  # int64 [1]; None: all of them

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Means, quats, scales, opacities and colors [M, ...]: what a rasterizer takes, in its order."""
        return self.means, self.quats, self.scales, self.opacities, self.colors
