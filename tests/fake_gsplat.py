"""A stand-in for gsplat 1.5.3 in plain torch: the one function we call, with its documented shapes and
conventions.

Every Gaussian at every pixel, in depth order, so for a few dozen Gaussians only. It refuses arguments gsplat
would refuse.
"""

from __future__ import annotations

import torch

__version__ = "1.5.3"


def _rotations(quats: torch.Tensor) -> torch.Tensor:
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, -1).reshape(-1, 3, 3)


def rasterization(
    means: torch.Tensor,  # [N, 3]
    quats: torch.Tensor,  # [N, 4]
    scales: torch.Tensor,  # [N, 3]
    opacities: torch.Tensor,  # [N]
    colors: torch.Tensor,  # [N, D]
    viewmats: torch.Tensor,  # [C, 4, 4]
    Ks: torch.Tensor,  # [C, 3, 3]
    width: int,
    height: int,
    near_plane: float = 0.01,
    eps2d: float = 0.3,
    packed: bool = True,
    tile_size: int = 16,
    backgrounds: torch.Tensor | None = None,  # [C, D]
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
) -> tuple[torch.Tensor, torch.Tensor, dict]:
    count = means.shape[0]
    assert count > 0 and means.shape == (count, 3) and quats.shape == (count, 4)
    assert scales.shape == (count, 3) and opacities.shape == (count,) and colors.shape == (count, 3)
    assert viewmats.shape == (1, 4, 4) and Ks.shape == (1, 3, 3)
    assert backgrounds is not None and backgrounds.shape == (1, 3)
    assert all(
        value.dtype == torch.float32 for value in (means, quats, scales, opacities, colors, viewmats, Ks)
    )
    assert (packed, tile_size, render_mode, rasterize_mode) == (False, 16, "RGB", "classic")
    view, (fx, fy, cx, cy) = viewmats[0], (Ks[0, 0, 0], Ks[0, 1, 1], Ks[0, 0, 2], Ks[0, 1, 2])

    camera_means = means @ view[:3, :3].T + view[:3, 3]
    x, y, z = camera_means.unbind(-1)
    in_front = z >= near_plane
    depth = torch.where(in_front, z, torch.ones_like(z))
    half = view[:3, :3] @ _rotations(quats) * scales[:, None, :]
    lim_x, lim_y = 0.15 * width / fx, 0.15 * height / fy
    tx = torch.minimum(torch.maximum(x / depth, -(cx / fx + lim_x)), (width - cx) / fx + lim_x)
    ty = torch.minimum(torch.maximum(y / depth, -(cy / fy + lim_y)), (height - cy) / fy + lim_y)
    zero = torch.zeros_like(tx)
    jacobian = torch.stack([fx + zero, zero, -fx * tx, zero, fy + zero, -fy * ty], -1).reshape(-1, 2, 3)
    spread = (jacobian / depth[:, None, None]) @ half
    cov = spread @ spread.transpose(1, 2) + eps2d * torch.eye(2)
    means2d = torch.stack([fx * x / depth + cx, fy * y / depth + cy], -1)[None]

    extent = torch.sqrt(2 * torch.log(opacities.clamp_min(1 / 255) * 255)).clamp_max(3.33)[:, None]
    radii = torch.ceil(extent * torch.sqrt(torch.diagonal(cov, dim1=1, dim2=2))).int()
    inside = (means2d[0] + radii > 0) & (means2d[0] - radii < torch.tensor([width, height]))
    radii = radii * (in_front & inside.all(-1) & (opacities >= 1 / 255))[:, None]

    grid_y, grid_x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    pixels = torch.stack([grid_x, grid_y], -1)
    image = torch.zeros(height, width, 3)
    through = torch.ones(height, width)
    running = torch.ones(height, width, dtype=torch.bool)
    inverse = torch.linalg.inv(cov)
    for i in torch.argsort(z, stable=True).tolist():
        if not bool((radii[i] > 0).all()):
            continue
        delta = pixels - means2d[0, i]
        power = 0.5 * torch.einsum("hwi,ij,hwj->hw", delta, inverse[i], delta)
        alpha = torch.clamp_max(opacities[i] * torch.exp(-power), 0.999)
        after = through * (1 - alpha)
        seen = running & (alpha >= 1 / 255)
        running = running & ~(seen & (after <= 1e-4))
        use = seen & running
        image = image + torch.where(use, alpha * through, 0.0)[..., None] * colors[i]
        through = torch.where(use, after, through)
    image = image + through[..., None] * backgrounds[0]
    return image[None], (1 - through)[None, ..., None], {"means2d": means2d, "radii": radii[None]}
