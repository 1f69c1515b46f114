"""Tiles that start from one coarse model: what they share, and who may be joined."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import Cli

import gspc
from gspc.data.demo import write_demo_scene
from gspc.errors import UsageError
from gspc.format import describe
from gspc.format.scene import DecodedScene
from gspc.model.storage import TrainedModel, load_model, save_model
from gspc.tiles import read_index

FIT = ("--iterations", 10, "--levels", 1, "--hold", 0, "--threads", 1, "-q")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene and a coarse model of it."""
    folder = tmp_path_factory.mktemp("coarse")
    write_demo_scene(folder / "demo", views=8, width=32, height=24, points=400)
    options = gspc.FitOptions(iterations=10, levels=1, threads=1)
    gspc.fit(folder / "demo", folder / "coarse.pt", gspc.DataOptions(hold=0), options)
    return folder


def fitted(folder: Path, name: str, cli: Cli) -> TrainedModel:
    ran = cli("fit", folder / name, "-o", folder / f"{name}.pt", *FIT)
    assert ran.code == 0, ran.err
    assert cli("compress", folder / f"{name}.pt", "-o", folder / f"{name}.pcgs", "-q").code == 0
    return load_model(folder / f"{name}.pt")


def tiles_of(scene: Path, to: Path, cli: Cli) -> Path:
    ran = cli("tile", scene / "demo", "-o", to / "tiles", "--grid", "2x1", "--coarse", scene / "coarse.pt")
    assert ran.code == 0, ran.err
    return to / "tiles"


def test_tiles_share_networks_grid_and_lattice(scene: Path, tmp_path: Path, cli: Cli) -> None:
    coarse = load_model(scene / "coarse.pt")
    folder = tiles_of(scene, tmp_path, cli)
    assert (folder / "0-0" / "coarse.pt").resolve() == (scene / "coarse.pt").resolve()
    for name in ("0-0", "1-0"):
        made = fitted(folder, name, cli)
        assert made.frame.to_plain() == coarse.frame.to_plain()
        assert made.model.voxel_size == coarse.model.voxel_size
        assert torch.equal(made.model.origin, coarse.model.origin)
        before, after = coarse.model.state_dict(), made.model.state_dict()
        shared = [key for key in before if key.startswith(("heads.", "grid.", "pool.", "context."))]
        assert any("units" in key for key in shared)
        assert all(torch.equal(after[key], before[key]) for key in shared)
        places = {tuple(row) for row in coarse.model.positions.tolist()}
        kept = [tuple(row) in places for row in made.model.positions.tolist()]
        assert sum(kept) > 20 and made.model.features.abs().sum() > 0
    joined = cli("join", folder / "0-0.pcgs", folder / "1-0.pcgs", "-o", folder / "demo.pcgsx")
    assert joined.code == 0, joined.err
    parts: list[DecodedScene] = [gspc.open(folder / f"{name}.pcgs").decoded for name in ("0-0", "1-0")]
    assert np.array_equal(parts[0].heads.w1, parts[1].heads.w1)


def test_streams_of_such_tiles_share_grid_heads_and_networks(scene: Path, tmp_path: Path, cli: Cli) -> None:
    """The same bytes, though each tile has other anchors: ranges of networks are the coarse model's."""
    folder = tiles_of(scene, tmp_path, cli)
    for name in ("0-0", "1-0"):
        fitted(folder, name, cli)
    streams = [folder / "0-0.pcgs", folder / "1-0.pcgs"]
    joined = cli("join", *streams, "-o", folder / "demo.pcgsx", "--share", folder / "parts")
    assert joined.code == 0, joined.err
    index = read_index((folder / "demo.pcgsx").read_bytes())
    stream = describe(streams[0].read_bytes())
    begins = {chunk.offset: chunk.tag for chunk in stream.chunks}
    assert {begins[cut.at] for cut in index.tiles[0].cuts} >= {"GRID", "GHED", "NETS"}
    assert index.tiles[0].cuts[0].piece == index.tiles[1].cuts[0].piece


def test_tiles_of_different_coarse_models_are_not_joined(scene: Path, tmp_path: Path, cli: Cli) -> None:
    folder = tiles_of(scene, tmp_path, cli)
    fitted(folder, "0-0", cli)
    (folder / "1-0" / "coarse.pt").unlink()
    fitted(folder, "1-0", cli)
    ran = cli("join", folder / "0-0.pcgs", folder / "1-0.pcgs", "-o", folder / "demo.pcgsx")
    assert (ran.code, "was fitted from another coarse model" in ran.err) == (3, True), ran.err


def test_what_cannot_be_started_from(scene: Path, tmp_path: Path, cli: Cli) -> None:
    ran = cli("tile", scene / "demo", "-o", tmp_path / "tiles", "--coarse", tmp_path / "none.pt")
    assert (ran.code, "none.pt: no such file; name a model" in ran.err) == (3, True), ran.err
    folder = tiles_of(scene, tmp_path, cli)
    ran = cli("fit", folder / "0-0", "-o", tmp_path / "a.pt", *FIT, "--set", "features=8")
    assert (ran.code, "has other sizes or rate weights" in ran.err) == (3, True), ran.err
    coarse = load_model(scene / "coarse.pt")
    elsewhere = replace(coarse.frame, translation=coarse.frame.translation + 1e5)
    (folder / "0-0" / "coarse.pt").unlink()
    save_model(folder / "0-0" / "coarse.pt", replace(coarse, frame=elsewhere))
    ran = cli("fit", folder / "0-0", "-o", tmp_path / "a.pt", *FIT)
    assert (ran.code, "has no anchors that a photograph" in ran.err) == (3, True), ran.err


def test_a_fit_goes_on_from_its_own_coarse_model_only(scene: Path, tmp_path: Path) -> None:
    """The checkpoint knows which one it was."""
    coarse = tmp_path / "coarse.pt"
    coarse.write_bytes((scene / "coarse.pt").read_bytes())
    heard: list[int] = []

    def stop(progress: gspc.FitProgress) -> None:
        heard.append(progress.iteration)
        raise KeyboardInterrupt

    options = gspc.FitOptions(iterations=20, levels=1, threads=1, coarse=coarse, checkpoint_every=5)
    data = gspc.DataOptions(hold=0)
    with pytest.raises(KeyboardInterrupt):
        gspc.fit(scene / "demo", tmp_path / "m.pt", data, options, stop)
    other = load_model(coarse)
    save_model(coarse, replace(other, metadata={**other.metadata, "again": "yes"}))
    with pytest.raises(UsageError, match="coarse model = "):
        gspc.fit(scene / "demo", tmp_path / "m.pt", data, replace(options, resume=True))
    coarse.write_bytes((scene / "coarse.pt").read_bytes())
    result = gspc.fit(scene / "demo", tmp_path / "m.pt", data, replace(options, resume=True))
    assert heard == [10] and result.iterations == 20
    kept = load_model(tmp_path / "m.pt").model.heads.state_dict()
    assert all(torch.equal(kept[key], value) for key, value in other.model.heads.state_dict().items())
