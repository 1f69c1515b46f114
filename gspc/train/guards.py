"""What keeps a fit from ending in nothing: a floor under pruning, a ceiling over growth, a loss that is a
number, a first level that shows something."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gspc.config import MIN_MAX_ANCHORS
from gspc.errors import BackendError, InputError
from gspc.model.anchors import AnchorModel
from gspc.model.masks import START, first_level, mask_logits

# Pictures that show nothing, or that nothing explains yet, prune everything; what is left can still grow, and
# a stream of it is hardly more than its networks.
FEWEST_ANCHORS = MIN_MAX_ANCHORS
# Parameters, gradients, moments and a step's intermediate values of an anchor. Measured on a CPU, peak memory
# of bonsai-small with 17,000 and with 76,000 anchors: 5.1 kB for each more.
BYTES_PER_ANCHOR = 6000
MEMORY_SHARE = 0.5  # of the machine's memory that anchors may take


def with_floor(keep: Tensor, worth: Tensor) -> Tensor:
    """The anchors to keep, bool [N]; where those are fewer than `FEWEST_ANCHORS`, also the best others by
    their `worth` [N]."""
    missing = min(FEWEST_ANCHORS, len(keep)) - int(keep.sum())
    if missing <= 0:
        return keep
    best = torch.where(keep, -math.inf, worth).topk(missing).indices
    return keep.index_fill(0, best, True)


def most_anchors(asked: int | None, device: torch.device) -> int:
    """How many anchors growth may reach: as many as asked for, or as memory holds."""
    if asked is not None:
        return asked
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(int(MEMORY_SHARE * memory / BYTES_PER_ANCHOR), FEWEST_ANCHORS)


@contextmanager
def told_of_full_gpu() -> Iterator[None]:
    """Turns torch's error of a GPU whose memory is full into one line. Raises BackendError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise BackendError(
            "the GPU's memory is full; keep fewer photographs there with --gpu-memory 0, or train with fewer "
            "--max-anchors or a smaller --resolution (--resume goes on from the checkpoint, if there is one)"
        ) from error


def check_loss(loss: float, iteration: int) -> None:
    """Raises InputError for a loss that is no number: nothing can be learned from there."""
    if not math.isfinite(loss):
        raise InputError(
            f"the loss is not finite in iteration {iteration + 1}; the checkpoint, if any, is from before: "
            "go on from it with smaller --rate-weights, or check the photographs and cameras"
        )


@torch.no_grad()
def open_first_level(model: AnchorModel) -> int:
    """Opens the likeliest Gaussians at level 1 where masks left none there; how many it had to open."""
    if bool((first_level(model.masks) == 1).any()):
        return 0
    logits = mask_logits(model.masks, 1).flatten()
    best = logits.topk(min(FEWEST_ANCHORS, len(logits))).indices
    model.masks.view(-1, model.masks.shape[2])[best, 0] = START
    return len(best)
