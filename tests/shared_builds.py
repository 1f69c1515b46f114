"""What several processes of a test run compile once and share."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest

_folder: Path | None = None


def settle(factory: pytest.TempPathFactory) -> None:
    """Finds the folder that the workers of pytest-xdist have in common; without it there is one process."""
    own = factory.getbasetemp()
    settle_in(own.parent if own.name.startswith("popen-") else own)


def settle_in(folder: Path) -> None:
    """Takes a folder that is there, where no tests run."""
    global _folder
    _folder = folder


def once(name: str, build: Callable[[Path], object]) -> Path:
    """The folder of this name in which `build` has been run; by one process, for which the others wait."""
    assert _folder is not None
    place = _folder / f"shared-{name}"
    place.mkdir(exist_ok=True)
    done = place / "done"
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            build(place)
            done.touch()
    return place
