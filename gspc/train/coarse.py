"""Tiles of one scene that start from one coarse model of all of it.

A tile's photographs show what lies around it, too. Fitted alone, a tile has to explain that by anchors of its
own, and what it learns to predict fits its neighbors as little as its lattice does. From a coarse model it
gets its surroundings for nothing, and networks, grid and lattice that all tiles have in common: those stay as
they are, while anchors, masks and entropy networks adapt to the tile.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from gspc.errors import InputError
from gspc.model.anchors import PER_ANCHOR, AnchorModel, ModelShape
from gspc.model.context import TwoLayer
from gspc.model.heads import BLOCKS
from gspc.model.storage import load_model
from gspc.ops.rows import visible_rows
from gspc.scene import Frame, SceneData

SHARED = frozenset({*BLOCKS, "residual", "pool", "grid"})  # parameter groups that do not learn in a tile


@dataclass(frozen=True)
class Coarse:
    """A model that tiles start from."""

    path: Path
    model: AnchorModel
    frame: Frame  # of the user's coordinates, which its tiles share

    @classmethod
    def load(cls, path: Path) -> Coarse:
        """The model at `path`. Raises InputError."""
        trained = load_model(path)
        return cls(path, trained.model, trained.frame)

    def start(self, scene: SceneData, shape: ModelShape) -> AnchorModel:
        """A model with all that the coarse one knows, of the anchors that a training view of the scene (in
        this frame) may show. Its entropy networks are no integers yet. Raises InputError where the coarse
        model has other sizes than `shape` asks for, or nothing in these views."""
        if self.model.shape != shape:
            raise InputError(
                f"{self.path}: has other sizes or rate weights than this fit asks for; fit its tiles with "
                "the preset, ingredients and --levels that it was fitted with"
            )
        model = self.model
        for net in model.modules():
            if isinstance(net, TwoLayer):
                net.learn_again()
        seen = self._seen(scene)
        if not seen.any():
            raise InputError(f"{self.path}: has no anchors that a photograph of {scene.name} shows")
        model.positions = model.positions[seen]
        for name in PER_ANCHOR:
            setattr(model, name, nn.Parameter(getattr(model, name).data[seen].contiguous()))
        return model

    def _seen(self, scene: SceneData) -> torch.Tensor:  # bool [N]
        world, log_scales = self.model.world(), self.model.log_scales.detach()
        seen = torch.zeros(len(world), dtype=torch.bool)
        for view in scene.train:
            seen[visible_rows(world, log_scales, view.camera)[0]] = True
        return seen


def digest_of(path: Path) -> str:
    """What tells coarse models apart. Raises InputError for a file that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
