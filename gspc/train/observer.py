"""What a fit tells: where it stands, what it came to, and who hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class FitProgress:
    """Where a fit stands.

    >>> import gspc
    >>> seen = []
    >>> options = gspc.FitOptions(iterations=10, levels=1)
    >>> result = gspc.fit("photos", "new.pt", options=options, observer=seen.append)
    >>> seen[0].iteration, seen[0].iterations, seen[0].anchors > 0
    (10, 10, True)
    """

    iteration: int
    iterations: int
    phase: str
    loss: float
    psnr: float  # of training views, smoothed
    anchors: int
    estimated_bytes: int
    seconds_left: float


@dataclass(frozen=True)
class FitResult:
    """What a fit came to.

    >>> import gspc
    >>> result = gspc.fit("photos", "new.pt", options=gspc.FitOptions(iterations=10, levels=1))
    >>> result.path.name, result.iterations, result.psnr > 0
    ('new.pt', 10, True)
    """

    path: Path  # of the checkpoint where the fit was paused
    iterations: int  # done
    anchors: int
    psnr: float  # dB, smoothed over the last training views
    held_out: float | None  # dB, of some held-out views; None where none are
    seconds: float
    stream_bytes: int | None = None  # of all levels; None where no size was asked for
    paused: bool = False  # at the iteration that `pause_at` names


class FitObserver(Protocol):
    """Told of what happens; prints it or not."""

    def message(self, text: str) -> None:
        """One line worth knowing."""

    def progress(self, progress: FitProgress) -> None:
        """Every few iterations."""


class Silent:
    """Hears nothing."""

    def message(self, text: str) -> None:
        pass

    def progress(self, progress: FitProgress) -> None:
        pass
