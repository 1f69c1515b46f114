"""Tiles of one scene that start from one coarse model of all of it.

A tile's photographs show what lies around it, too. Fitted alone, a tile has to explain that by anchors of its
own, and what it learns to predict fits its neighbors as little as its lattice does. From a coarse model it
gets its surroundings for nothing, and networks, grid and lattice that all tiles have in common: those stay as
they are, while anchors and masks adapt to the tile. Streams of tiles then hold the same bytes of grid, heads
and networks, which `gspc join --share` stores once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from gspc.errors import InputError
from gspc.model.anchors import PER_ANCHOR, AnchorModel, ModelShape
from gspc.model.calibrate import calibrate
from gspc.model.context import TwoLayer
from gspc.model.heads import BLOCKS
from gspc.model.storage import load_model
from gspc.ops.rows import visible_rows
from gspc.scene import Frame, SceneData

# Parameter groups that do not learn in a tile.
SHARED = frozenset({*BLOCKS, "residual", "pool", "grid", "context"})


@dataclass(frozen=True)
class Coarse:
    """A model that tiles start from."""

    path: Path
    model: AnchorModel
    frame: Frame  # of the user's coordinates, which its tiles share
    units: Mapping[str, Tensor]  # of its entropy networks' activations, by the networks' names

    @classmethod
    def load(cls, path: Path) -> Coarse:
        """The model at `path`. Raises InputError."""
        trained = load_model(path)
        if not trained.model.quantized:
            calibrate(trained.model)
        units = {name: net.units.clone() for name, net in _networks(trained.model).items()}
        return cls(path, trained.model, trained.frame, units)

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
        for net in _networks(model).values():
            net.learn_again()
        seen = self._seen(scene)
        if not seen.any():
            raise InputError(f"{self.path}: has no anchors that a photograph of {scene.name} shows")
        model.positions = model.positions[seen]
        for name in PER_ANCHOR:
            setattr(model, name, nn.Parameter(getattr(model, name).data[seen].contiguous()))
        return model

    def calibrate(self, model: AnchorModel) -> None:
        """Makes integers of the entropy networks of a model that started from this one, by this one's ranges:
        ranges of a tile's own would make other integers of the same networks."""
        for name, net in _networks(model).items():
            net.calibrate(self.units[name])

    def _seen(self, scene: SceneData) -> torch.Tensor:  # bool [N]
        model, world = self.model, self.model.world()
        seen = torch.zeros(len(world), dtype=torch.bool)
        for view in scene.train:
            seen[visible_rows(world, model.log_scales, model.offsets, view.camera)[0]] = True
        return seen


def _networks(model: AnchorModel) -> dict[str, TwoLayer]:
    return {name: net for name, net in model.named_modules() if isinstance(net, TwoLayer)}


def digest_of(path: Path) -> str:
    """What tells coarse models apart. Raises InputError for a file that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
