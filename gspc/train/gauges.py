"""Figures of a fit's pictures, smoothed over iterations, which a GPU is asked for only now and then."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gspc.train.guards import check_loss
from gspc.train.schedule import Phase

SMOOTHING = 0.98  # of the reported PSNR and of the pictures' loss, for each view


def decibels(squared: float) -> float:
    """dB of a mean squared error."""
    return -10 * math.log10(max(squared, 1e-10))


@dataclass(frozen=True)
class StepReport:
    """Figures of one iteration. They stay on the device until somebody reads them, who then waits for it."""

    phase: Phase
    level: int  # that the iteration trained
    total: Tensor  # [] the loss
    squared: Tensor  # [] mean squared error of the picture
    rate: Tensor | None  # [] bits of the level, all anchors; None outside the rate phases

    @property
    def loss(self) -> float:
        """The iteration's loss."""
        return float(self.total)

    @property
    def psnr(self) -> float:
        """Of the iteration's picture, in dB."""
        return decibels(float(self.squared))

    @property
    def bits(self) -> float:
        """Bits that the level would take; 0 outside the rate phases."""
        return 0.0 if self.rate is None else float(self.rate)


class Gauges:
    """Smoothed PSNR and loss of the pictures.

    On a CPU they are read in every iteration, which costs nothing there. On a GPU the PSNR and the check that
    the loss is a number wait until `read`; the pictures' loss, which the rate's weight follows, is smoothed
    on the device.
    """

    def __init__(self, device: torch.device, views: int = 1) -> None:
        """`views` that an iteration looks at: figures forget as fast as they would over as many iterations of
        one view."""
        self._keep = SMOOTHING**views
        self.picture_loss = torch.zeros((), dtype=torch.float64, device=device)
        self.psnr = 0.0
        self._waits = device.type != "cpu"
        self._squared: list[tuple[float, Tensor]] = []  # share of what was before, squared error
        self._losses: list[tuple[int, Tensor]] = []  # iteration, loss

    def restore(self, psnr: float, picture_loss: float) -> None:
        """As a checkpoint has them."""
        self.psnr = psnr
        self.picture_loss = torch.full_like(self.picture_loss, picture_loss)

    def add_picture(self, iteration: int, loss: Tensor, squared: Tensor) -> None:
        """A picture's loss and mean squared error, both []."""
        keep = self._keep if iteration else 0.0
        if self._waits:  # the same in fewer launches
            self.picture_loss = torch.lerp(self.picture_loss, loss.detach().double(), 1 - keep)
        else:
            self.picture_loss = keep * self.picture_loss + (1 - keep) * loss.detach().double()
        self._squared.append((keep, squared))

    def add_loss(self, iteration: int, loss: Tensor) -> None:
        """The whole loss [] of an iteration. Raises InputError where it is no number, on a GPU from
        `read`."""
        self._losses.append((iteration, loss))
        if not self._waits:
            self.read()

    def read(self) -> None:
        """Brings the PSNR up to date. Raises InputError when a loss since the last time was no number."""
        squared, losses = self._squared, self._losses
        self._squared, self._losses = [], []
        values = _read([tensor for _, tensor in losses] + [tensor for _, tensor in squared])
        for (iteration, _), loss in zip(losses, values, strict=False):
            check_loss(loss, iteration)
        for (keep, _), value in zip(squared, values[len(losses) :], strict=True):
            self.psnr = keep * self.psnr + (1 - keep) * decibels(value)


def _read(values: list[Tensor]) -> list[float]:  # of []
    """As numbers, in one go."""
    if not values:
        return []
    found: list[float] = torch.stack([value.double() for value in values]).tolist()
    return found
