"""The readable torch version of every kernel, in any float dtype and on any device. Tests compare the kernels
with these.

Legend for shape comments: N anchors, K offsets per anchor, M Gaussians, F features, C context, E grid
entries, H W image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gspc.ops.arrays import GridShape
from gspc.ops.conventions import BLUR, FAR, MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE, NEAR, TILE
from gspc.scene import Camera

if TYPE_CHECKING:
    from gspc.ops.heads import HeadWeights
    from gspc.ops.rate import AttributeRows

# ---------------------------------------------------------------- raster


@dataclass(frozen=True)
class Projected:
    """Gaussians in the image plane."""

    means2d: Tensor  # [M, 2] pixels
    conics: Tensor  # [M, 3] inverse covariance: xx, xy, yy
    depths: Tensor  # [M]
    half_sizes: Tensor  # [M, 2] pixels: box that holds every pixel with alpha >= 1/255; 0 = culled

    @property
    def radii(self) -> Tensor:  # [M] int32
        return self.half_sizes.ceil().amax(1).clamp(max=1e9).to(torch.int32)


def rotation_matrices(quats: Tensor) -> Tensor:  # [M, 4] wxyz -> [M, 3, 3]
    """Rotation matrices of quaternions of any norm."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1, eps=0.0).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).reshape(*quats.shape[:-1], 3, 3)


def project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    world_to_camera: Tensor,  # [4, 4]
    intrinsics: Sequence[float],
    width: int,
    height: int,
) -> Projected:
    """EWA projection of 3D Gaussians as in gsplat 1.5.3 (Zwicker et al. 2001; Ye et al. 2024, section 3)."""
    fx, fy, cx, cy = intrinsics
    rotation, translation = world_to_camera[:3, :3], world_to_camera[:3, 3]
    finite = torch.cat([means, quats, scales, opacities[:, None]], 1).isfinite().all(1) & (
        quats.abs().amax(1) > 1e-15
    )
    x, y, z = (means @ rotation.T + translation).unbind(-1)
    seen = finite & (z >= NEAR) & (z <= FAR) & (opacities >= MIN_ALPHA)
    # Values of culled Gaussians are replaced first: a NaN behind torch.where would still poison gradients.
    x, y, z = (torch.where(seen, v, fallback) for v, fallback in ((x, 0.0), (y, 0.0), (z, 1.0)))
    quats = torch.where(seen[:, None], quats, torch.ones_like(quats))
    scales = torch.where(seen[:, None], scales, torch.ones_like(scales))

    margin_x, margin_y = 0.3 * 0.5 * width / fx, 0.3 * 0.5 * height / fy
    tx = (x / z).clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    ty = (y / z).clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * tx / z, zero, fy / z, -fy * ty / z], -1).reshape(-1, 2, 3)
    spread = jacobian @ rotation @ rotation_matrices(quats) * scales[:, None, :]  # [M, 2, 3]
    covariance = spread @ spread.mT
    a, b, c = covariance[:, 0, 0] + BLUR, covariance[:, 0, 1], covariance[:, 1, 1] + BLUR
    determinant = a * c - b * b
    conics = torch.stack([c, -b, a], -1) / determinant[:, None]
    means2d = torch.stack([fx * x / z + cx, fy * y / z + cy], -1)

    with torch.no_grad():
        reach = (2 * (opacities / MIN_ALPHA).clamp(min=1).log()).sqrt().clamp(max=3.33)
        half = reach[:, None] * torch.stack([a, c], -1).sqrt()
        size = half.new_tensor([width, height])
        inside = ((means2d + half.ceil() > 0) & (means2d - half.ceil() < size)).all(1)
        half = torch.where((seen & inside & (determinant > 0))[:, None], half, 0.0)
    return Projected(means2d, conics, z, half)


