"""When things happen in a run, and how fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gspc.recipe.group import Group, about

Noise = Literal["finest", "first"]
Downsampling = Literal["none", "fixed", "linear", "cosine"]
GrowthChoice = Literal["chance", "strongest"]
PictureError = Literal["mean-absolute", "root-mean-square"]


@dataclass(frozen=True)
class ScheduleSettings(Group):
    """What `gspc.train.schedule` and densification are set to."""

    iterations: int = field(
        default=0,
        metadata=about("iterations when none are asked for; 0: 30000 on CUDA, 3000 on a CPU", 0, 10**7),
    )
    noise: Noise = field(
        default="finest", metadata=about("noise before steps are learned: the finest level's or a whole step")
    )
    picture_error: PictureError = field(
        default="root-mean-square",
        metadata=about("what of the pixels' errors is in the loss beside SSIM"),
    )
    ssim_weight: float = field(
        default=0.3, metadata=about("of 1 - SSIM in the loss; the errors have the rest", 0, 1)
    )
    densify_threshold: float = field(
        default=1.05e-4, metadata=about("screen-space gradient from which anchors grow", 1e-9, 1)
    )
    growth_choice: GrowthChoice = field(
        default="strongest",
        metadata=about("which of the Gaussians above the threshold grow: some by chance, or the strongest"),
    )
    relative_growth: bool = field(
        default=True, metadata=about("densify_threshold relative to the picture's loss, as relative_rate")
    )
    prune_by_masks: bool = field(
        default=True, metadata=about("anchors whose masks are closed at every level leave the training")
    )
    least_worth: float = field(
        default=1.5,
        metadata=about(
            "anchors leave the training that are worth less to the training views, in dB for each e-fold of "
            "the bytes of all; 0: nobody looks",
            0,
            100,
        ),
    )
    mask_haste: float = field(
        default=2.0,
        metadata=about(
            "factor on the masks' learning rate, beside the one for a short run; both at most 20", 0.1, 20
        ),
    )
    mask_momentum: float = field(
        default=0.98,
        metadata=about("Adam's first decay for masks: over how many views a step averages", 0, 0.999),
    )
    pool_alone: float = field(
        default=0.1, metadata=about("share of the run in which the pool learns without residuals", 0, 0.9)
    )
    grid_until: float = field(
        default=0.5,
        metadata=about("share of the time in which the grid could learn after which its signs stay", 0.1, 1),
    )
    round_from: float = field(
        default=0.95,
        metadata=about(
            "share of the run after which attributes are rounded as in the stream instead of noise; 1: never",
            0.9,
            1,
        ),
    )
    random_background: float = field(
        default=0.1,
        metadata=about(
            "share of the run in which a random color is behind the scene in each iteration, where "
            "photographs are transparent in places",
            0,
            1,
        ),
    )
    downsampling: Downsampling = field(
        default="none", metadata=about("how the training views grow to their size")
    )
    downsampling_start: float = field(default=0.7, metadata=about("scale of the views at the start", 0.1, 1))
    downsampling_until: float = field(
        default=0.3, metadata=about("share of the run until the views have their size", 0, 1)
    )
