"""Backgrounds: chosen by the pictures, said, and random ones behind what is transparent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from data_scenes import picture, real_scene
from train_scenes import Quiet, noise_scene

from gspc.config import DataOptions, FitOptions
from gspc.data import load_scene
from gspc.data.backgrounds import AlphaLoader, Backing, choose_backing
from gspc.data.demo import write_demo_scene
from gspc.data.images import Photo, PixelCache, compose, inspect_photo
from gspc.data.report import Notes
from gspc.train import fit
from gspc.train.masking import recolored

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Photo]:
    """By kind: a photograph, one that ends in white, RGBA that is opaque, and RGBA with a hole."""
    plain, framed = picture(0, 30, 30), np.full((30, 30, 3), 255, np.uint8)
    framed[5:25, 5:25] = 9
    opaque = np.dstack([plain, np.full((30, 30), 255, np.uint8)])
    clear = opaque.copy()
    clear[3:9, 4:20, 3] = 0
    kinds = {"plain": plain, "framed": framed, "opaque": opaque, "clear": clear}
    for name, pixels in kinds.items():
        iio.imwrite(tmp_path / f"{name}.png", pixels)
    return {name: inspect_photo(tmp_path / f"{name}.png") for name in kinds}


@pytest.mark.parametrize(
    ("wish", "kinds", "color", "transparent", "says"),
    [
        ("auto", ["plain"] * 5, BLACK, False, ""),
        ("auto", ["framed"] * 9, WHITE, False, "before white"),
        ("auto", ["framed"] * 3 + ["plain"], BLACK, False, ""),
        ("auto", ["plain", "clear"], WHITE, True, "transparent in places"),
        ("auto", ["opaque"] * 3, BLACK, False, ""),
        ("black", ["clear"], BLACK, True, ""),
        ("black", ["framed"], BLACK, False, ""),
        ("white", ["plain"], WHITE, False, ""),
        ("auto", [], BLACK, False, ""),
    ],
)
def test_choice(
    wish: str,
    kinds: list[str],
    color: tuple[float, ...],
    transparent: bool,
    says: str,
    photos: dict[str, Photo],
) -> None:
    notes = Notes()
    found = choose_backing(wish, [photos[kind] for kind in kinds], notes)  # type: ignore[arg-type]
    assert found == Backing(color, transparent)  # type: ignore[arg-type]
    assert says in " ".join(note.text for note in notes.lines) and len(notes.lines) == bool(says)


def test_real_backgrounds() -> None:
    for name, expected in (("lego", WHITE), ("fern", BLACK)):
        folder = real_scene(name) / "images"
        photos = [inspect_photo(path) for path in sorted(folder.iterdir())]
        assert choose_backing("auto", photos, Notes()) == Backing(expected, False)


def test_alpha_is_reduced_and_kept(photos: dict[str, Photo]) -> None:
    cache = PixelCache()
    loader = AlphaLoader(photos["clear"], 15, 15, cache=cache)
    alpha = loader()
    assert alpha.shape == (15, 15) and not alpha.flags.writeable
    assert (alpha[2:4, 2:10] == 0).all() and (alpha[6:] == 255).all()
    assert np.shares_memory(loader(), alpha)


def test_recolored_is_composed_anew() -> None:
    generator = np.random.default_rng(0)
    rgba = generator.integers(0, 256, (6, 5, 4), dtype=np.uint8)
    before = torch.from_numpy(compose(rgba, WHITE))
    torch.manual_seed(3)
    moved, color = recolored(before, torch.from_numpy(rgba[:, :, 3].copy()), WHITE)
    want = compose(rgba, color).astype(int)
    assert np.abs(moved.numpy().astype(int) - want).max() <= 1  # rounded twice
    assert len(set(color)) == 3 and 0 <= min(color) <= max(color) <= 1


def test_opaque_alpha_trains_to_the_same_bits(tmp_path: Path) -> None:
    write_demo_scene(tmp_path / "rgb", views=6, width=40, height=30, points=200)
    write_demo_scene(tmp_path / "rgba", views=6, width=40, height=30, points=200)
    for path in sorted((tmp_path / "rgba" / "images").iterdir()):
        pixels = iio.imread(path)
        iio.imwrite(path, np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]))
    logs = []
    for name in ("rgb", "rgba"):
        options = FitOptions(iterations=20, threads=1, log=tmp_path / f"{name}.log")
        fit(load_scene(tmp_path / name, DataOptions()), tmp_path / f"{name}.pt", options, Quiet())
        logs.append((tmp_path / f"{name}.log").read_bytes())
    assert logs[0] == logs[1] and logs[0]


def test_random_backgrounds_are_drawn_behind(tmp_path: Path) -> None:
    """Empty photographs: with random colors behind them the loss asks for nothing but to draw nothing."""
    scene = noise_scene()
    nothing = np.zeros((24, 32), np.uint8)
    views = tuple(
        replace(view, load=lambda: np.full((24, 32, 3), 255, np.uint8), alpha=lambda: nothing)
        for view in scene.train
    )
    scene = replace(scene, train=views, background=WHITE)
    observer = Quiet()
    fit(scene, tmp_path / "m.pt", FitOptions(iterations=60, threads=1), observer)
    assert observer.rows[-1].psnr > observer.rows[0].psnr + 6
    assert any("hardly show anything" in text for text in observer.messages) or observer.rows[-1].psnr > 25