def blend(
    means2d: Tensor,  # [n, 2] in order of depth
    conics: Tensor,  # [n, 3]
    opacities: Tensor,  # [n]
    colors: Tensor,  # [n, 3]
    pixels: Tensor,  # [P, 2] centers
) -> tuple[Tensor, Tensor]:  # [P, 3] without background, [P] alpha
    """Front-to-back alpha blending of all Gaussians over all given pixels."""
    delta = means2d[:, None, :] - pixels[None, :, :]  # [n, P, 2]
    dx, dy = delta.unbind(-1)
    sigma = 0.5 * (conics[:, None, 0] * dx * dx + conics[:, None, 2] * dy * dy) + conics[:, None, 1] * dx * dy
    alpha = (opacities[:, None] * torch.exp(-sigma)).clamp(max=MAX_ALPHA)
    alpha = torch.where(alpha >= MIN_ALPHA, alpha, 0.0)
    after = torch.cumprod(1 - alpha, 0)
    # Transmittance only falls: Gaussians up to a pixel's stop are those where `after` stays above the limit.
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    weights = torch.where(after > MIN_TRANSMITTANCE, alpha * before, 0.0)  # [n, P]
    return weights.T @ colors, weights.sum(0)


def pixel_centers(left: int, top: int, right: int, bottom: int, like: Tensor) -> Tensor:
    """Centers of the pixels of a box, row by row: [P, 2]."""
    xs = torch.arange(left, right, dtype=like.dtype, device=like.device) + 0.5
    ys = torch.arange(top, bottom, dtype=like.dtype, device=like.device) + 0.5
    return torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).reshape(-1, 2)


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    world_to_camera: Tensor,
    intrinsics: Sequence[float],
    width: int,
    height: int,
    background: Sequence[float] = (0.0, 0.0, 0.0),
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Reference of `gspc.ops.raster.rasterize`: image [H, W, 3], alpha [H, W], radii [M], means2d [M, 2].

    `means2d` takes part in the graph: call `retain_grad()` on it to see dloss / dmeans2d.
    """
    usable = colors.isfinite().all(1)
    projected = project(
        means, quats, scales, torch.where(usable, opacities, 0.0), world_to_camera, intrinsics, width, height
    )
    means2d = projected.means2d
    paint = means.new_tensor(background)
    order = torch.argsort(projected.depths.detach(), stable=True)
    order = order[projected.half_sizes[order, 0] > 0]
    center, half = means2d.detach()[order], projected.half_sizes[order] + 1
    rows_image, rows_alpha = [], []
    for top in range(0, height, TILE):
        bottom = min(top + TILE, height)
        in_row = (center[:, 1] + half[:, 1] > top) & (center[:, 1] - half[:, 1] < bottom)
        tiles_image, tiles_alpha = [], []
        for left in range(0, width, TILE):
            right = min(left + TILE, width)
            ids = order[in_row & (center[:, 0] + half[:, 0] > left) & (center[:, 0] - half[:, 0] < right)]
            pixels = pixel_centers(left, top, right, bottom, means)
            image, alpha = blend(means2d[ids], projected.conics[ids], opacities[ids], colors[ids], pixels)
            image = image + (1 - alpha)[:, None] * paint
            tiles_image.append(image.reshape(bottom - top, right - left, 3))
            tiles_alpha.append(alpha.reshape(bottom - top, right - left))
        rows_image.append(torch.cat(tiles_image, 1))
        rows_alpha.append(torch.cat(tiles_alpha, 1))
    return torch.cat(rows_image), torch.cat(rows_alpha), projected.radii, means2d


# ---------------------------------------------------------------- ssim

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2


def ssim(image: Tensor, target: Tensor) -> Tensor:  # [H, W, 3] each
    """Mean SSIM (Wang et al. 2004) under an 11-tap Gaussian window (sigma 1.5), zero padding."""
    axis = torch.arange(SSIM_WINDOW, dtype=image.dtype, device=image.device) - SSIM_WINDOW // 2
    taps = torch.exp(-(axis**2) / (2 * SSIM_SIGMA**2))
    taps = taps / taps.sum()
    window = torch.outer(taps, taps).expand(3, 1, SSIM_WINDOW, SSIM_WINDOW)
    x, y = image.permute(2, 0, 1)[None], target.permute(2, 0, 1)[None]

    def mean(values: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(values, window, padding=SSIM_WINDOW // 2, groups=3)

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    score = (
        (2 * mx * my + SSIM_C1) * (2 * cov + SSIM_C2) / ((mx * mx + my * my + SSIM_C1) * (vx + vy + SSIM_C2))
    )
    return score.mean()


def squared_error(image: Tensor, target: Tensor) -> Tensor:
    """See `gspc.ops.ssim.squared_error`."""
    scaled = target.to(image.dtype) / 255 if target.dtype == torch.uint8 else target
    return (image.clamp(0, 1) - scaled).square().mean()


def photometric_loss(image: Tensor, target: Tensor, ssim_weight: float) -> tuple[Tensor, Tensor, Tensor]:
    """(1 - w) L1 + w (1 - SSIM) and its parts; `target` [H, W, 3] uint8 (value / 255) or floating."""
    if target.dtype == torch.uint8:
        target = target.to(image.dtype) / 255
    l1 = (image - target).abs().mean()
    similarity = ssim(image, target)
    return (1 - ssim_weight) * l1 + ssim_weight * (1 - similarity), l1, similarity


# ---------------------------------------------------------------- context grid (method section 3)

_PRIMES = (1, 2654435761, 805459861)
_AXES = ((0, 1, 2), (0, 1), (0, 2), (1, 2))


def grid_coordinates(positions: Tensor, spec: GridShape) -> Tensor:
    """Voxel positions [N, 3] to int64 [N, 3] in [0, 2^20): the box fills the middle 15/16, the rest is
    contracted.
    """
    p = positions.long().clamp(0, (1 << 21) - 1)
    low = torch.tensor(spec.box_low, device=p.device)
    size = torch.tensor(spec.box_size, device=p.device)
    below, above = (low - p).clamp(min=0), (p - low - size).clamp(min=0)
    inside = (1 << 15) + (p - low) * ((1 << 20) - (1 << 16)) // size
    under = (1 << 15) - (below << 15) // (below + size)
    over = (1 << 20) - (1 << 15) + (above << 15) // (above + size)
    u = torch.where(p < low, under, torch.where(p >= low + size, over, inside))
    return u.clamp(max=(1 << 20) - 1)


def _grid_corners(u: Tensor, plane: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Entry indices int64 [N, 2^d] and integer weights int64 [N, 2^d] (they sum to 2^(8 d)) of one plane's
    corners.
    """
    dims, resolution, log2_size = plane
    axes = _AXES[dims]
    side = resolution + 1
    dense = side ** len(axes) <= 1 << log2_size
    index = torch.zeros(len(u), 1, dtype=torch.int64, device=u.device)
    weight = torch.ones_like(index)
    for i, axis in enumerate(axes):
        v = u[:, axis, None] * resolution
        upper = torch.tensor([[0, 1]], device=u.device)
        corner = (v >> 20) + upper  # [N, 2]
        fraction = (v >> 12) & 255
        corner_weight = torch.where(upper == 1, fraction, 256 - fraction)
        if dense:
            index = (index[:, None, :] + corner[:, :, None] * side**i).flatten(1)
        else:
            index = (index[:, None, :] ^ ((corner * _PRIMES[i]) & 0xFFFFFFFF)[:, :, None]).flatten(1)
        weight = (weight[:, None, :] * corner_weight[:, :, None]).flatten(1)
    return (index if dense else index & ((1 << log2_size) - 1)), weight


