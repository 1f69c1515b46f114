"""Photographs as iterations compare with them: kept on the device as far as its budget goes, the next of the
others fetched while an iteration runs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gspc.scene import Camera, View
from gspc.train.masking import recolored

GIGABYTE = 1e9
DEFAULT_SHARE = 0.25  # of a GPU's memory that photographs may take


@dataclass(frozen=True)
class Shot:
    """A photograph as an iteration compares with it."""

    camera: Camera
    target: Tensor  # uint8 [H, W, 3]
    mask: Tensor | None  # bool [H, W], True where it counts; None: everywhere
    background: tuple[float, float, float]


@dataclass(frozen=True)
class Pixels:
    """What a view's files hold."""

    target: Tensor  # uint8 [H, W, 3]
    mask: Tensor | None  # bool [H, W]
    alpha: Tensor | None  # uint8 [H, W]

    @property
    def parts(self) -> tuple[Tensor | None, ...]:
        """All of them: [H, W, 3], [H, W] and [H, W]."""
        return self.target, self.mask, self.alpha

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(part.numel() for part in self.parts if part is not None)

    def pinned(self) -> Pixels:
        """In memory that a GPU reads by itself, so that nobody waits for the copy."""
        return Pixels(*(part if part is None else part.pin_memory() for part in self.parts))  # type: ignore[arg-type]

    def on(self, device: torch.device) -> Pixels:
        """On a device."""
        moved = (part if part is None else part.to(device, non_blocking=True) for part in self.parts)
        return Pixels(*moved)  # type: ignore[arg-type]


def read(view: View, *, alpha: bool) -> Pixels:
    """A view's pixels, on the CPU; how much of each the photograph covers only if asked for."""
    target = torch.from_numpy(view.load().copy())
    mask = None if view.mask is None else torch.from_numpy(view.mask().copy())
    covers = torch.from_numpy(view.alpha().copy()) if alpha and view.alpha is not None else None
    return Pixels(target, mask, covers)


def photo_budget(device: torch.device, gigabytes: float | None) -> int:
    """Bytes of photographs that a device may keep: as asked for, or a quarter of a GPU's memory. A CPU keeps
    none: its photographs are in memory already."""
    if device.type == "cpu":
        return 0
    if gigabytes is not None:
        return int(gigabytes * GIGABYTE)
    return int(DEFAULT_SHARE * torch.cuda.get_device_properties(device).total_memory)


class Photographs:
    """The pixels of views on a device."""

    def __init__(self, views: Sequence[View], device: torch.device, budget: int) -> None:
        """`budget`: bytes that are kept on the device; see `photo_budget`."""
        self.views, self.device, self.left = views, device, budget
        self._kept: dict[int, Pixels] = {}
        self._coming: tuple[int, Future[Pixels]] | None = None
        self._worker = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._one_at_a_time = threading.Lock()  # readers of photographs share caches

    def of(self, number: int, *, alpha: bool) -> Pixels:
        """Those of view `number`. Whoever does not ask for `alpha` must not do so later."""
        if number not in self._kept:
            found = self._fetched(number, alpha).on(self.device)
            if found.size > self.left:
                return found
            self.left -= found.size
            self._kept[number] = found
        return self._kept[number]

    def of_view(self, view: View, *, alpha: bool = False) -> Pixels:
        """Those of a view that is no training view, or a fresh one."""
        with self._one_at_a_time:
            return read(view, alpha=alpha).on(self.device)

    def expect(self, number: int, *, alpha: bool) -> None:
        """Says which view comes next: it is read while the device computes, unless it is there."""
        if self._worker is not None and number not in self._kept and self.views[number].fresh is None:
            self._coming = number, self._worker.submit(self._pinned, number, alpha)

    def _fetched(self, number: int, alpha: bool) -> Pixels:
        coming, self._coming = self._coming, None
        if coming is not None and coming[0] == number:
            return coming[1].result()
        with self._one_at_a_time:
            return read(self.views[number], alpha=alpha)

    def _pinned(self, number: int, alpha: bool) -> Pixels:
        with self._one_at_a_time:
            return read(self.views[number], alpha=alpha).pinned()


class Shots:
    """Training views as the schedule of a fit shows them."""

    def __init__(
        self, views: Sequence[View], background: tuple[float, float, float], device: torch.device, budget: int
    ) -> None:
        self.views, self.background = views, background
        self.photographs = Photographs(views, device, budget)

    def take(self, number: int, iteration: int, *, scale: float, random_behind: bool) -> Shot:
        """View `number` in an iteration: at a share of its size, with a random color behind it if asked."""
        source = self.views[number]
        view = source.at(iteration)
        if source.fresh is None:
            pixels = self.photographs.of(number, alpha=random_behind)
        else:
            pixels = self.photographs.of_view(view, alpha=random_behind)
        target, background = pixels.target, self.background
        if pixels.alpha is not None and random_behind:
            target, background = recolored(target, pixels.alpha, background)
        shot = Shot(view.camera, target, pixels.mask, background)
        return _smaller(shot, scale) if scale < 1 else shot

    def whole(self, view: View, *, masked: bool = True) -> Shot:
        """Any view as it is."""
        pixels = self.photographs.of_view(view)
        return Shot(view.camera, pixels.target, pixels.mask if masked else None, self.background)


def _smaller(shot: Shot, scale: float) -> Shot:
    camera, mask = shot.camera, shot.mask
    width, height = (max(16, round(n * scale)) for n in (camera.width, camera.height))
    image = shot.target.permute(2, 0, 1)[None].float()
    image = F.interpolate(image, (height, width), mode="bilinear", align_corners=False)
    target = image[0].permute(1, 2, 0).round().clamp(0, 255).byte().contiguous()
    if mask is not None:  # a pixel counts when all that it covers does
        mask = F.adaptive_avg_pool2d(mask[None, None].float(), (height, width))[0, 0] > 0.999
    return Shot(camera.resized(width, height), target, mask, shot.background)


def center_of(camera: Camera) -> tuple[float, ...]:
    """Where a camera is, as the heads take it: rounded to float32, three numbers."""
    return tuple(camera.center.astype(np.float32).tolist())
