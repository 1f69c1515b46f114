"""The original Synthetic-NeRF folders have no points: an object before white or nothing is found anyway."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.variants import blender
from data_scenes import real_scene
from train_scenes import Quiet

from gspc.config import DataOptions, FitOptions
from gspc.data import load_scene
from gspc.train import fit


@pytest.mark.parametrize("transparent", [False, True], ids=["white", "transparent"])
def test_an_object_without_points(transparent: bool, tmp_path: Path) -> None:
    """Once its anchors were gone within 200 iterations."""
    blender(real_scene("lego"), tmp_path / "lego", transparent=transparent, most=24)
    scene = load_scene(tmp_path / "lego", DataOptions(resolution=4))
    assert len(scene.points) == 0 and len(scene.train) >= 20
    observer = Quiet()
    result = fit(scene, tmp_path / "m.pt", FitOptions(iterations=150, threads=1), observer)
    assert result.held_out is not None and result.held_out > 18
    assert min(row.anchors for row in observer.rows) > 5000
