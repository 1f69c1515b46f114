"""What the rate is a function of. n anchors, V values of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class AttributeRows:
    """One attribute of n anchors, V values each, and what their contexts say about it; rows may be part of
    wider ones.

    Raises ValueError for shapes that do not fit, and different dtypes or devices.
    """

    values: Tensor  # [n, V]
    center: Tensor  # [n, V] mean of the values' grid, in units of Q0
    octaves: Tensor  # [n, V] log2 of the standard deviation over Q0 / 8
    r: Tensor  # [n, 1] of the step (see gspc.model.quantization)
    base: float  # Q0

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise ValueError(f"rate: values are {tuple(self.values.shape)}, expected [n, V]")
        n, width = self.values.shape
        shapes = {"center": (n, width), "octaves": (n, width), "r": (n, 1)}
        for name, shape in shapes.items():
            check(name, getattr(self, name), shape, self.values)

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Values, center and octaves [n, V], and r [n, 1]."""
        return self.values, self.center, self.octaves, self.r


class Appearing(NamedTuple):
    """What `appearance_bits` takes, to be computed with others."""

    rows: AttributeRows
    refinement: int
    weights: Tensor  # [n, G]
    chunks: Sequence[Tensor] = ()
    seed: int | None = None


class ThreeWay(NamedTuple):
    """What `three_way_bits` takes."""

    outputs: Tensor  # [n, 2 V]
    trits: Tensor  # [n, V]
    weights: Tensor  # [n, G]


class GaussianTrits(NamedTuple):
    """What `gaussian_trit_bits` takes."""

    rows: AttributeRows
    refinement: int
    finest: int
    coarser: int
    weights: Tensor  # [n, G]


Job = Appearing | ThreeWay | GaussianTrits


def check(name: str, tensor: Tensor, shape: tuple[int, ...], like: Tensor) -> None:  # [...]
    """Raises ValueError unless `tensor` has this shape, and dtype and device of `like`."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"rate: {name} has shape {tuple(tensor.shape)}, expected {shape}")
    if tensor.dtype != like.dtype or tensor.device != like.device:
        raise ValueError(
            f"rate: {name} is {tensor.dtype} on {tensor.device}, expected {like.dtype} on {like.device}"
        )
