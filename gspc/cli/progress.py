"""Progress of a fit on stderr: a live line with rich on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from gspc.cli import console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from gspc.pipeline import FitProgress

BAR = 20  # columns of the bar, however narrow the terminal
GAPS = 4  # columns between the parts of the live line
PLAIN_SECONDS = 10.0  # at most one plain line in this time, besides changes of phase


def duration(seconds: float | None) -> str:
    """Seconds as m:ss or h:mm:ss; '-:--' when unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "-:--"
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None or not math.isfinite(value) else format(value, form)


def describe(state: FitProgress) -> str:
    """Loss, PSNR, anchors and estimated size of a step."""
    return "  ".join(_parts(state).values())


def describe_within(state: FitProgress, width: int) -> str:
    """As much of it as fits into `width` columns: the loss is left out first, then the anchors, the size."""
    parts = _parts(state)
    for name in ("loss", "anchors", "size"):
        if len("  ".join(parts.values())) > width:
            del parts[name]
    return "  ".join(parts.values())


def _parts(state: FitProgress) -> dict[str, str]:
    return {
        "loss": f"loss {_number(state.loss, '.4f')}",
        "psnr": f"PSNR {_number(state.psnr, '.2f')} dB",
        "anchors": f"{state.anchors:,} anchors",
        "size": "-" if not state.estimated_bytes else console.size(state.estimated_bytes),
    }


class FitView:
    """Observer of a fit (see gspc.train.FitObserver) that shows it; use as a context manager."""

    def __init__(self) -> None:
        self._live: Progress | None = None
        self._task: TaskID | None = None
        self._said = -math.inf
        self._phase: str | None = None

    def __enter__(self) -> FitView:
        if sys.stderr.isatty() and not console.settings.quiet:
            from rich.progress import BarColumn, Progress, TextColumn
            from rich.table import Column

            self._live = Progress(
                TextColumn("{task.fields[phase]}", table_column=Column(no_wrap=True)),
                BarColumn(bar_width=BAR, table_column=Column(min_width=BAR)),
                TextColumn("{task.completed:.0f}/{task.total:.0f}", table_column=Column(no_wrap=True)),
                TextColumn("{task.description}", table_column=Column(no_wrap=True)),
                TextColumn("{task.fields[left]} left", table_column=Column(no_wrap=True)),
                console=console.stderr_console(),
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def message(self, text: str) -> None:
        """A line that stays, unless -q; a warning stays always."""
        if console.settings.quiet and not text.startswith("warning: "):
            return
        if self._live is None:
            console.say(text)
        else:
            self._live.console.print(f"gspc: {console.clean(text)}", soft_wrap=True)

    def progress(self, state: FitProgress) -> None:
        """The state after a step."""
        if self._live is None:
            self._plain(state)
            return
        left = duration(state.seconds_left)
        if self._task is None:
            self._task = self._live.add_task("", total=state.iterations, phase="", left="")
        fixed = f"{state.phase} {state.iteration}/{state.iterations} {left} left"
        room = self._live.console.width - BAR - len(fixed) - GAPS
        self._live.update(
            self._task,
            completed=state.iteration,
            description=describe_within(state, room),
            phase=state.phase,
            left=left,
        )

    def _plain(self, state: FitProgress) -> None:
        now = time.monotonic()
        last = state.iteration >= state.iterations
        if state.phase == self._phase and now - self._said < PLAIN_SECONDS and not last:
            return
        self._phase, self._said = state.phase, now
        console.note(
            f"{state.iteration}/{state.iterations} {state.phase}  {describe(state)}  "
            f"{duration(state.seconds_left)} left"
        )
