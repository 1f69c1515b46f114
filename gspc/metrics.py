"""How close a picture is to the photograph: PSNR, SSIM, LPIPS; how far two rate-distortion curves are apart.

Values are clamped to [0, 1] first; means over views are the caller's. Pictures are [H, W, 3], float in [0, 1]
or uint8 (value / 255).
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gspc import extras
from gspc.errors import BackendError, InputError
from gspc.ops import arrays
from gspc.ops.kernels import kernels

if TYPE_CHECKING:
    import torch

Image = NDArray[np.float32] | NDArray[np.uint8]

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2

VGG_FILE = "vgg16-397923af.pth"  # torchvision's ImageNet weights, as torch.hub caches them
LIN_FILE = "vgg.pth"  # LPIPS v0.1 channel weights
LPIPS_VARIABLE = "GSPC_LPIPS_WEIGHTS"

# Convolutions of VGG16 by their index in torchvision's `features`; LPIPS reads after the last one of each
# block.
_VGG_BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
_LPIPS_SHIFT = (-0.030, -0.088, -0.188)
_LPIPS_SCALE = (0.458, 0.448, 0.450)
LPIPS_MIN_SIDE = 16  # four poolings

Curve = Sequence[tuple[float, float]]  # (bytes, PSNR in dB), strictly increasing in both
BD_POINTS = 4  # fewer do not determine a curve
BD_OVERLAP = 0.75  # of the two ranges' union; less would extrapolate from a corner of the curves


def psnr(image: Image, target: Image) -> float:
    """Peak signal-to-noise ratio in dB over all pixels and channels of [H, W, 3] pictures; inf for equal
    ones. Raises ValueError for other shapes."""
    a, b = _pair(image, target)
    difference = a.astype(np.float64) - b
    error = float(np.mean(difference * difference))
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(image: Image, target: Image) -> float:
    """Structural similarity (Wang et al. 2004) of [H, W, 3] pictures: 11x11 Gaussian window, sigma 1.5, zero
    padding, mean over pixels and channels.

    The kernel computes it where it is built, numpy elsewhere; they agree to float32 rounding. Raises
    ValueError for other shapes.
    """
    a, b = _pair(image, target)
    try:
        kernels()
    except BackendError:
        return reference_ssim(a, b)
    return arrays.ssim(np.ascontiguousarray(a), np.ascontiguousarray(b))


def reference_ssim(image: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """The definition, in double, of [H, W, 3] pictures in [0, 1]."""
    x, y = image.astype(np.float64), target.astype(np.float64)
    taps = np.exp(-((np.arange(SSIM_WINDOW) - SSIM_WINDOW // 2) ** 2) / (2 * SSIM_SIGMA**2))
    taps /= taps.sum()

    def blur(value: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in (0, 1):
            padding = [(0, 0)] * 3
            padding[axis] = (SSIM_WINDOW // 2, SSIM_WINDOW // 2)
            padded = np.pad(value, padding)
            size = value.shape[axis]
            shifted = (padded.take(range(i, i + size), axis=axis) for i in range(SSIM_WINDOW))
            value = np.add.reduce([weight * part for weight, part in zip(taps, shifted, strict=True)])
        return value

    mu_x, mu_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mu_x**2, blur(y * y) - mu_y**2
    covariance = blur(x * y) - mu_x * mu_y
    luminance = (2 * mu_x * mu_y + SSIM_C1) / (mu_x**2 + mu_y**2 + SSIM_C1)
    structure = (2 * covariance + SSIM_C2) / (var_x + var_y + SSIM_C2)
    return float(np.mean(luminance * structure))


def lpips(image: Image, target: Image) -> float | None:
    """VGG16-LPIPS v0.1 (Zhang et al. 2018) of [H, W, 3] pictures; None where the weights or torch are
    missing, lpips_status() then says which.

    The network expects [-1, 1]; the tables of this field feed it [0, 1] without rescaling, and so do we, to
    compare. Raises InputError for weights that do not fit the network and for pictures under 16 pixels high
    or wide.
    """
    a, b = _pair(image, target)
    if min(a.shape[:2]) < LPIPS_MIN_SIDE:
        raise InputError(
            f"LPIPS needs pictures of at least {LPIPS_MIN_SIDE} pixels, not {a.shape[1]} x {a.shape[0]}"
        )
    vgg, lin = _lpips_files()
    if vgg is None or lin is None or not extras.installed("torch"):
        return None
    import torch

    network = _lpips_network(vgg, lin)
    with torch.no_grad():
        left, right = (torch.from_numpy(value).permute(2, 0, 1)[None] for value in (a, b))
        return float(lpips_distance(network, left, right))


def lpips_status() -> str:
    """One line: where the LPIPS weights are, or which file is missing and where it was looked for, or that
    torch is. Loads nothing.
    """
    vgg, lin = _lpips_files()
    if vgg is None:
        places = " or ".join(str(place) for place in _vgg_places())
        return (
            f"no LPIPS: {VGG_FILE}, torchvision's VGG16, is not in {places}; put it there, or its "
            f"folder into {LPIPS_VARIABLE}"
        )
    if lin is None:
        return f"no LPIPS: {LIN_FILE} (v0.1) is missing; pip install 'gspc[lpips]' or set {LPIPS_VARIABLE}"
    if not extras.installed("torch"):
        return f"no LPIPS: torch is missing; {extras.advice('torch')}"
    return f"LPIPS (VGG16, v0.1) with {vgg} and {lin}"


def lpips_distance(
    network: dict[str, torch.Tensor], image: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """LPIPS of two [1, 3, H, W] tensors: squared differences of unit-length features, weighted, averaged,
    summed over blocks.
    """
    total = image.new_zeros(())
    for block, (left, right) in enumerate(
        zip(_vgg_features(network, image), _vgg_features(network, target), strict=True)
    ):
        difference = (_unit(left) - _unit(right)) ** 2
        total = total + (difference * network[f"lin{block}.model.1.weight"]).sum(dim=1).mean()
    return total


def _vgg_features(network: dict[str, torch.Tensor], image: torch.Tensor) -> list[torch.Tensor]:
    """Activations after relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3."""
    from torch.nn import functional

    value = (image - image.new_tensor(_LPIPS_SHIFT).view(3, 1, 1)) / image.new_tensor(_LPIPS_SCALE).view(
        3, 1, 1
    )
    outputs = []
    for number, block in enumerate(_VGG_BLOCKS):
        if number:
            value = functional.max_pool2d(value, 2)
        for index in block:
            weight, bias = network[f"features.{index}.weight"], network[f"features.{index}.bias"]
            value = functional.relu(functional.conv2d(value, weight, bias, padding=1))
        outputs.append(value)
    return outputs


def _unit(value: torch.Tensor) -> torch.Tensor:
    return value / (value.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)


@lru_cache(maxsize=1)
def _lpips_network(vgg: Path, lin: Path) -> dict[str, torch.Tensor]:
    channels = (3, 64, 64, 128, 128, *(256,) * 3, *(512,) * 6)
    shapes: dict[str, tuple[int, ...]] = {}
    for number, index in enumerate(index for block in _VGG_BLOCKS for index in block):
        shapes[f"features.{index}.weight"] = (channels[number + 1], channels[number], 3, 3)
        shapes[f"features.{index}.bias"] = (channels[number + 1],)
    lin_shapes: dict[str, tuple[int, ...]] = {
        f"lin{i}.model.1.weight": (1, size, 1, 1) for i, size in enumerate((64, 128, 256, 512, 512))
    }
    return {**_load(vgg, shapes), **_load(lin, lin_shapes)}


def _load(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    import torch

    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
        result = {key: state[key].float() for key in shapes}
    except Exception as error:  # torch.load raises whatever the pickle, the zip or the file system does
        raise InputError(
            f"{path}: cannot be read as LPIPS weights ({type(error).__name__}); fetch it again"
        ) from None
    for key, shape in shapes.items():
        if tuple(result[key].shape) != shape:
            raise InputError(f"{path}: '{key}' is not {list(shape)}; fetch the file again")
    return result


def _vgg_places() -> list[Path]:
    # Where torch.hub looks, without importing torch.
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch").expanduser()
    directory = os.environ.get(LPIPS_VARIABLE)
    return ([Path(directory).expanduser()] if directory else []) + [home / "hub" / "checkpoints"]


def _lpips_files() -> tuple[Path | None, Path | None]:
    """Paths of the VGG16 weights and of the channel weights, None for what is not there."""
    vgg = next((place / VGG_FILE for place in _vgg_places() if (place / VGG_FILE).is_file()), None)
    directory = os.environ.get(LPIPS_VARIABLE)
    places = [Path(directory).expanduser() / LIN_FILE] if directory else []
    package = importlib.util.find_spec("lpips")  # found, not imported: it pulls in torchvision
    if package is not None and package.origin is not None:
        places.append(Path(package.origin).parent / "weights" / "v0.1" / LIN_FILE)
    return vgg, next((place for place in places if place.is_file()), None)


@dataclass(frozen=True)
class Difference:
    """A Bjontegaard difference. `value` is None where no honest figure exists; `why` then says so in a few
    words. `overlap`: the part in [0, 1] of both curves' range that they share.
    """

    value: float | None
    overlap: float
    why: str = ""


def bd_rate(reference: Curve, test: Curve) -> Difference:
    """Mean difference in rate at equal PSNR, in percent; negative when `test` is smaller.

    Bjontegaard (VCEG-M33) with piecewise cubic interpolation (PCHIP) of log rate over PSNR, as the
    `bjontegaard` package computes it.
    """
    return _bjontegaard("bd_rate", reference, test)


def bd_psnr(reference: Curve, test: Curve) -> Difference:
    """Mean difference in PSNR at equal rate, in dB; positive when `test` is better. PSNR over log rate."""
    return _bjontegaard("bd_psnr", reference, test)


def _bjontegaard(name: str, reference: Curve, test: Curve) -> Difference:
    rates, values = (
        [np.array([point[axis] for point in curve], dtype=np.float64) for curve in (reference, test)]
        for axis in (0, 1)
    )
    if any((np.diff(array) <= 0).any() for array in (*rates, *values)) or any((r <= 0).any() for r in rates):
        raise ValueError("curves must be positive in rate and strictly increasing in rate and PSNR")
    base = values if name == "bd_rate" else [np.log10(rate) for rate in rates]
    shared = _overlap(*base)
    fewest = min(len(reference), len(test))
    if fewest < BD_POINTS:
        return Difference(None, shared, f"{fewest} point{'s' * (fewest != 1)}, {BD_POINTS} needed")
    if shared < BD_OVERLAP - 1e-9:
        return Difference(None, shared, f"overlap {math.floor(100 * shared)} %")
    extras.require("bjontegaard", "a comparison of curves")
    import bjontegaard  # brings matplotlib: loaded only here

    compute = getattr(bjontegaard, name)
    value = compute(
        rates[0],
        values[0],
        rates[1],
        values[1],
        method="pchip",
        require_matching_points=False,
        min_overlap=0,
    )
    return Difference(float(value), shared)


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Length of what two ranges share over that of their union."""
    if not (len(a) and len(b)):
        return 0.0
    union = max(a.max(), b.max()) - min(a.min(), b.min())
    shared = min(a.max(), b.max()) - max(a.min(), b.min())
    return max(float(shared / union), 0.0) if union > 0 else 1.0


def _pair(image: Image, target: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if image.shape != target.shape or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            f"pictures must be [H, W, 3] of one size, not {list(image.shape)} and {list(target.shape)}"
        )
    return _unit_range(image), _unit_range(target)


def _unit_range(image: Image) -> NDArray[np.float32]:
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    return np.clip(image, 0, 1, dtype=np.float32)
