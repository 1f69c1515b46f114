"""Checkpoints: a run goes on as itself or not at all, and damaged ones are told from good ones."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import MISSING, ODD, changed
from train_scenes import SMALL, Quiet

from gspc.config import DataOptions, FitOptions, checkpoint_path
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.errors import InputError, UsageError
from gspc.model.storage import load_model
from gspc.presets import PCGS
from gspc.recipe import value_text
from gspc.scene import SceneData
from gspc.train import fit
from gspc.train.ranks import RankGone, Ranks
from gspc.train.settings import EARLIER, first_difference

OPTIONS = FitOptions(
    iterations=30,
    levels=2,
    threads=1,
    checkpoint_every=5,
    recipe=SMALL.changed(head_hidden=8, steps_hidden=8, trunk_hidden=12, trit_features_hidden=8),
)


class Stopping(Quiet):
    """Ends a fit after its checkpoint at iteration 15, in which the rate is learned."""

    def progress(self, progress: Any) -> None:
        if progress.iteration == 20:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene") / "demo"
    write_demo_scene(path, views=4, width=40, height=30, points=60)
    return path


@pytest.fixture(scope="module")
def scene(folder: Path) -> SceneData:
    return load_scene(folder, DataOptions())


@pytest.fixture(scope="module")
def interrupted(scene: SceneData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("interrupted") / "model.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(scene, path, OPTIONS, Stopping())
    return checkpoint_path(path)


def resume(scene: SceneData, saved: Path, work: Path, **options: Any) -> list[str]:
    """Goes on from a copy of a checkpoint; returns what the fit says."""
    observer = Quiet()
    if saved != work / "model.pt.checkpoint":
        shutil.copy(saved, work / "model.pt.checkpoint")
    fit(scene, work / "model.pt", dataclasses.replace(OPTIONS, resume=True, **options), observer)
    return observer.messages


def test_options_of_where_and_how_may_change(scene: SceneData, interrupted: Path, tmp_path: Path) -> None:
    said = resume(scene, interrupted, tmp_path, threads=2, checkpoint_every=0, log=tmp_path / "log")
    assert "resumed at iteration 15" in said
    assert (tmp_path / "model.pt").exists() and not (tmp_path / "model.pt.checkpoint").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": 5}, "seed = 0, now it is 5"),
        ({"iterations": 20}, "iterations = 30, now it is 20"),
        ({"levels": 3}, "levels = 2, now it is 3"),
        ({"rate_weights": (0.5, 0.25)}, "rate weights = 0.01 2e-05, now it is 0.5 0.25"),
        ({"voxel_size": 0.5}, "voxel size = measured, now it is 0.5"),
        ({"recipe": OPTIONS.recipe.changed(features=7)}, "features = 6, now it is 7"),
        ({"recipe": OPTIONS.recipe.changed(mask_rate=True)}, "mask_rate = off, now it is on"),
        ({"recipe": OPTIONS.recipe.changed(trits="gaussian")}, "trits = learned, now it is gaussian"),
    ],
)
def test_other_options_are_refused(
    scene: SceneData, interrupted: Path, tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError) as raised:
        resume(scene, interrupted, tmp_path, **options)
    assert str(raised.value) == (
        f"{tmp_path}/model.pt.checkpoint: was made with {told}; "
        "give the same options and photographs or start without --resume"
    )


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"background": "white"}, "background = black, now it is white"),
        ({"resolution": 2}, "= 40x30, now it is 20x15"),
        ({"hold": 0}, "number of training views = 3, now it is 4"),
        ({"hold": 4}, None),  # of four views the same ones are held out
    ],
)
def test_photographs_read_otherwise_are_refused(
    folder: Path, interrupted: Path, tmp_path: Path, data: dict[str, Any], told: str | None
) -> None:
    other = load_scene(folder, DataOptions(**data))
    if told is None:
        assert "resumed at iteration 15" in resume(other, interrupted, tmp_path)
        return
    with pytest.raises(UsageError, match=told):
        resume(other, interrupted, tmp_path)


def test_a_build_without_a_setting_did_what_was_usual_then(
    scene: SceneData, interrupted: Path, tmp_path: Path
) -> None:
    """A checkpoint that does not name a setting goes on with what builds of that time did."""
    values = torch.load(interrupted, weights_only=True)
    now = {name: values["settings"].pop(name) for name in EARLIER}
    torch.save(values, tmp_path / "old")
    with pytest.raises(UsageError, match="picture_error = mean-absolute, now it is root-mean-square; give"):
        resume(scene, tmp_path / "old", tmp_path)
    assert first_difference({}, EARLIER) is None
    assert first_difference({**now}, {**now, **EARLIER}) is not None
    assert {name: value_text(value) for name, value in PCGS.values().items() if name in EARLIER} == EARLIER


def test_other_photographs_and_cameras_are_refused(
    scene: SceneData, interrupted: Path, tmp_path: Path
) -> None:
    first, *others = scene.train
    name = first.camera.name
    (tmp_path / name).write_bytes(b"another photograph of this name")
    pose = first.camera.world_to_camera.copy()
    pose[0, 3] += 1e-6
    for view, told in (
        (
            dataclasses.replace(first, path=tmp_path / name),
            rf"photograph {name} = \d+ bytes, now it is 31 bytes",
        ),
        (
            dataclasses.replace(first, mask_path=tmp_path / name),
            f"mask of {name} = no file, now it is 31 bytes",
        ),
        (
            dataclasses.replace(first, turned=3),
            f"orientation of {name} = 1, now it is 3",
        ),
        (
            dataclasses.replace(first, camera=dataclasses.replace(first.camera, fx=31.0)),
            f"intrinsics of {name} = ",
        ),
        (
            dataclasses.replace(first, camera=dataclasses.replace(first.camera, world_to_camera=pose)),
            f"pose of {name} = ",
        ),
        (
            dataclasses.replace(first, camera=dataclasses.replace(first.camera, name="z.png")),
            "size of z.png = none, now it is 40x30",
        ),
    ):
        with pytest.raises(UsageError, match=told):
            resume(dataclasses.replace(scene, train=(view, *others)), interrupted, tmp_path)
    gone = dataclasses.replace(first, path=tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"gone\.png: cannot be read \(No such file"):
        resume(dataclasses.replace(scene, train=(gone, *others)), interrupted, tmp_path)


# Paths in a checkpoint, and which odd values are none there.
DAMAGED: dict[str, set[str]] = {
    "settings": set(),
    "settings/seed": {"text", "missing"},  # other settings, which is a mistake of the command line
    "model": set(),
    "model/shape/features": set(),
    "model/state/masks": set(),
    "optimizer": {"table"},  # no parameter has been moved yet
    "optimizer/0": {"missing"},
    "optimizer/0/step": set(),
    "optimizer/0/exp_avg": set(),
    "statistics": set(),
    "statistics/drawn": set(),
    "order": set(),
    "iteration": set(),
    "psnr": {"half", "negative"},
    "picture_loss": {"half"},
    "pruned": set(),
    "random": set(),
    "random_cuda": {"list"},  # of a machine with such devices
    "version": set(),
    "format": set(),
}


@pytest.mark.parametrize("path", DAMAGED)
def test_damaged_checkpoints_are_input_errors(
    scene: SceneData, interrupted: Path, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = torch.load(interrupted, weights_only=True)
    for name, value in ODD.items():
        if name in DAMAGED[path]:
            continue
        odd = changed(values, path, value)
        monkeypatch.setattr(torch, "load", lambda *_, odd=odd, **__: odd)
        with pytest.raises(InputError) as raised:
            resume(scene, interrupted, tmp_path)
        text = str(raised.value)
        assert text.startswith(f"{tmp_path}/model.pt.checkpoint: ") and "\n" not in text, name
        assert "start without --resume" in text or path == "format", name


def test_damage_is_named(scene: SceneData, interrupted: Path, tmp_path: Path) -> None:
    values = torch.load(interrupted, weights_only=True)
    moments = values["optimizer"][0]["exp_avg"]
    for path, value, told in (
        ("settings", MISSING, "settings is missing"),
        ("iteration", 31, "iteration is 31, not within 0 to 30"),
        ("order", [0, 3], "order.1 is 3, not within 0 to 2"),
        ("psnr", float("nan"), "psnr is nan, not within"),
        ("statistics/drawn", torch.zeros(2), r"statistics.drawn is float32 \[2\], not float32"),
        (
            "optimizer/0/exp_avg",
            moments * float("inf"),
            "optimizer.0.exp_avg holds values that are not finite",
        ),
        ("random", torch.zeros(3, dtype=torch.uint8), r"random is uint8 \[3\], not uint8"),
        ("model/state/origin", 0.5, "model.state.origin is a number, not a tensor"),
    ):
        torch.save(changed(values, path, value), tmp_path / "odd")
        with pytest.raises(InputError, match=rf"model\.pt\.checkpoint: damaged: {told}"):
            resume(scene, tmp_path / "odd", tmp_path)
    torch.save(changed(values, "model/shape/rate_weights", [0.5, 0.25]), tmp_path / "odd")
    with pytest.raises(InputError, match=r"model\.shape is not the one that its settings ask for"):
        resume(scene, tmp_path / "odd", tmp_path)
    for junk in (b"", b"not a checkpoint", interrupted.read_bytes()[:3000]):
        (tmp_path / "odd").write_bytes(junk)
        with pytest.raises(
            InputError, match="not a gspc-checkpoint file, or damaged; start without --resume"
        ):
            resume(scene, tmp_path / "odd", tmp_path)


# ---- pausing and branching off ----


def rows(path: Path, after: int = 0) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in found if row["iteration"] > after]


def branch(scene: SceneData, saved: Path, output: Path, **options: Any) -> list[str]:
    observer = Quiet()
    fit(scene, output, dataclasses.replace(OPTIONS, branch=saved, **options), observer)
    return observer.messages


def state(path: Path) -> dict[str, torch.Tensor]:
    return load_model(path).model.state_dict()


def test_a_paused_run_goes_on_as_if_nothing_had_been(scene: SceneData, tmp_path: Path) -> None:
    """By --resume and as a branch of the same settings: the same rows and the same model, bit for bit."""
    whole, paused, other = (tmp_path / name for name in ("whole.pt", "paused.pt", "branch.pt"))
    fit(scene, whole, dataclasses.replace(OPTIONS, log=tmp_path / "whole"), Quiet())
    observer = Quiet()
    options = dataclasses.replace(OPTIONS, log=tmp_path / "paused", pause_at=17)
    result = fit(scene, paused, options, observer)
    assert (result.paused, result.path, result.iterations) == (True, checkpoint_path(paused), 17)
    assert "paused after iteration 17; `--resume` goes on from there" in observer.messages
    assert not paused.exists() and result.held_out is None
    said = branch(scene, result.path, other, log=tmp_path / "branch")
    assert f"{result.path}: branched off at iteration 17" in said
    assert result.path.exists()  # for more branches
    assert rows(tmp_path / "branch") == rows(tmp_path / "whole", after=17) != []
    again = fit(scene, paused, dataclasses.replace(options, resume=True, pause_at=None), Quiet())
    assert not again.paused and (tmp_path / "paused").read_text() == (tmp_path / "whole").read_text()
    for path in (paused, other):
        assert all(torch.equal(value, state(whole)[name]) for name, value in state(path).items())


def test_a_branch_may_train_otherwise(scene: SceneData, interrupted: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same.pt", tmp_path / "other.pt"
    before = interrupted.read_bytes()
    branch(scene, interrupted, same)
    recipe = OPTIONS.recipe.changed(mask_rate=True, mask_momentum=0.5, ssim_weight=0.5, ranked=False)
    branch(scene, interrupted, other, recipe=recipe, rate_weights=(0.5, 0.25), target_size=20_000)
    assert load_model(other).model.shape.rate_weights == (0.5, 0.25)
    assert not torch.equal(state(same)["features"], state(other)["features"])
    assert interrupted.read_bytes() == before
    branch(scene, interrupted, other, iterations=40)
    assert load_model(other).metadata["iterations"] == "40"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seed": 5}, "seed = 0, now it is 5"),
        ({"levels": 3}, "levels = 2, now it is 3"),
        ({"iterations": 20}, "iterations = 30, now it is 20"),
        ({"recipe": OPTIONS.recipe.changed(features=7)}, "features = 6, now it is 7"),
        ({"recipe": OPTIONS.recipe.changed(trits="gaussian")}, "trits = learned, now it is gaussian"),
    ],
)
def test_a_branch_keeps_what_the_model_consists_of(
    scene: SceneData, interrupted: Path, tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(UsageError) as raised:
        branch(scene, interrupted, tmp_path / "model.pt", **options)
    assert str(raised.value) == (
        f"{interrupted}: was made with {told}; a branch keeps that; give it or name another checkpoint "
        "with --branch"
    )


def test_a_branch_begins_at_a_checkpoint(scene: SceneData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nosuch: no such file"):
        branch(scene, tmp_path / "nosuch", tmp_path / "model.pt")
    (tmp_path / "odd").write_bytes(b"odd")
    with pytest.raises(InputError, match=r"odd: not a .* damaged; name another checkpoint with --branch"):
        branch(scene, tmp_path / "odd", tmp_path / "model.pt")
    with pytest.raises(UsageError, match=r"--branch with --resume: .*; leave one out"):
        dataclasses.replace(OPTIONS, branch=tmp_path / "odd", resume=True)


@pytest.mark.parametrize(("at", "within"), [(15, "16 to 29"), (30, "16 to 29"), (0, None)])
def test_a_run_pauses_where_it_comes_by(
    scene: SceneData, interrupted: Path, tmp_path: Path, at: int, within: str | None
) -> None:
    told = f"--pause-at {at}: give {within} for this fit" if within else "--pause-at 0: give at least 1"
    with pytest.raises(UsageError, match=told):
        branch(scene, interrupted, tmp_path / "model.pt", pause_at=at)


def test_a_rank_that_is_gone_leaves_no_step_half_done(
    scene: SceneData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where anchors are about to be edited, for which ranks share more than gradients."""

    def gone(self: Ranks, tensors: Any) -> None:
        raise RankGone("another rank of this fit is gone")

    monkeypatch.setattr(Ranks, "mean", gone)
    with pytest.raises(RankGone, match=r"is gone; `--resume` goes on from iteration 9"):
        fit(scene, tmp_path / "model.pt", OPTIONS, Quiet())
    monkeypatch.undo()
    assert "resumed at iteration 9" in resume(scene, tmp_path / "model.pt.checkpoint", tmp_path)


def test_a_run_may_be_given_more_iterations(scene: SceneData, interrupted: Path, tmp_path: Path) -> None:
    """But not fewer, nor once it is in its last phase."""
    more = 2 * (OPTIONS.iterations or 0)
    assert "resumed at iteration 15" in resume(scene, interrupted, tmp_path, iterations=more)
    assert load_model(tmp_path / "model.pt").metadata["iterations"] == str(more)
    with pytest.raises(UsageError, match="iterations = "):
        resume(scene, interrupted, tmp_path, iterations=16)
    saved = torch.load(interrupted, weights_only=True)
    saved["iteration"] = (OPTIONS.iterations or 0) - 1
    torch.save(saved, tmp_path / "late")
    with pytest.raises(UsageError, match=f"iterations = {OPTIONS.iterations}, now it is {more}"):
        resume(scene, tmp_path / "late", tmp_path, iterations=more)