def grid_context(positions: Tensor, embeddings: Tensor, spec: GridShape) -> Tensor:
    """Binary grid context, float32 [N, C] in [-1, 1], from voxel positions [N, 3] and embeddings [E, 4].

    Linear interpolation of the embeddings' signs, rounded to 1/512. The gradient is straight-through: the
    rounding is ignored and d sign(e) / d e = 1 where |e| <= 1, else 0.
    """
    u = grid_coordinates(positions, spec)
    gated = torch.where((embeddings >= -1) & (embeddings <= 1), embeddings, torch.zeros_like(embeddings))
    hard = torch.where(embeddings >= 0, 1.0, -1.0)
    signs = hard + (gated - gated.detach())
    parts, start = [], 0
    for plane in spec.planes:
        index, weight = _grid_corners(u, plane)
        # Every partial sum is a multiple of 2^-24 (3D) or 2^-16 not above 1, so float32 holds it exactly.
        soft = (signs[start + index] * (weight.float() / 256 ** len(_AXES[plane[0]]))[..., None]).sum(1)
        exact = torch.floor(soft.detach().double() * 512 + 0.5) / 512
        parts.append(soft + (exact.float() - soft.detach()))
        dims, resolution, log2_size = plane
        start += min((resolution + 1) ** len(_AXES[dims]), 1 << log2_size)
    return torch.cat(parts, 1) if parts else embeddings.new_zeros(len(positions), 0)


