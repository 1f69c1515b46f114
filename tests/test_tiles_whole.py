"""A scene in 2 x 2 tiles from photographs to a picture, command by command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli

import gspc
from gspc.data.demo import write_demo_scene
from gspc.format.tile import tile_in
from gspc.tiles import read_index

NAMES = ("0-0", "0-1", "1-0", "1-1")


def test_photographs_to_tiles_to_one_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.chdir(tmp_path)
    write_demo_scene(Path("demo"), views=8, width=32, height=24, points=400)
    assert cli("tile", "demo", "-o", "tiles", "-q").code == 0
    for name in NAMES:
        fitted = cli(
            "fit",
            f"tiles/{name}",
            "-o",
            f"tiles/{name}.pt",
            "--iterations",
            10,
            "--levels",
            1,
            "--hold",
            0,
            "-q",
        )
        assert fitted.code == 0, fitted.err
        assert cli("compress", f"tiles/{name}.pt", "-o", f"tiles/{name}.pcgs", "-q").code == 0
        scene = gspc.open(f"tiles/{name}.pcgs").decoded
        tile = tile_in(scene.metadata)
        assert tile is not None and tile.name == name
        # Rounding to float32 may move an anchor on the edge by no more than this.
        inside = tile.frame.to_canonical(scene.frame.to_user(scene.anchors))[:, (0, 2)]
        assert (inside > np.array(tile.low) - 1e-5).all() and (inside < np.array(tile.high) + 1e-5).all()
    joined = cli("join", *[f"tiles/{name}.pcgs" for name in NAMES], "-o", "demo.pcgsx")
    assert joined.code == 0, joined.err
    index = read_index(Path("demo.pcgsx").read_bytes())
    assert 200 < index.total(1).anchors < 800  # of about 400 points, none twice
    drawn = cli("render", "demo.pcgsx", "--view", 0, "-o", "a.png")
    assert drawn.code == 0, drawn.err
    import imageio.v3 as iio

    picture = iio.imread("a.png") / 255
    camera = index.cameras[0]
    photograph = iio.imread(Path("demo") / "images" / camera.name) / 255
    assert picture.shape == photograph.shape
    parts = [gspc.render(f"tiles/{name}.pcgs", camera) / 255 for name in NAMES]
    errors = [float(((part - photograph) ** 2).mean()) for part in parts]
    assert float(((picture - photograph) ** 2).mean()) < min(errors)
