"""Gains in a model.pt, and what commands make of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import Cli
from train_scenes import POOLED, noise_scene, trainer

import gspc
from gspc.choices import TARGET_SIZE
from gspc.codec import decode, encode
from gspc.codec.export import export_gains, export_trained
from gspc.errors import InputError, UsageError
from gspc.format.parity import with_parity
from gspc.model.storage import Gains, TrainedModel, load_model, save_model


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    """A model of noise whose parts are said to be worth what chance gives them."""
    made = trainer(noise_scene(), POOLED.changed(refine_until=2), 95)
    with torch.no_grad():
        made.model.masks[::2, 1, 0] = -9.0
        made.model.masks[::2, 1, 1] = 9.0
        made.model.masks[5] = -9.0  # an anchor that no stream holds
    made.step()
    model = made.model.cpu()
    chance = torch.Generator().manual_seed(0)
    refined = torch.randn(model.anchors, 3, 2, generator=chance)
    fresh = torch.randn(model.anchors, model.shape.offsets, generator=chance)
    anchors = torch.rand(model.anchors, generator=chance) + 1
    return TrainedModel(model, (), (0.0, 0.0, 0.0), {}, gains=Gains(refined, fresh, anchors))


@pytest.fixture
def path(trained: TrainedModel, tmp_path: Path) -> Path:
    save_model(tmp_path / "m.pt", trained)
    return tmp_path / "m.pt"


def test_gains_are_kept(trained: TrainedModel, path: Path) -> None:
    found = load_model(path)
    assert trained.gains is not None and found.gains is not None
    assert torch.allclose(found.gains.fresh.clamp(-0.06, 0.06), trained.gains.fresh.clamp(-0.06, 0.06), 1e-3)
    exported, gains = export_trained(found), export_gains(found)
    assert gains is not None and gains.refined.shape == (len(exported.positions), 3, 2)
    assert len(exported.positions) == trained.model.anchors - 1
    kept = np.delete(found.gains.refined.numpy(), 5, 0)
    assert np.array_equal(gains.refined, kept)


@pytest.mark.parametrize(
    "change",
    [
        {"refined": torch.zeros(3, 3, 2, dtype=torch.float16)},
        {"fresh": torch.zeros(1)},
        {"fresh": None},
        {"refined": "much"},
    ],
)
def test_damaged_gains(path: Path, change: dict[str, object]) -> None:
    values = torch.load(path, weights_only=True)
    values["gains"] |= change
    torch.save(values, path)
    with pytest.raises(InputError, match=r"damaged: gains\.(refined|fresh) is"):
        load_model(path)


def test_gains_that_are_no_numbers(path: Path) -> None:
    values = torch.load(path, weights_only=True)
    values["gains"]["fresh"][3, 1] = float("nan")
    torch.save(values, path)
    with pytest.raises(InputError, match="not finite"):
        load_model(path)


def test_a_model_without_gains_is_coded_as_before(trained: TrainedModel, tmp_path: Path) -> None:
    save_model(tmp_path / "old.pt", replace(trained, gains=None))
    data = gspc.compress(tmp_path / "old.pt").data
    assert data == with_parity(encode(export_trained(trained))) and data[8] == 1
    with pytest.raises(UsageError, match="has 3 levels"):
        gspc.compress(tmp_path / "old.pt", levels=4)


def test_levels_of_a_model(path: Path) -> None:
    for levels in (1, 2, 5, 8):
        made = gspc.compress(path, levels=levels)
        assert made.levels == made.available == len(made.level_bytes) == levels
        assert decode(made.data).levels_in_file == levels
    with pytest.raises(UsageError, match="1 to 8"):
        gspc.compress(path, levels=9)
    assert gspc.compress(path).data[8] == 2


def test_the_size_that_a_fit_aimed_at(trained: TrainedModel, tmp_path: Path) -> None:
    whole = gspc.compress(_saved(trained, tmp_path / "a.pt", {})).data
    aim = len(whole) - 100  # networks take most of so small a stream
    path = _saved(trained, tmp_path / "b.pt", {TARGET_SIZE: str(aim)})
    assert 0.95 * aim <= len(gspc.compress(path).data) <= aim
    assert len(gspc.compress(path, levels=5).data) > aim


def _saved(trained: TrainedModel, path: Path, metadata: dict[str, str]) -> Path:
    save_model(path, replace(trained, metadata=metadata))
    return path


def test_command(cli: Cli, path: Path, tmp_path: Path) -> None:
    whole = gspc.compress(path)
    size = len(whole.data) - 100
    out, report = tmp_path / "out.pcgs", tmp_path / "r.json"
    ran = cli("compress", path, "--max-size", size, "-o", out, "--json", report)
    assert ran.code == 0 and 0.95 * size <= out.stat().st_size <= size
    told = json.loads(report.read_text())
    assert told["levels"] == told["levels_available"] == len(told["bytes_up_to_level"])
    assert told["slices_of_last_level"] is None
    ran = cli("compress", path, "--max-size", "5k", "-o", tmp_path / "none.pcgs")
    assert ran.code == 2 and "its level 1 takes" in ran.err
