"""Which views eval takes for held out, what masks do to scores, and when photographs are doubted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_scenes import picture, write_scene

from gspc.config import DataOptions
from gspc.data import load_scene
from gspc.pipeline import evaluation
from gspc.pipeline.agreement import agreement, doubts
from gspc.pipeline.evaluation import _score, _views_to_score
from gspc.pipeline.heldout import TrainingSplit, held_out_text
from gspc.pipeline.photographs import Wanted, as_trained
from gspc.scene import Camera, SceneData


class Scene:
    """What deciding about views asks of a decoded scene."""

    def __init__(self, cameras: tuple[Camera, ...], **metadata: str) -> None:
        self.cameras, self.metadata = cameras, metadata


def scored(data: SceneData, scene: Scene, *, all_views: bool = False) -> tuple[list[str], bool, str]:
    reading = as_trained(scene.metadata)
    views, held, notes = _views_to_score(
        Path("p"),
        data,
        reading,
        Wanted(),
        scene,  # type: ignore[arg-type]
        all_views=all_views,
    )
    return [view.camera.name for view in views], held, " ".join(note.text for note in notes)


@pytest.fixture
def data(tmp_path: Path) -> SceneData:
    return load_scene(write_scene(tmp_path), to_train=False)


def trained_on(data: SceneData) -> Scene:
    held = held_out_text([view.camera.name for view in data.test])
    return Scene(tuple(view.camera for view in data.views), held_out=held, hold="8")


def test_the_views_that_training_held_out(data: SceneData) -> None:
    scene = trained_on(data)
    assert scored(data, scene) == ([view.camera.name for view in data.test], True, "")
    everything = scored(data, scene, all_views=True)
    assert everything == (
        [view.camera.name for view in data.views],
        False,
        "p: 8 of 10 views were trained on",
    )


def test_a_folder_of_some_of_the_views(data: SceneData) -> None:
    """Every 8th of it by name is no held-out view; those that are there are found by their names."""
    scene = trained_on(data)
    rest = replace(data, train=data.train[1:], test=data.train[:1])
    names, held, said = scored(rest, scene)
    assert names == [view.camera.name for view in rest.views] and not held
    assert "none of its 8 views was held out; all were trained on" in said
    mixed = replace(data, train=(*data.train[1:], data.test[1]), test=data.train[:1])
    assert scored(mixed, scene) == ([data.test[1].camera.name], True, "")


def test_views_that_the_model_does_not_know(data: SceneData) -> None:
    scene = trained_on(data)
    new = tuple(
        replace(view, camera=replace(view.camera, name=f"new/{view.camera.name}")) for view in data.views
    )
    names, held, said = scored(replace(data, train=new[1:], test=new[:1]), scene)
    assert names == [new[0].camera.name] and held and "does not know these views by name" in said


def test_models_that_name_no_views_are_judged_by_hold(
    data: SceneData, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tuple(view.camera for view in data.views), hold="8")
    assert scored(data, scene) == ([view.camera.name for view in data.test], True, "")
    monkeypatch.setattr(evaluation, "_held_out", lambda *rest: False)
    assert scored(data, scene)[1] is False


def test_the_text_of_held_out_views() -> None:
    text = held_out_text(["a.png", "b.png"])
    assert text == held_out_text(["b.png", "a.png"]) and len(text) == 8
    split = TrainingSplit.read(text, ["a.png", "c.png"])
    assert split is not None
    assert split.standing(["a.png", "b.png", "c.png", "d.png"]) == [
        "held out",
        "held out",
        "trained",
        "trained",
    ]
    assert split.standing(["x.png", "y.png"]) == ["unknown", "unknown"]
    for text in ("", "a", "!!!!", "abcde==="):
        assert TrainingSplit.read(text, []) is None


def test_masked_pixels_do_not_count_in_scores(data: SceneData) -> None:
    target = picture(3, 64, 48)
    image = target.astype(np.float32) / 255
    image[:, 32:] = np.clip(image[:, 32:] + 0.1, 0, 1)
    camera = data.views[0].camera.resized(64, 48)
    mask = np.zeros((48, 64), bool)
    mask[:, 32:] = True

    def score(image: np.ndarray, mask: np.ndarray | None) -> tuple[float, float]:
        found = _score(camera, image, target, mask)
        return found.psnr, found.ssim

    right = image[:, 32:] - target[:, 32:] / 255
    psnr, ssim = score(image, mask)
    assert psnr == pytest.approx(-10 * np.log10(float(np.mean(right**2))), abs=1e-3)
    other = image.copy()
    other[:, :32] = 0.5
    assert score(other, mask) == (psnr, ssim)
    assert score(image, np.ones_like(mask)) == pytest.approx(score(image, None), abs=1e-6)
    assert score(image, None)[0] > psnr + 2.5  # half of it is perfect
    assert ssim < score(image, None)[1]
    assert np.isfinite(score(image, np.zeros_like(mask))).sum() >= 1


def test_photographs_that_match_nothing_are_doubted() -> None:
    generator = np.random.default_rng(0)
    drawn = [picture(index, 64, 48) for index in (1, 50, 90)]
    noisy = [np.clip(p / 255 + generator.normal(0, 0.02, p.shape), 0, 1).astype(np.float32) for p in drawn]
    same = [agreement(image, target, None) for image, target in zip(noisy, drawn, strict=True)]
    assert doubts(same) == "" and min(one.correlation for one in same) > 0.95
    others = [generator.integers(0, 256, p.shape, dtype=np.uint8) for p in drawn]
    mixed = [agreement(image, target, None) for image, target in zip(noisy, others, strict=True)]
    assert "do not match what their cameras see at all" in doubts(mixed)
    colored = [(255 - p // 2) for p in drawn]
    found = [agreement(1 - image, target, None) for image, target in zip(noisy, colored, strict=True)]
    assert "other colors or another brightness" in doubts(found)
    flat = [agreement(image, np.zeros_like(target), None) for image, target in zip(noisy, drawn, strict=True)]
    assert doubts(flat) == doubts([]) == ""


def test_reading_options_of_training_are_kept() -> None:
    found = as_trained({"resolution": "2", "hold": "4", "background": "white", "field": "crop"})
    assert (found.resolution, found.hold, found.background, found.field) == (2, 4, "white", "crop")
    asked = as_trained({"field": "crop", "exif": "apply"}, Wanted(field="full", resolution=8))
    assert (asked.field, asked.exif, asked.resolution) == ("full", "apply", 8)
    assert as_trained({}) == DataOptions()
