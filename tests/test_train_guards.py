"""A fit never ends in nothing: floors, ceilings, warnings, and one line where a loss is no number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from train_scenes import SMALL, Quiet, noise_scene, trainer

from gspc.codec import decode, encode
from gspc.codec.export import export_model
from gspc.config import DataOptions, FitOptions
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.errors import BackendError, InputError, UsageError
from gspc.model.masks import first_level
from gspc.ops.ssim import ssim
from gspc.scene import SceneData, View
from gspc.train import fit
from gspc.train import trainer as trainer_module
from gspc.train.guards import (
    FEWEST_ANCHORS,
    check_loss,
    most_anchors,
    open_first_level,
    with_floor,
)
from gspc.train.initialize import initial_model


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> SceneData:
    folder = tmp_path_factory.mktemp("demo") / "scene"
    write_demo_scene(folder, views=9, width=64, height=48, points=300)
    return load_scene(folder, DataOptions())


def with_pictures(scene: SceneData, color: int) -> SceneData:
    def plain(view: View) -> View:
        size = (view.camera.height, view.camera.width, 3)
        return replace(view, load=lambda: np.full(size, color, np.uint8))

    return replace(
        scene,
        train=tuple(map(plain, scene.train)),
        test=tuple(map(plain, scene.test)),
        background=(0.0, 0.0, 0.0),
    )


def test_the_floor_keeps_the_best() -> None:
    worth = torch.rand(500, generator=torch.Generator().manual_seed(1))
    keep = torch.zeros(500, dtype=torch.bool)
    keep[3] = True
    found = with_floor(keep, worth)
    assert int(found.sum()) == FEWEST_ANCHORS and found[3]
    others = torch.cat([worth[:3], worth[4:]])
    assert worth[found & ~keep].min() >= others.topk(FEWEST_ANCHORS - 1).values.min()
    plenty = torch.ones(500, dtype=torch.bool)
    assert with_floor(plenty, worth) is plenty
    assert with_floor(torch.zeros(5, dtype=torch.bool), worth[:5]).all()


@pytest.mark.parametrize("color", [0, 255, 90])
def test_blank_photographs_make_a_stream(demo: SceneData, color: int, tmp_path: Path) -> None:
    observer = Quiet()
    fit(with_pictures(demo, color), tmp_path / "m.pt", FitOptions(iterations=150, threads=1), observer)
    scene = decode(encode(export_model(tmp_path / "m.pt"))).scene
    assert scene.gaussian_mask.any() and len(scene.anchors) <= 5000
    assert observer.rows[-1].psnr > 15


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number(loss: float) -> None:
    with pytest.raises(InputError, match=r"not finite in iteration 8;.*smaller --rate-weights"):
        check_loss(loss, 7)


def test_a_step_stops_before_it_spoils_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(noise_scene(), SMALL, at=5)
    real = trainer_module.picture_loss

    def broken(*arguments: object, **options: object) -> tuple[torch.Tensor, ...]:
        loss, *rest = real(*arguments, **options)  # type: ignore[arg-type]
        return loss * float("nan"), *rest

    monkeypatch.setattr(trainer_module, "picture_loss", broken)
    features = made.model.features.clone()
    with pytest.raises(InputError, match="not finite in iteration 6"):
        made.step()
    assert torch.equal(made.model.features, features)


@pytest.mark.parametrize("error", ["mean-absolute", "root-mean-square"])
@pytest.mark.parametrize("weight", [0.0, 0.45])
def test_the_loss_is_what_the_recipe_says(error: str, weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(noise_scene(), SMALL.changed(picture_error=error, ssim_weight=weight), at=5)
    seen = []
    real = trainer_module.picture_loss

    def kept(*arguments: Any, **options: Any) -> tuple[torch.Tensor, ...]:
        seen.append((arguments[:2], real(*arguments, **options)))
        return seen[-1][1]

    monkeypatch.setattr(trainer_module, "picture_loss", kept)
    made.step()
    ((shown, wanted), (loss, _)), *_ = seen
    off = shown.detach() - wanted / 255
    size = off.abs().mean() if error == "mean-absolute" else off.square().mean().sqrt()
    expected = (1 - weight) * size + weight * (1 - ssim(shown.detach(), wanted))
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("choice", ["chance", "strongest"])
def test_those_grow_that_the_recipe_says(choice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(noise_scene(), SMALL.changed(growth_choice=choice), at=5)
    asked: list[Any] = []
    monkeypatch.setattr(type(made.schedule), "densifies", lambda self, iteration: True)
    monkeypatch.setattr(
        trainer_module, "densify", lambda *_, **options: asked.append(options["choice"]) or made.statistics
    )
    made.step()
    assert asked == [choice]


def test_an_empty_first_level_is_opened() -> None:
    made = trainer(noise_scene(), SMALL, at=5)
    assert open_first_level(made.model) == 0
    with torch.no_grad():
        made.model.masks[:, :, 0] = -9
        made.model.masks[7, 2, 0] = -8
    assert not (first_level(made.model.masks) == 1).any()
    assert open_first_level(made.model) == FEWEST_ANCHORS
    levels = first_level(made.model.masks)
    assert int((levels == 1).sum()) == FEWEST_ANCHORS and levels[7, 2] == 1


def test_memory_limits_growth() -> None:
    assert most_anchors(1234, torch.device("cpu")) == 1234
    assert most_anchors(None, torch.device("cpu")) > 10_000
    with pytest.raises(UsageError, match="--max-anchors 5: give at least 64"):
        FitOptions(max_anchors=5)


def test_dense_points_share_voxels() -> None:
    scene = noise_scene()
    shape = trainer(scene, SMALL, at=0).model.shape
    assert initial_model(scene, shape, None).anchors == 150
    few = initial_model(scene, shape, None, most=70)
    assert 35 < few.anchors <= 70


def test_the_ceiling_holds(demo: SceneData, tmp_path: Path) -> None:
    options = FitOptions(iterations=100, threads=1, max_anchors=350)
    observer = Quiet()
    fit(demo, tmp_path / "m.pt", options, observer)
    counts = [row.anchors for row in observer.rows]
    assert max(counts) == 350


def test_views_that_do_not_belong_are_warned_of(demo: SceneData, tmp_path: Path) -> None:
    """Held-out photographs of something else, as wrong poses make them."""
    inverted = tuple(replace(view, load=lambda view=view: 255 - view.load()) for view in demo.test)
    for scene, warned in ((demo, False), (replace(demo, test=inverted), True)):
        observer = Quiet()
        options = FitOptions(iterations=100, threads=1)
        result = fit(scene, tmp_path / f"{warned}.pt", options, observer)
        assert result.held_out is not None and (result.held_out < 12) == warned
        assert any("poses may be wrong" in text for text in observer.messages) == warned
    assert fit(replace(demo, test=()), tmp_path / "no.pt", FitOptions(iterations=2), Quiet()).held_out is None


def test_a_full_gpu_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(trainer_module.Trainer, "step", full)
    with pytest.raises(BackendError, match=r"the GPU's memory is full; .*--gpu-memory") as caught:
        fit(noise_scene(), tmp_path / "m.pt", FitOptions(iterations=5, device="cpu"), Quiet())
    assert caught.value.exit_code == 5
