"""Growing and pruning anchors from what training saw of them (Scaffold-GS, method section 6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gspc.model.anchors import POSITION_CENTER, AnchorModel
from gspc.model.masks import START, first_level, mask_logits
from gspc.ops.rows import add_statistics
from gspc.recipe import GrowthChoice, ScheduleSettings
from gspc.train.chance import uniform
from gspc.train.guards import with_floor
from gspc.train.initialize import LATTICES
from gspc.train.optimizer import edit_anchors
from gspc.train.worth import prices

SEEN_TO_GROW = 0.4  # share of the interval's iterations a Gaussian must have been drawn in
SEEN_TO_PRUNE = 0.8
FAINT = 0.005  # mean summed opacity below which an anchor is pruned
# A relative threshold is read as that of pictures with this loss: a unit, as `gspc.train.rate.loss` has one.
LOSS_UNIT = 0.04


class FixedThreshold:
    """The gradient from which anchors grow, in normalized device units."""

    def __init__(self, gradient: float) -> None:
        self.gradient = gradient

    def at(self, picture_loss: float) -> float:
        """The threshold while the pictures' smoothed loss is `picture_loss`."""
        return self.gradient


class RelativeThreshold(FixedThreshold):
    """The same in relation to the pictures' loss. Gradients shrink with it: where pictures are easy, the same
    threshold would grow too little."""

    def at(self, picture_loss: float) -> float:
        """The threshold while the pictures' smoothed loss is `picture_loss`."""
        return self.gradient * math.sqrt(picture_loss / LOSS_UNIT)


def growth_threshold(asked: ScheduleSettings) -> FixedThreshold:
    """The threshold that a recipe asks for."""
    return (RelativeThreshold if asked.relative_growth else FixedThreshold)(asked.densify_threshold)


