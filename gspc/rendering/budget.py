"""What drawing may take of memory, counted before it is allocated.

A stream of a few kilobytes can hold a hundred thousand Gaussians that each cover a picture, and a camera with
more pixels than any screen.

Counted are arrays of scenes, Gaussians and pictures, not what Python and its libraries take themselves (some
60 MB).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from gspc.errors import InputError
from gspc.ops.arrays import OverBudget
from gspc.scene import DecodedScene

UNLIMITED = sys.maxsize
# Bytes of one pixel of the pictures before, of which one is encoded while the next one is drawn: red, green
# and blue as floats, the file's bytes, and strips on their way from one to the other.
WRITING = 32
GAUSSIAN = 88  # bytes of a neural Gaussian while it is made: index, parameters, what gradients need


@dataclass(frozen=True)
class Budget:
    """`limit` bytes in all, of which `held` are taken already."""

    limit: int = UNLIMITED
    held: int = 0

    def holding(self, more: int) -> Budget:
        """What is left beside `more` bytes."""
        return replace(self, held=self.held + more)

    @property
    def room(self) -> int:
        """Bytes that may still be taken."""
        return max(self.limit - self.held, 0)

    def require(self, needed: int, what: str) -> None:
        """Raises InputError, which calls the task `what`, when `needed` more bytes are too many."""
        if needed > self.room:
            raise self._refusal(needed, what)

    @contextmanager
    def drawing(self, name: str) -> Iterator[None]:
        """Turns the kernels' refusal to draw the camera of this name into the InputError that users see."""
        try:
            yield
        except OverBudget as error:
            raise self._refusal(error.needed, f"camera '{name}'") from None

    def _refusal(self, needed: int, what: str) -> InputError:
        return InputError(
            f"{what}: drawing takes {_size(needed + self.held)} of memory or more and --max-memory allows "
            f"{_size(self.limit)}; allow more, or draw smaller pictures"
        )


def scene_bytes(scene: DecodedScene) -> int:
    """Bytes that a scene and the work on all of its anchors take, beside the Gaussians of a view."""
    values = [getattr(scene, field.name) for field in fields(scene)]
    arrays = sum(value.nbytes for value in values if isinstance(value, np.ndarray))
    anchors, offsets = scene.gaussian_mask.shape
    return arrays + anchors * (20 * offsets + 64)  # offsets in world units, masks, opacities; bounds


def array_bytes(*values: Any) -> int:
    """Bytes of arrays together."""
    return sum(value.nbytes for value in values)


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{max(count, 1) / 1e6:,.0f} MB"
