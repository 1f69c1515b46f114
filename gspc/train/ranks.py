"""Processes that train one model together (torchrun): replicas, each of which looks at views of its own.

After every backward pass the gradients are averaged over all of them, so that all take the same step. What
must be alike (levels, the order of views, where anchors grow) is drawn from a generator that all seed alike;
samples and noise from one of each rank's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gspc.errors import BackendError, UsageError
from gspc.train.process import ENDING

STRIDE = 0x9E3779B97F4A7C15  # between the seeds of ranks
SEED_RANGE = 1 << 63


class Ranks:
    """A rank that is alone: nobody to agree with."""

    rank, count = 0, 1
    shared: torch.Generator | None = None  # None: torch's own
    asked: int | None = None  # the signal that asked this process to end
    agreed: int | None = None  # the same, once all ranks know of it

    @property
    def first(self) -> bool:
        """Whether this rank speaks and writes for all."""
        return self.rank == 0

    @property
    def rate_scale(self) -> float:
        """Factor on learning rates: how many views a step averages, so that fewer steps lead as far. The root
        of it, which theory has for runs that noise limits (Malladi et al. 2022; Grendel-GS, section 4), left
        runs of some hundred steps behind; see tests/bench/results/ranks-2-busy-cores.md."""
        return float(self.count)

    def start(self, seed: int) -> None:
        """Seeds the generators once the model, which is the same everywhere, is there."""

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Makes the gradients of parameters [...] their means over all ranks; where a rank has none it counts
        as 0."""
        self.agreed = self.asked

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """Makes tensors [...] their means over all ranks, in place."""

    def finish(self) -> None:
        """Waits until all ranks are here."""


class Together(Ranks):
    """One of several."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count
        self.shared = torch.Generator()

    def start(self, seed: int) -> None:
        """Seeds the generators once the model, which is the same everywhere, is there."""
        assert self.shared is not None
        self.shared.manual_seed(seed)
        own = (seed + STRIDE * (self.rank + 1)) % SEED_RANGE
        torch.manual_seed(own)

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """See `Ranks`: parameters [...]. One reduction of all gradients, of who has which, and of who was
        asked to end. Raises RankGone, with all parameters as they were."""
        like = parameters[0]
        flags = [float(p.grad is not None) for p in parameters]
        flags += [float(self.asked == number) for number in ENDING]
        parts = [torch.tensor(flags, device=like.device)]
        parts += [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters]
        flat = torch.cat(parts)
        with _told():
            dist.all_reduce(flat)
        found = flat[: len(flags)].tolist()
        self.agreed = next(
            (n for n, wish in zip(ENDING, found[len(parameters) :], strict=True) if wish), None
        )
        flat /= self.count
        start = len(flags)
        for parameter, has in zip(parameters, found, strict=False):
            values = flat[start : start + parameter.numel()]
            parameter.grad = values.view_as(parameter).clone() if has else None
            start += parameter.numel()

    def mean(self, tensors: Sequence[Tensor]) -> None:
        """See `Ranks`: tensors [...]. Raises RankGone, with all tensors as they were."""
        sums = [tensor.clone() for tensor in tensors]
        for total in sums:
            with _told():
                dist.all_reduce(total)
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.div_(self.count))

    def finish(self) -> None:
        """Waits until all ranks are here."""
        with _told():
            dist.barrier()


class RankGone(BackendError):
    """A rank is gone, and with it the fit."""


@contextmanager
def _told() -> Iterator[None]:
    """Turns what a backend says of a lost connection into one line."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0][:120]
        raise RankGone(f"another rank of this fit is gone ({reason})") from error


def _number(name: str) -> int:
    value = os.environ.get(name, "")
    if not value.isdecimal():
        raise UsageError(f"{name}={value}: torchrun sets a whole number; start fits of several ranks with it")
    return int(value)


def wanted() -> int:
    """How many ranks torchrun started; 1 without it."""
    return _number("WORLD_SIZE") if os.environ.get("WORLD_SIZE") else 1


def device_of_rank(device: str) -> str:
    """The device of this rank where `device` names a kind: the GPU of its number on this machine."""
    if wanted() == 1 or device not in ("auto", "cuda") or not torch.cuda.is_available():
        return device
    return f"cuda:{_number('LOCAL_RANK')}"


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """This rank among those that torchrun started, or alone. Raises UsageError, BackendError."""
    count = wanted()
    if count == 1:
        yield Ranks()
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(torch.device(device))
    try:
        dist.init_process_group("nccl" if on_gpu else "gloo")
    except (RuntimeError, ValueError) as error:
        raise BackendError(f"ranks cannot be joined ({error}); start them with torchrun") from error
    try:
        yield Together(_number("RANK"), count)
    finally:
        dist.destroy_process_group()
