"""Streams that come in pieces, by pipe or by ranges: what is there is decoded, level by level. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

import numpy as np

from gspc import _codec
from gspc.codec import core
from gspc.codec.stream import decoded_from
from gspc.errors import BitstreamError
from gspc.format.limits import MAX_MEMORY
from gspc.format.scene import Decoded
from gspc.scene import F64, DecodedScene, Frame

Result = TypeVar("Result")


@dataclass(frozen=True)
class Region:
    """A box in the user's coordinates, with its faces.

    >>> Region((0, 0, 0), (1, 1, 2)).corners.shape
    (8, 3)
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    @property
    def corners(self) -> F64:  # [8, 3]
        """Its corners."""
        return np.array(list(product(*zip(self.low, self.high, strict=True))), dtype=np.float64)

    def crop(self, scene: DecodedScene) -> DecodedScene:
        """The scene with the anchors inside; their Gaussians may reach out of the box."""
        places = scene.frame.to_user(scene.anchors.astype(np.float64))
        inside = np.all((places >= self.low) & (places <= self.high), axis=1)
        return replace(
            scene,
            anchors=scene.anchors[inside],
            features=scene.features[inside],
            log_scales=scene.log_scales[inside],
            offsets=scene.offsets[inside],
            gaussian_mask=scene.gaussian_mask[inside],
        )


class ArrivingStream:
    """Decodes what has come of a stream. With a `region` only the slices that can hold anchors there are
    needed; they may hold others, too.

    All methods raise BitstreamError for a stream that is damaged, too new, beyond `max_memory` bytes or
    without the level `upto`.
    """

    def __init__(
        self,
        *,
        upto: int | None = None,
        region: Region | None = None,
        threads: int = 0,
        max_memory: int = MAX_MEMORY,
    ) -> None:
        if upto is not None and upto < 1:
            raise BitstreamError(f"levels count from 1; level {upto} was asked for")
        self._core = _codec.StreamReader(upto or 0, threads, max_memory, False)
        self._upto, self._region = upto, region
        self._chosen = False

    @property
    def done(self) -> bool:
        """Whether every level that is asked for is decoded."""
        return self._core.next_level == 0

    @property
    def level(self) -> int:
        """Levels that are decoded; 0: none yet."""
        return self._core.level if self._core.opened else 0

    @property
    def whole(self) -> bool:
        """Whether that was the last level of the file."""
        return self.done and self._core.level == self._core.levels

    @property
    def wanted(self) -> tuple[int, int]:
        """Offset and size of the bytes that are missing next; size 0: none."""
        return _guarded(lambda: self._core.wanted)

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the file, and decodes the levels that are whole now."""
        _guarded(lambda: self._core.feed(data))
        self._go_on()

    def feed_at(self, offset: int, data: bytes) -> None:
        """The same with bytes from any place."""
        _guarded(lambda: self._core.feed_at(offset, data))
        self._go_on()

    def _go_on(self) -> None:
        region = self._region
        if region is not None and not self._chosen and self._core.opened:
            _guarded(lambda: self._core.choose(_slices_in(self._core, region)))
            self._chosen = True
        while self._core.ready:
            _guarded(self._core.advance)

    def finish(self) -> Decoded:
        """The scene at the last level that is decoded; with a warning where a later one was expected."""
        if self._upto is not None and self.level < self._upto:
            raise BitstreamError(
                f"truncated: level {self._upto} was asked for, the last whole one is {self.level}"
            )
        return decoded_from(_guarded(self._core.scene), truncated=not self.done, upto=self._upto)


def _slices_in(reader: _codec.StreamReader, region: Region) -> list[bool]:
    """Which slices can hold anchors of the region: those whose keys lie in the box of voxels around it."""
    frame: Frame = core.frame_from_core(reader.frame)
    header = reader.header
    voxels = (frame.to_canonical(region.corners) - np.array(header.origin)) / header.voxel_size
    last = 2**header.position_bits - 1
    low = np.floor(voxels.min(axis=0)) - 1  # one more: positions are rounded to float32
    high = np.ceil(voxels.max(axis=0)) + 1
    if np.any(high < 0) or np.any(low > last):
        return [False] * reader.slices
    bounds = [[int(value) for value in np.clip(corner, 0, last)] for corner in (low, high)]
    return reader.slices_in(*bounds)


def _guarded(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except _codec.StreamError as error:
        raise BitstreamError(str(error)) from None
