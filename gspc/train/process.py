"""What a fit changes of the process while it runs: contexts that put back what they found."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gspc.errors import Stopped

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """torch's generators of `device` and of the CPU start from `seed` inside; outside they go on as if
    nothing had been drawn."""
    on_cuda = torch.device(device).type == "cuda"
    with torch.random.fork_rng(range(torch.cuda.device_count()) if on_cuda else ()):
        if on_cuda:
            torch.manual_seed(seed)
        else:  # leaves the generators of a GPU alone
            torch.default_generator.manual_seed(seed)
        yield


@contextmanager
def settled_objects() -> Iterator[None]:
    """Python's garbage collector leaves the objects that exist now alone. It would walk through all loaded
    modules again and again, which takes 3 % of a small scene's time.

    Where the caller has frozen objects, nothing changes: unfreezing ours would unfreeze theirs.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Asked:
    """Which signal asked the process to end, if one did."""

    def __init__(self) -> None:
        self.signal: int | None = None


@contextmanager
def deferred_signals() -> Iterator[Asked]:
    """Ctrl-C, SIGTERM (batch systems send it before they kill) and SIGHUP (a terminal that closes) are noted
    instead of tearing an iteration apart; a second one interrupts at once. Nothing changes outside the main
    thread, which alone may handle signals, nor where a handler is not Python's and so could not be put back,
    or a signal is ignored, as nohup does."""
    asked = Asked()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def handle(number: int, frame: object) -> None:
        if asked.signal is not None:
            raise Stopped(number)
        asked.signal = number

    before = {number: signal.getsignal(number) for number in ENDING}
    mine = [number for number, was in before.items() if was not in (None, signal.SIG_IGN)]
    for number in mine:
        signal.signal(number, handle)
    try:
        yield asked
    finally:
        for number in mine:
            signal.signal(number, before[number])
