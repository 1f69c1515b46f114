"""Plain Gaussians as other people's tools know them: 3D Gaussian Splatting's own parameters.

Legend: M Gaussians, C = (degree + 1)^2 coefficients. Scales are logarithms and opacities logits, as training
leaves them (Kerbl et al. 2023): a `.ply` keeps its numbers, and gradients stay useful.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gspc.errors import InputError
from gspc.scene import F32, F64

HOME = "RDF"  # x right, y down, z forward: the cameras of COLMAP and of 3DGS, and the frame gspc renders in
ARRAYS = ("means", "quats", "log_scales", "logits", "sh")
MAX_DEGREE = 3
MAX_COORDINATE = 1e15  # squares of distances stay finite in float32
MAX_LOG = 40.0  # largest magnitude of a log scale or an opacity logit; beyond it exp() says nothing new


@dataclass(frozen=True)
class Splats:
    """M Gaussians with harmonics; build them with `checked` when the numbers come from outside.

    >>> import gspc
    >>> import numpy as np
    >>> zeros = np.zeros((1, 3), np.float32)
    >>> one = gspc.Splats(
    ...     means=zeros,
    ...     quats=np.array([[1, 0, 0, 0]], np.float32),
    ...     log_scales=zeros - 3,
    ...     logits=np.array([4], np.float32),
    ...     sh=zeros[:, None],
    ... )
    >>> gspc.open(gspc.export(one, "spz").data).splats().count
    1
    """

    means: F32  # [M, 3] in the axes of `frame`
    quats: F32  # [M, 4] wxyz, unit length
    log_scales: F32  # [M, 3] natural logarithm of the standard deviations
    logits: F32  # [M] opacity before the sigmoid
    sh: F32  # [M, C, 3] coefficient, then RGB; color = max(0, 0.5 + basis . sh)
    frame: str = HOME  # where x, y and z point: letters of Left/Right, Up/Down, Forward/Back
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many Gaussians there are."""
        return len(self.means)

    @property
    def degree(self) -> int:
        """Degree of the harmonics, 0 to 3."""
        return degree_of(self.sh.shape[1])

    @property
    def opacities(self) -> F32:  # [M] in (0, 1)
        """Opacities after the sigmoid."""
        return sigmoid(self.logits)

    @property
    def scales(self) -> F32:  # [M, 3] world units
        """Standard deviations."""
        return np.exp(self.log_scales)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Splats:
        """The Gaussians of these rows, in their order."""
        return with_arrays(self, {name: getattr(self, name)[rows] for name in ARRAYS})

    def with_degree(self, degree: int) -> Splats:
        """The same with harmonics up to `degree` only (never more than there are)."""
        kept = (min(degree, self.degree) + 1) ** 2
        return replace(self, sh=np.ascontiguousarray(self.sh[:, :kept]))


def degree_of(coefficients: int) -> int:
    """0 to 3 from 1, 4, 9 or 16 coefficients. Raises ValueError for another number."""
    degree = {1: 0, 4: 1, 9: 2, 16: 3}.get(coefficients)
    if degree is None:
        raise ValueError(f"{coefficients} coefficients are not harmonics of degree 0 to {MAX_DEGREE}")
    return degree


def sigmoid(x: F32) -> F32:
    """1 / (1 + exp(-x)) without overflow."""
    return (0.5 * (1 + np.tanh(0.5 * x))).astype(np.float32)


def logit(p: F32 | F64) -> F32:
    """Inverse of the sigmoid; 0 and 1 become the largest logits allowed instead of infinity."""
    p = np.asarray(p, np.float64)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(p) - np.log1p(-p), -MAX_LOG, MAX_LOG).astype(np.float32)


def checked(splats: Splats) -> Splats:
    """The one validator: float32, contiguous, finite, unit quaternions; raises InputError.

    Infinite log scales and logits, which files really hold for "none" and "opaque", become the largest
    allowed ones. Whatever else is not a number is refused, as are coordinates beyond MAX_COORDINATE.
    """
    arrays = {name: np.ascontiguousarray(getattr(splats, name), np.float32) for name in ARRAYS}
    _check_shapes(arrays)
    for name in ("log_scales", "logits"):
        arrays[name] = np.clip(arrays[name], -MAX_LOG, MAX_LOG)
    for name, what in _WHAT.items():
        _check_finite(arrays[name], what)
    if arrays["means"].size and np.abs(arrays["means"]).max() > MAX_COORDINATE:
        raise InputError(f"has positions beyond {MAX_COORDINATE:g}; remove those Gaussians")
    arrays["quats"] = _unit(arrays["quats"])
    return with_arrays(splats, arrays)


def with_arrays(splats: Splats, arrays: Mapping[str, Any]) -> Splats:
    """The same with some arrays replaced, as contiguous float32."""
    changed: dict[str, Any] = {
        name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()
    }
    return replace(splats, **changed)


def joined(parts: Sequence[Splats]) -> Splats:
    """Gaussians of one frame one after the other, harmonics up to the lowest degree among them."""
    degree = min(part.degree for part in parts)
    parts = [part.with_degree(degree) for part in parts]
    return with_arrays(
        parts[0], {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    )


_WHAT = {
    "means": "positions",
    "quats": "rotations",
    "log_scales": "scales",
    "logits": "opacities",
    "sh": "colors",
}


def _check_shapes(arrays: Mapping[str, F32]) -> None:
    count = len(arrays["means"])
    if count == 0:
        raise InputError("holds no Gaussians; nothing can be drawn or written")
    degree_of(arrays["sh"].shape[1])
    shapes = {"means": (3,), "quats": (4,), "log_scales": (3,), "logits": (), "sh": arrays["sh"].shape[1:]}
    for name, shape in shapes.items():
        if arrays[name].shape != (count, *shape):
            raise ValueError(f"{name}: {[count, *shape]} expected, got {list(arrays[name].shape)}")


def _check_finite(array: F32, what: str) -> None:
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if bad.any():
        raise InputError(
            f"{what} of {int(bad.sum()):,} of {len(array):,} Gaussians are not finite numbers; remove them"
        )


def _unit(quats: F32) -> F32:
    """Unit quaternions; those of unit length within rounding keep their bits."""
    norm = np.linalg.norm(quats.astype(np.float64), axis=1, keepdims=True)
    if (norm == 0).any():
        count = int((norm == 0).sum())
        raise InputError(f"rotations of {count:,} of {len(quats):,} Gaussians are all zero; remove them")
    scaled = np.where(np.abs(norm - 1) < 1e-6, quats, quats / norm)
    return np.ascontiguousarray(scaled, np.float32)
