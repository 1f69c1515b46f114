"""The readable torch version of `gspc.ops.raster`, in any float dtype and on any device; tests compare the
kernels with it. M Gaussians, H W image, P pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gspc.ops.conventions import BLUR, FAR, NEAR

MAX_ALPHA, MIN_ALPHA = 0.999, 1.0 / 255.0
MIN_TRANSMITTANCE = 1e-4
TILE = 16


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
