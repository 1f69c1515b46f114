"""A fit does not depend on the coordinates that a reconstruction came out in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_frame import MOVES, moved
from train_scenes import Quiet

from gspc.codec import encode
from gspc.codec.export import export_model
from gspc.config import DataOptions, FitOptions
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.scene import SceneData
from gspc.train import fit

ITERATIONS = 60


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> SceneData:
    folder = tmp_path_factory.mktemp("demo") / "scene"
    write_demo_scene(folder, views=24, width=80, height=60, points=2000)
    return load_scene(folder, DataOptions())


def fitted(scene: SceneData, folder: Path) -> tuple[list[dict[str, float]], int]:
    """The log's rows and the stream's bytes."""
    options = FitOptions(iterations=ITERATIONS, threads=1, log=folder / "log", checkpoint_every=0)
    fit(scene, folder / "model.pt", options, Quiet())
    rows = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    return rows, len(encode(export_model(folder / "model.pt"), threads=1))


@pytest.fixture(scope="module")
def plain(demo: SceneData, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, float]], int]:
    return fitted(demo, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("name", MOVES)
def test_fits_are_the_same(
    name: str, demo: SceneData, plain: tuple[list[dict[str, float]], int], tmp_path: Path
) -> None:
    rows, size = fitted(moved(demo, MOVES[name]), tmp_path)
    want, want_size = plain
    assert len(rows) == len(want) == ITERATIONS // 10
    for row, wanted in zip(rows, want, strict=True):
        assert row["loss"] == pytest.approx(wanted["loss"], rel=1e-3)
        assert row["psnr"] == pytest.approx(wanted["psnr"], rel=1e-3)
        assert row["anchors"] == pytest.approx(wanted["anchors"], rel=1e-3)
    # The frame itself takes a chunk of 88 bytes, of other numbers.
    assert size == pytest.approx(want_size, rel=5e-3)


def test_cameras_stay_in_the_users_coordinates(demo: SceneData, tmp_path: Path) -> None:
    there = moved(demo, MOVES["utm"])
    fit(there, tmp_path / "model.pt", FitOptions(iterations=2, threads=1), Quiet())
    scene = export_model(tmp_path / "model.pt")
    by_name = {view.camera.name: view.camera for view in there.views}
    for camera in scene.cameras:
        np.testing.assert_allclose(
            scene.frame.to_user(camera.center), by_name[camera.name].center, rtol=0, atol=1e-4
        )
