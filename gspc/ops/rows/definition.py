"""The readable torch version of `gspc.ops.rows`, on any device; tests compare the kernels with it. N anchors,
K offsets per anchor, v and a rows of them."""

from __future__ import annotations

import torch
from torch import Tensor

from gspc.ops.footprint import MARGIN, SLACK, Footprint
from gspc.scene import Camera

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
    """See `gspc.ops.rows.noisy_rows`: [N, ...] -> [v, ...], [a, ...]."""
    rows = values.flatten(1).index_select(0, index)
    noise = row_noise(index, rows.shape[1], seed) * scale
    noisy = rows + (noise if step is None else noise * step[:, None])
    return noisy.reshape(len(index), *values.shape[1:]), values.index_select(0, also)


def rounded_rows(
    values: Tensor, index: Tensor, also: Tensor, center: Tensor, step: Tensor, finest: int, coarser: int
) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.rounded_rows`: [N, ...] -> [v, ...], [a, ...]."""
    rows, center, step = (t.index_select(0, index) for t in (values.flatten(1), center, step))
    step = step[:, None]
    with torch.no_grad():
        symbols = torch.floor((rows - center) * (finest / step) + 0.5)
        for _ in range(coarser):
            symbols = torch.floor((symbols + 1) / 3)
        restored = center + symbols * (step / (finest // 3**coarser))
    rounded = rows + (restored - rows).detach()
    return rounded.reshape(len(index), *values.shape[1:]), values.index_select(0, also)


def mask_rows(masks: Tensor, index: Tensor, also: Tensor, level: int) -> tuple[Tensor, Tensor, Tensor]:
    """See `gspc.ops.rows.mask_rows`: [N, K, S] -> [v, K], [a, K, S], []; values beyond exp(+-87) saturate."""
    logits = masks.clamp(-87.0, 87.0)
    odds = torch.exp(logits[..., 0]) * (1 + torch.exp(logits[..., 1:level])).prod(-1)
    soft = 1 - 1 / (1 + odds)
    hard = (odds.detach() > _MASK_ODDS).to(masks.dtype)
    mask = hard + (soft - soft.detach())
    return mask.index_select(0, index), masks.index_select(0, also), mask.sum()


def visible_rows(world: Tensor, log_scales: Tensor, offsets: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """See `gspc.ops.rows.visible_rows`: [N, 3], [N, Z], [N, K, 3] -> [v], [v, 3]."""
    view = Footprint.of(camera)
    pose = torch.tensor(camera.world_to_camera[:3], dtype=world.dtype, device=world.device)
    focal, center, size = world.new_tensor(view[:6]).view(3, 2)
    where = world @ pose[:, :3].T + pose[:, 3]
    scales = torch.exp(log_scales.expand(-1, 6))
    slack = SLACK * (where.abs() + pose[:, 3].abs()).sum(1, keepdim=True)
    reach = (offsets * scales[:, None, :3]).norm(dim=2).amax(1, keepdim=True) + slack
    across, z = where.split([2, 1], dim=1)
    near, far = (z - reach).clamp_min(view.nearest), z + reach
    radius = ((view.gain * scales[:, 3:].amax(1, keepdim=True) / near) ** 2 + view.blur).sqrt() + MARGIN
    low, high = across - reach, across + reach
    left = focal * low / torch.where(low < 0, near, far) + center - radius
    right = focal * high / torch.where(high > 0, near, far) + center + radius
    seen = (far >= view.nearest)[:, 0] & ((right >= 0) & (left <= size)).all(1)
    index = seen.nonzero().squeeze(1)
    return index, world.index_select(0, index)


def mean_product(values: Tensor) -> Tensor:
    """See `gspc.ops.rows.mean_product`: [n, 3] -> []."""
    x, y, z = values.unbind(1)  # the backward pass of prod is slow
    return (x * y * z).mean()


def positive_share(values: Tensor) -> Tensor:
    """See `gspc.ops.rows.positive_share`: [n, w] -> []."""
    soft = values.clamp(-1, 1)
    sign = torch.where(soft >= 0, 1.0, -1.0)
    return ((sign + (soft - soft.detach()) + 1) / 2).mean()


def add_statistics(
    sums: tuple[Tensor, Tensor, Tensor, Tensor],
    visible: Tensor,
    index: Tensor,
    radii: Tensor,
    means2d_grad: Tensor,
    opacities: Tensor,
    half: tuple[float, float],
) -> None:
    """See `gspc.ops.rows.add_statistics`: sums [N * K], [N * K], [N], [N]; rows [v], Gaussians [m]."""
    k = len(sums[0]) // len(sums[3])
    seen = radii > 0
    gradient = (means2d_grad * means2d_grad.new_tensor(half)).norm(dim=1)
    flat = visible[index // k] * k + index % k
    sums[0].index_add_(0, flat, gradient * seen)
    sums[1].index_add_(0, flat, seen.to(gradient.dtype))
    sums[2].index_add_(0, visible[index // k], opacities)
    sums[3].index_add_(0, visible, torch.ones_like(visible, dtype=gradient.dtype))