# ---------------------------------------------------------------- Gaussian heads (method section 1)


@dataclass(frozen=True)
class NeuralGaussians:
    """The Gaussians drawn in one view; `index` = n * K + k tells where each comes from, ascending."""

    index: Tensor  # [M] int64
    means: Tensor  # [M, 3] world space
    quats: Tensor  # [M, 4] wxyz, normalized (a zero quaternion stays zero)
    scales: Tensor  # [M, 3] world units
    opacities: Tensor  # [M]
    colors: Tensor  # [M, 3]


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
    """See `gspc.ops.heads.neural_gaussians`. An anchor exactly at the camera has view direction 0."""
    n, k = mask.shape
    if predicted is not None:
        features = torch.cat([predicted, features], 1)
    toward = anchors.detach() - camera_center.detach()
    distance = toward.norm(dim=1, keepdim=True)
    inputs = torch.cat([features, toward / distance.clamp(min=1e-12), distance * heads.distance_scale], 1)
    hidden = torch.relu((inputs @ heads.w1.T).to(features.dtype) + heads.b1)
    of_opacity, of_color, of_cov = hidden.chunk(3, 1)
    # Under autocast the products come in bfloat16; what follows them does not.
    alpha = torch.tanh((of_opacity @ heads.w_opacity.T).to(features.dtype) + heads.b_opacity)  # [N, K]
    color = torch.sigmoid((of_color @ heads.w_color.T).to(features.dtype) + heads.b_color).view(n, k, 3)
    cov = ((of_cov @ heads.w_cov.T).to(features.dtype) + heads.b_cov).view(n, k, 7)
    keep = (alpha > 0) & (mask > 0.5)
    if visible is not None:
        keep &= visible[:, None]
    index = keep.flatten().nonzero()[:, 0]
    row, gate = index // k, mask.flatten()[index]
    extent = log_scales.expand(-1, 6)[row].exp()
    cov = cov.flatten(0, 1)[index]
    return NeuralGaussians(
        index=index,
        means=anchors.detach()[row] + offsets.flatten(0, 1)[index] * extent[:, :3],
        quats=torch.nn.functional.normalize(cov[:, 3:], dim=1, eps=1e-12),
        scales=extent[:, 3:] * torch.sigmoid(cov[:, :3]) * gate[:, None],
        opacities=alpha.flatten()[index] * gate,
        colors=color.flatten(0, 1)[index],
    )


# ---------------------------------------------------------------- rows of per-anchor parameters

_MASK_ODDS = 0.01 / 0.99  # of the masks' threshold (PCGS Eq. 1)