@dataclass
class Statistics:
    """Sums over the iterations since the last densification, float32."""

    gradient: Tensor  # [N * K] norms of the screen positions' gradients
    drawn: Tensor  # [N * K] iterations that drew the Gaussian
    opacity: Tensor  # [N] opacities of an anchor's Gaussians
    visible: Tensor  # [N] iterations in which the anchor was visible

    @staticmethod
    def empty(model: AnchorModel) -> Statistics:
        """Zeros for a model."""
        anchors, device = model.anchors, model.features.device
        per_gaussian = torch.zeros(anchors * model.shape.offsets, device=device)
        per_anchor = torch.zeros(anchors, device=device)
        return Statistics(per_gaussian, per_gaussian.clone(), per_anchor, per_anchor.clone())

    def add(
        self,
        visible: Tensor,
        index: Tensor,
        radii: Tensor,
        means2d_grad: Tensor,
        opacities: Tensor,
        half: tuple[float, float],
        count: Tensor | None = None,
    ) -> None:
        """One iteration: the anchors `visible` (int64 [v], ascending) showed the Gaussians `index` (int64
        [m], row * K + k, ascending) with radii int32 [m] and gradients of their screen positions [m, 2] in
        pixels; `half` is half the picture's size. `count`, int64 [1]: the first so many of them; None:
        all."""
        sums = self.gradient, self.drawn, self.opacity, self.visible
        add_statistics(sums, visible, index, radii, means2d_grad, opacities, half, count)

    def resized(self, keep: Tensor, model: AnchorModel) -> Statistics:
        """Without the anchors not kept (bool [old N]), with zeros for those that `model` gained."""
        k = model.shape.offsets
        added = model.anchors - int(keep.sum())

        def edit(values: Tensor, per_anchor: int) -> Tensor:
            kept = values.reshape(len(keep), per_anchor)[keep].flatten()
            return torch.cat([kept, kept.new_zeros(added * per_anchor)])

        return Statistics(
            edit(self.gradient, k), edit(self.drawn, k), edit(self.opacity, 1), edit(self.visible, 1)
        )

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint; [N * K] and [N]."""
        return {
            "gradient": self.gradient,
            "drawn": self.drawn,
            "opacity": self.opacity,
            "visible": self.visible,
        }


def _by_chance(among: Tensor, pull: Tensor, share: float, shared: torch.Generator | None) -> Tensor:
    """Each of the Gaussians `among`, bool [g], with a probability (Scaffold-GS)."""
    return among & (uniform(len(among), among, shared) > 1 - share)


def _by_pull(among: Tensor, pull: Tensor, share: float, shared: torch.Generator | None) -> Tensor:
    """The share of the Gaussians `among`, bool [g], that pull hardest by `pull` [g]; all that pull as hard as
    the last of them, too, so that no order decides."""
    found = pull[among]
    count = round(share * len(found))
    if count == 0:
        return torch.zeros_like(among)
    return among & (pull >= found.topk(count).values[-1])


Choose = Callable[[Tensor, Tensor, float, "torch.Generator | None"], Tensor]
CHOICES: Mapping[GrowthChoice, Choose] = {"chance": _by_chance, "strongest": _by_pull}


def _position_keys(positions: Tensor) -> Tensor:  # int [n, 3] -> int64 [n]
    p = positions.long()
    return (p[:, 0] << 42) | (p[:, 1] << 21) | p[:, 2]


@torch.no_grad()
def densify(
    model: AnchorModel,
    optimizer: torch.optim.Adam,
    statistics: Statistics,
    threshold: float,
    interval: int,
    most: int,
    shared: torch.Generator | None = None,
    *,
    choice: GrowthChoice = "strongest",
    judges_faint: bool = True,
) -> Statistics:
    """Adds anchors where Gaussians pull hard, a share of these by `choice`, at most until there are `most`,
    and removes faint ones if asked; returns the statistics to go on with. `shared` draws alike on all ranks.

    What was seen often enough to be judged starts anew, the rest keeps counting: anchors that few views show
    would otherwise never be judged.
    """
    judged_gaussians = statistics.drawn > interval * SEEN_TO_GROW
    judged_anchors = statistics.visible > interval * SEEN_TO_PRUNE
    mean_opacity = statistics.opacity / statistics.visible.clamp_min(1)
    faint = judged_anchors & (mean_opacity < FAINT) & judges_faint
    keep = with_floor(~faint, mean_opacity)
    before = model.anchors
    _grow(model, optimizer, statistics, judged_gaussians, threshold, most, shared, CHOICES[choice])
    carried = Statistics(
        gradient=statistics.gradient * ~judged_gaussians,
        drawn=statistics.drawn * ~judged_gaussians,
        opacity=statistics.opacity * ~judged_anchors,
        visible=statistics.visible * ~judged_anchors,
    )
    _prune(model, optimizer, torch.cat([keep, keep.new_ones(model.anchors - before)]))
    return carried.resized(keep, model)


def _grow(
    model: AnchorModel,
    optimizer: torch.optim.Adam,
    statistics: Statistics,
    eligible: Tensor,
    threshold: float,
    most: int,
    shared: torch.Generator | None,
    choose: Choose,
) -> None:
    k = model.shape.offsets
    mean = statistics.gradient / statistics.drawn.clamp_min(1)
    world = model.world()[:, None] + model.offsets * torch.exp(model.log_scales[:, None, :3])
    voxels = (world.double() - model.origin) / model.voxel_size
    voxels = voxels.reshape(-1, 3)
    parents_features = model.features
    for i, stride in enumerate(LATTICES):
        chosen = eligible & (mean >= threshold * 2**i)
        chosen = choose(chosen, mean, 1 - 0.5 ** (i + 1), shared)
        index = chosen.nonzero().squeeze(1)
        if len(index) == 0:
            continue
        cells = torch.round(voxels[index] / stride) * stride
        inside = ((cells >= 0) & (cells < 2 * POSITION_CENTER)).all(1)
        cells, index = cells[inside].long(), index[inside]
        keys, group = torch.unique(_position_keys(cells), return_inverse=True)
        occupied = torch.round(model.positions.double() / stride).long() * stride
        fresh = ~torch.isin(keys, _position_keys(occupied))
        if not bool(fresh.any()):
            continue
        if (room := most - model.anchors) <= 0:
            return
        if int(fresh.sum()) > room:
            fresh = _strongest(fresh, group, mean[index], room)
        features = parents_features.new_full((len(keys), parents_features.shape[1]), -math.inf)
        parent = parents_features[index // k]
        features.scatter_reduce_(0, group[:, None].expand_as(parent), parent, "amax")
        _append(model, optimizer, keys[fresh], features[fresh], math.log(stride * model.voxel_size))


def _strongest(fresh: Tensor, group: Tensor, pull: Tensor, count: int) -> Tensor:
    """The `count` of the `fresh` cells, bool [c], whose Gaussians pull hardest: Gaussian i, with gradient
    pull[i], is in cell group[i]."""
    strength = pull.new_zeros(len(fresh)).scatter_reduce_(0, group, pull, "amax")
    best = torch.where(fresh, strength, -math.inf).topk(count).indices
    return torch.zeros_like(fresh).index_fill(0, best, True)


def _append(
    model: AnchorModel, optimizer: torch.optim.Adam, keys: Tensor, features: Tensor, log_scale: float
) -> None:
    mask = (1 << 21) - 1
    positions = torch.stack([keys >> 42, (keys >> 21) & mask, keys & mask], 1).int()
    model.positions = torch.cat([model.positions, positions])

    def edit(name: str, values: Tensor, is_state: bool) -> Tensor:
        new = values.new_zeros(len(keys), *values.shape[1:])
        if not is_state:
            if name == "features":
                new = torch.zeros_like(features) if model.pool is not None else features
            elif name == "log_scales":
                new.fill_(log_scale)
            elif name == "masks":
                new.fill_(START)
        return torch.cat([values, new])

    edit_anchors(model, optimizer, edit)


@torch.no_grad()
def prune_closed(model: AnchorModel, optimizer: torch.optim.Adam, statistics: Statistics) -> Statistics:
    """Removes anchors whose masks are closed at every level (HAC++): nothing draws them any more, so nothing
    can open them again."""
    keep = (first_level(model.masks) > 0).any(1)
    keep = with_floor(keep, mask_logits(model.masks, model.masks.shape[2]).amax(1))
    _prune(model, optimizer, keep)
    return statistics.resized(keep, model)


@torch.no_grad()
def prune_worthless(
    model: AnchorModel, optimizer: torch.optim.Adam, statistics: Statistics, gains: Tensor, least: float
) -> Statistics:
    """Removes anchors that are worth less than `least` dB for each e-fold of the bytes of all, but no more
    than half of these bytes; `gains` [N] is what the training views lose without each, in dB
    (`gspc.train.worth`)."""
    price = prices(first_level(model.masks))
    worth = gains / price * price.sum()
    order = torch.argsort(worth, descending=True)
    half = torch.zeros_like(worth, dtype=torch.bool)
    half[order] = price[order].cumsum(0) <= price.sum() / 2
    keep = with_floor((worth >= least) | half, worth)
    _prune(model, optimizer, keep)
    return statistics.resized(keep, model)


def _prune(model: AnchorModel, optimizer: torch.optim.Adam, keep: Tensor) -> None:
    if not bool(keep.all()):
        model.positions = model.positions[keep]
        edit_anchors(model, optimizer, lambda _name, values, _is_state: values[keep])
