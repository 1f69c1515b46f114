"""Cameras of photographs alone: by COLMAP's own code on real photographs, and everything around it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from data_scenes import picture, real_scene, write_scene, write_transforms

from gspc.data import load_cameras, load_scene
from gspc.data.reconstruct import reconstruct
from gspc.data.similar import similar_pairs
from gspc.errors import BackendError, InputError


@pytest.mark.slow
def test_photographs_become_a_scene(tmp_path: Path) -> None:
    """Ten neighbors of fox: their cameras stand as in the model that came with it, up to a similarity."""
    pytest.importorskip("pycolmap")
    source = real_scene("fox")
    known = sorted(load_cameras(source), key=lambda camera: camera.name)[4:14]
    for camera in known:
        shutil.copyfile(source / "images" / camera.name, tmp_path / camera.name)
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    said: list[str] = []
    reconstruct(tmp_path, said.append)
    assert "warning: " in said[0] and "broken.jpg" in said[0]
    assert any("features of 10 of 10 photographs" in line for line in said)
    assert said[-1].startswith(f"{tmp_path}/sparse/0: cameras of 10 of 10 photographs")
    assert not (tmp_path / ".gspc-reconstruct").exists()
    (tmp_path / "broken.jpg").unlink()
    scene = load_scene(tmp_path)
    assert len(scene.views) == 10 and len(scene.points) > 500
    found = np.array([view.camera.center for view in scene.views])
    wanted = np.array([camera.center for camera in known])
    found, wanted = (centers - centers.mean(0) for centers in (found, wanted))
    left, singular, right = np.linalg.svd(wanted.T @ found)
    turn = left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right
    scale = (singular * [1, 1, np.sign(np.linalg.det(left @ right))]).sum() / (found**2).sum()
    off = np.linalg.norm(scale * found @ turn.T - wanted, axis=1)
    assert off.max() < 0.03 * np.linalg.norm(wanted, axis=1).max()
    again: list[str] = []
    reconstruct(tmp_path, again.append)
    assert len(again) == 1 and "has cameras already" in again[0]


@pytest.mark.slow
def test_many_photographs_in_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are matched each with each, and names that say nothing: those that look alike are."""
    pytest.importorskip("pycolmap")
    source = real_scene("fox")
    known = sorted(load_cameras(source), key=lambda camera: camera.name)[4:12]
    for place, camera in zip((0, 4, 1, 5, 2, 6, 3, 7), known, strict=True):
        shutil.copyfile(source / "images" / camera.name, tmp_path / f"{place}.jpg")
    (tmp_path / os.fsdecode(b"\xe4.jpg")).write_bytes((tmp_path / "0.jpg").read_bytes())
    for name, most in (("EVERY_PAIR", 4), ("NEIGHBORS", 1), ("SIMILAR", 3)):
        monkeypatch.setattr(f"gspc.data.reconstruct.{name}", most)
    said: list[str] = []
    reconstruct(tmp_path, said.append)
    assert "%E4.jpg has a name that is no UTF-8" in said[0]
    assert any("those that look like it" in line for line in said)
    assert "cameras of 8 of 8 photographs" in said[-1]


def test_photographs_that_look_alike_are_paired() -> None:
    """Three places, of which photographs share most of their features, slightly changed, and a blank one."""
    generator = np.random.default_rng(0)
    places = generator.integers(0, 200, (3, 60, 128))
    features = []
    for number in range(12):
        rows = places[number % 3][generator.permutation(60)[:45]] + generator.integers(0, 12, (45, 128))
        features.append(np.concatenate([rows, generator.integers(0, 200, (15, 128))]).astype(np.uint8))
    features.insert(5, np.zeros((0, 128), np.uint8))
    kinds = [number % 3 for number in range(12)]
    kinds.insert(5, -1)
    pairs = similar_pairs(features, 3)
    assert pairs == [
        (one, other) for one in range(13) for other in range(one + 1, 13) if kinds[one] == kinds[other]
    ]
    assert similar_pairs(features[:1], 3) == [] and similar_pairs(features[5:7], 3) == []


def test_scenes_that_have_cameras_are_left_alone(tmp_path: Path) -> None:
    said: list[str] = []
    reconstruct(write_scene(tmp_path / "colmap"), said.append)
    write_transforms(tmp_path / "blender", "train")
    reconstruct(tmp_path / "blender", said.append)
    assert len(said) == 2 and all("has cameras already, which are used" in line for line in said)


def test_what_cannot_be_reconstructed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such folder of photographs"):
        reconstruct(tmp_path / "none", print)
    iio.imwrite(tmp_path / "1.png", picture(0, 64, 48))
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    with pytest.raises(BackendError, match=r"--reconstruct needs pycolmap; pip install 'gspc\[colmap\]'"):
        reconstruct(tmp_path, print)


def test_too_few_photographs_and_too_little_in_them(tmp_path: Path) -> None:
    pytest.importorskip("pycolmap")
    for index in range(3):
        with pytest.raises(InputError, match=f"{index} photograph.*takes at least 3"):
            reconstruct(tmp_path, lambda line: None)
        iio.imwrite(tmp_path / f"{index}.png", np.full((48, 64, 3), 60 * index, np.uint8))
    with pytest.raises(InputError, match="no cameras found; the photographs overlap too little"):
        reconstruct(tmp_path, lambda line: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "2.png"]