def row_noise(index: Tensor, width: int, seed: int) -> Tensor:
    """Uniform noise in [-1/2, 1/2] of the elements (n, c) of rows `index`: float32 [v, width], a hash of seed
    and n * width + c."""
    word = (1 << 64) - 1
    key = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & word
    key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & word
    key ^= key >> 31
    columns = torch.arange(width, device=index.device)
    x = (index[:, None] * width + columns + (key & 0xFFFFFFFF)) & 0xFFFFFFFF
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = x ^ (key >> 32)
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    x = x ^ (x >> 16)
    signed = torch.where(x >= 1 << 31, x - (1 << 32), x)
    return signed.float() / 2.0**32


def noisy_rows(
    values: Tensor, index: Tensor, also: Tensor, step: Tensor | None, scale: float, seed: int
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.noisy_rows`."""
    rows = values.flatten(1)[index]
    noise = row_noise(index, rows.shape[1], seed) * scale
    noisy = rows + (noise if step is None else noise * step[:, None])
    return noisy.reshape(len(index), *values.shape[1:]), values[also]


def rounded_rows(
    values: Tensor, index: Tensor, also: Tensor, center: Tensor, step: Tensor, finest: int, coarser: int
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.rounded_rows`."""
    rows, center, step = values.flatten(1)[index], center[index], step[index][:, None]
    with torch.no_grad():
        symbols = torch.floor((rows - center) * (finest / step) + 0.5)
        for _ in range(coarser):
            symbols = torch.floor((symbols + 1) / 3)
        restored = center + symbols * (step / (finest // 3**coarser))
    rounded = rows + (restored - rows).detach()
    return rounded.reshape(len(index), *values.shape[1:]), values[also]


def mask_rows(masks: Tensor, index: Tensor, also: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `gspc.ops.rows.mask_rows`; values beyond exp(+-87) saturate."""
    logits = masks.clamp(-87.0, 87.0)
    odds = torch.exp(logits[..., 0]) * (1 + torch.exp(logits[..., 1:level])).prod(-1)
    soft = 1 - 1 / (1 + odds)
    hard = (odds.detach() > _MASK_ODDS).to(masks.dtype)
    mask = hard + (soft - soft.detach())
    return mask[index], masks[also], mask.sum()


def frustum_slopes(camera: Camera) -> tuple[float, float, float, float]:
    """Of the planes left, right, above and below a view; all positive where its axis is inside."""
    left, right = camera.cx / camera.fx, (camera.width - camera.cx) / camera.fx
    return left, right, camera.cy / camera.fy, (camera.height - camera.cy) / camera.fy


def visible_rows(world: Tensor, log_scales: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.visible_rows`."""
    pose = torch.tensor(camera.world_to_camera, dtype=world.dtype, device=world.device)
    x, y, z = (world @ pose[:3, :3].T + pose[:3, 3]).unbind(1)
    # Offsets reach about exp(l[:3]), the Gaussians three standard deviations of exp(l[3:]) further.
    extents = torch.exp(log_scales.expand(-1, 6))
    margin = 2 * extents[:, :3].amax(1) + 3 * extents[:, 3:].amax(1)
    left, right, top, bottom = frustum_slopes(camera)
    inside = (x > -left * z - margin) & (x < right * z + margin)
    inside &= (y > -top * z - margin) & (y < bottom * z + margin)
    index = ((z > NEAR) & inside).nonzero().squeeze(1)
    return index, world[index]


def mean_product(values: Tensor) -> Tensor:
    """See `gspc.ops.rows.mean_product`."""
    x, y, z = values.unbind(1)  # the backward pass of prod is slow
    return (x * y * z).mean()


def positive_share(values: Tensor) -> Tensor:
    """See `gspc.ops.rows.positive_share`."""
    soft = values.clamp(-1, 1)
    sign = torch.where(soft >= 0, 1.0, -1.0)
    return ((sign + (soft - soft.detach()) + 1) / 2).mean()


# ---------------------------------------------------------------- rate

SMALLEST_PROBABILITY = 2.0**-24
_FARTHEST_EDGE = 40.0  # standard deviations
_LOWEST_R, _HIGHEST_R = -2.0, 63 / 32  # what the stream's table of steps holds
_LOWEST_LOG2, _HIGHEST_LOG2 = -3.0, -3.0 + 127 / 12  # what its tables of Gaussians hold, in steps
_SO_FAR_LIMIT = 2047 / 512


def _bin_mass(distance: Tensor, scale: Tensor) -> Tensor:
    """Mass of N(0, scale) in the bin of width 1 around `distance`, from the negative side, where erfc keeps
    its relative precision."""
    away = distance.abs()
    upper = ((0.5 - away) / scale).clamp(-_FARTHEST_EDGE, _FARTHEST_EDGE)
    lower = ((-0.5 - away) / scale).clamp(-_FARTHEST_EDGE, _FARTHEST_EDGE)
    return (torch.erfc(upper * -math.sqrt(0.5)) - torch.erfc(lower * -math.sqrt(0.5))) / 2


def _bounded(mass: Tensor) -> Tensor:
    bounded = mass.clamp(min=SMALLEST_PROBABILITY)
    return mass + (bounded - mass).detach()  # the bound keeps the gradient


def gaussian_bits(distance: Tensor, scale: Tensor) -> Tensor:
    """-log2 of a Gaussian's mass in the bins of width 1 around values `distance` from its mean (PCGS Eq. 4),
    at most 24 bits; `scale` > 0 is its standard deviation. All in steps, elementwise."""
    return -torch.log2(_bounded(_bin_mass(distance, scale)))


def mixture_bits(
    distance: Tensor, scale1: Tensor, mean2: Tensor, scale2: Tensor, weight_logit: Tensor
) -> Tensor:
    """The same of (1 - w) N(0, scale1) + w N(mean2, scale2), w = sigmoid(weight_logit) (HAC++)."""
    first, second = torch.sigmoid(-weight_logit), torch.sigmoid(weight_logit)
    mass = first * _bin_mass(distance, scale1) + second * _bin_mass(distance - mean2, scale2)
    return -torch.log2(_bounded(mass))


def three_way_bits(zero_logit: Tensor, sign_logit: Tensor, trits: Tensor) -> Tensor:
    """-log2 of trits in {-1, 0, 1} under p(0) = sigmoid(zero_logit), p(+1 | not 0) = sigmoid(sign_logit)
    (PCGS Eq. 6)."""
    softplus = torch.nn.functional.softplus
    nonzero = softplus(zero_logit) + softplus(-trits * sign_logit)
    return torch.where(trits == 0, softplus(-zero_logit), nonzero) / math.log(2.0)


def share_bits(before: Tensor, trits: Tensor, scale: Tensor) -> Tensor:
    """-log2 of trits by a Gaussian's shares of the three bins 3 `before` + {-1, 0, 1} of width 1 (PCGS's
    ablation "trits with a Gaussian")."""
    masses = torch.stack([_bounded(_bin_mass(3 * before + t, scale)) for t in (-1.0, 0.0, 1.0)])
    chosen = torch.where(trits < 0, masses[0], torch.where(trits == 0, masses[1], masses[2]))
    return torch.log2(masses.sum(0)) - torch.log2(chosen)


def _relative_step(r: Tensor) -> Tensor:
    """Step of level 1 over Q0."""
    return 1 + torch.tanh(r.clamp(_LOWEST_R, _HIGHEST_R))


def _log2_in_steps(octaves: Tensor, relative_step: Tensor) -> Tensor:
    return (octaves - 3 - torch.log2(relative_step)).clamp(_LOWEST_LOG2, _HIGHEST_LOG2)


def weighted_sum(bits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of bits [n, V] times weights [n, G] of V / G of them each, and the groups' own sums."""
    sums = bits.unflatten(1, (weights.shape[1], -1)).sum(2)
    return (sums * weights).sum(), sums.detach()


def appearance_bits(
    rows: AttributeRows,
    refinement: int,
    weights: Tensor,
    chunks: Sequence[Tensor] = (),
    seed: int | None = None,
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.appearance_bits`."""
    relative = _relative_step(rows.r) / refinement
    step = rows.base * relative
    distance = (rows.values - rows.base * rows.center) / step
    if seed is None:
        distance = torch.floor(distance.detach() + 0.5)
    else:
        every = torch.arange(len(distance), device=distance.device)
        distance = distance + row_noise(every, distance.shape[1], seed)
    scale = torch.exp2(_log2_in_steps(rows.octaves, relative))
    first = distance.shape[1] - sum(outputs.shape[1] // 3 for outputs in chunks)
    bits = [gaussian_bits(distance[:, :first], scale[:, :first])]
    for outputs in chunks:
        mean, octaves, logit = outputs.chunk(3, dim=1)
        end = first + mean.shape[1]
        scale2 = torch.exp2(_log2_in_steps(octaves, relative))
        bits.append(mixture_bits(distance[:, first:end], scale[:, first:end], mean / relative, scale2, logit))
        first = end
    return weighted_sum(torch.cat(bits, 1), weights)


def chunk_inputs(rows: AttributeRows, refinement: int, ends: Sequence[int]) -> tuple[Tensor, ...]:
    """See `gspc.ops.rate.chunk_inputs`."""
    relative = _relative_step(rows.r) / refinement
    scales = ((_log2_in_steps(rows.octaves, relative) - _LOWEST_LOG2) * 12 - 64) / 32
    means = (rows.center / 8).clamp(-_SO_FAR_LIMIT, _SO_FAR_LIMIT)
    with torch.no_grad():
        symbols = torch.floor((rows.values - rows.base * rows.center) / (rows.base * relative) + 0.5)
        so_far = (symbols * relative / 8).clamp(-_SO_FAR_LIMIT, _SO_FAR_LIMIT)
    return tuple(
        torch.cat([scales[:, first:end], means[:, first:end], so_far[:, :first]], 1)
        for first, end in itertools.pairwise(ends)
    )


@torch.no_grad()
def _symbols(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """Symbols `coarser` levels above those of step q1 / finest, and another level further up."""
    step = rows.base * _relative_step(rows.r) / finest
    symbols = torch.floor((rows.values - rows.base * rows.center) / step + 0.5)
    for _ in range(coarser):
        symbols = torch.floor((symbols + 1) / 3)
    return symbols, torch.floor((symbols + 1) / 3)


@torch.no_grad()
def trits(rows: AttributeRows, finest: int, coarser: int) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.trits`."""
    symbols, before = _symbols(rows, finest, coarser)
    unit = _relative_step(rows.r) * (3 ** (coarser + 1) / finest) / 8
    return (before * unit).clamp(-_SO_FAR_LIMIT, _SO_FAR_LIMIT), symbols - 3 * before


def weighted_three_way_bits(outputs: Tensor, trits: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.three_way_bits`."""
    zero, sign = outputs.chunk(2, dim=1)
    return weighted_sum(three_way_bits(zero.clamp(-8, 7.75), sign.clamp(-4, 3.875), trits), weights)


def gaussian_trit_bits(
    rows: AttributeRows, refinement: int, finest: int, coarser: int, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rate.gaussian_trit_bits`."""
    symbols, before = _symbols(rows, finest, coarser)
    scale = torch.exp2(_log2_in_steps(rows.octaves, _relative_step(rows.r) / refinement))
    return weighted_sum(share_bits(before, symbols - 3 * before, scale), weights)


# ---------------------------------------------------------------- two-layer network


def two_layer(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """One network of `gspc.ops.mlp.two_layers`: x [n, I] -> [n, O]."""
    return torch.relu(x @ w1.T + b1) @ w2.T + b2
