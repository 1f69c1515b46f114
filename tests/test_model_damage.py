"""`model.pt` with anything in place of what belongs there: one InputError that names it, no other error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from damage import MISSING, ODD, as_bytes, changed
from train_scenes import POOLED, noise_scene, trainer

from gspc.codec.export import export_model
from gspc.data import suggested_cameras
from gspc.errors import InputError
from gspc.model.storage import FORMAT, TrainedModel, load_model, save_model


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    scene = noise_scene()
    model = trainer(
        scene, POOLED.changed(pool_grid="own", residual_hidden=3, chunks=2, trits="mixed", refine_until=2), 0
    ).model
    save_model(path, TrainedModel(model, suggested_cameras(scene.views), (1.0, 0.5, 0.0), {"scene": "noise"}))
    return torch.load(path, weights_only=True)


def test_a_good_model_comes_back(values: dict[str, Any]) -> None:
    found = load_model(as_bytes(values))
    assert found.background == (1.0, 0.5, 0.0) and found.metadata == {"scene": "noise"}
    assert found.model.shape.to_dict() == values["model"]["shape"]
    state = found.model.state_dict()
    assert state.keys() == values["model"]["state"].keys()
    assert all(torch.equal(tensor, values["model"]["state"][name]) for name, tensor in state.items())
    first = found.cameras[0]
    assert (first.name, first.width, first.height, first.fx, first.cy) == ("0.png", 32, 24, 30.0, 12.0)
    assert np.array_equal(first.world_to_camera, noise_scene().train[0].camera.world_to_camera)


# Paths in a model, and which odd values are none there.
PLACES: dict[str, set[str]] = {
    "version": set(),
    "format": set(),
    "model": set(),
    "model/voxel_size": {"half"},
    "model/distance_scale": {"half"},
    "model/grid": set(),
    "model/grid/box_low": set(),
    "model/grid/box_size/1": set(),
    "model/grid/planes": set(),
    "model/grid/planes/0": set(),
    "model/grid/planes/0/1": set(),
    "model/shape": set(),
    "model/shape/rate_weights": set(),
    "model/shape/rate_weights/0": {"half"},
    "model/shape/step_base": set(),
    "model/shape/step_base/scaling": {"half"},
    "model/shape/trits": set(),
    "model/shape/one_scale": {"switch"},
    "model/shape/offsets": set(),
    "model/shape/levels": set(),
    "model/shape/pool_planes": set(),
    "model/state": set(),
    "model/state/origin": set(),
    "model/state/positions": set(),
    "model/state/features": set(),
    "model/state/grid.embeddings": set(),
    "model/state/heads.first.opacity.weight": set(),
    "model/state/context.steps.units": set(),
    "background": set(),
    "background/0": {"half"},
    "cameras": set(),
    "cameras/0": set(),
    "cameras/0/name": {"text"},
    "cameras/0/size": set(),
    "cameras/0/size/0": set(),
    "cameras/0/intrinsics": set(),
    "cameras/0/intrinsics/0": {"half"},
    "cameras/0/intrinsics/2": {"half", "negative"},
    "cameras/0/world_to_camera": set(),
    "frame/scale": {"half"},
    "frame/rotation": set(),
    "frame/rotation/0": set(),
    "frame/translation": set(),
    "frame/translation/1": {"half", "negative"},
    "metadata": set(),
    "metadata/scene": {"text", "missing"},
}


@pytest.mark.parametrize("path", PLACES)
def test_odd_values_are_input_errors(
    values: dict[str, Any], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ODD.items():
        if name in PLACES[path] or (value is MISSING and path[-1].isdigit()):
            continue
        odd = changed(values, path, value)
        monkeypatch.setattr(torch, "load", lambda *_, odd=odd, **__: odd)
        with pytest.raises(InputError) as raised:
            load_model(b"", "m.pt")
        text = str(raised.value)
        assert text.startswith("m.pt: ") and "\n" not in text, name
        assert text.endswith("run `gspc fit` again") or path == "format", name


def test_damage_is_named(values: dict[str, Any]) -> None:
    state = values["model"]["state"]
    weight = state["heads.first.opacity.weight"].clone()
    weight[1, 2] = float("inf")
    positions = state["positions"].clone()
    positions[0, 0] = 1 << 21
    for path, value, told in (
        ("model/state/origin", 0.5, "model.state.origin is a number, not a tensor"),
        ("model/state/origin", torch.eye(3)[0].to_sparse(), "model.state.origin is not a dense tensor"),
        ("model/state/origin", MISSING, "model.state.origin is missing"),
        ("model/state/origin", torch.zeros(3), "model.state.origin is float32 [3], not float64 [3]"),
        (
            "model/state/heads.first.opacity.weight",
            weight,
            "model.state.heads.first.opacity.weight holds values that are not finite",
        ),
        ("model/state/positions", positions, "model.state.positions lies outside the 21 bits per axis"),
        ("model/state/positions", positions[:0], "model.state.positions has no anchors"),
        ("model/state/features", state["features"][1:], "model.state.features is float32 [147, 4], not"),
        ("model/state/extra", weight, "model.state has extra, which its model does not"),
        ("model/shape/levels", 9, "model.shape.levels is 9, not within 1 to 8"),
        ("model/shape/levels", 2, "model.shape.rate_weights has 3 entries, not 2"),
        ("model/shape/trits", "four", "model.shape.trits is 'four', not one of learned, gaussian, rounded"),
        (
            "model/shape/pool_planes",
            64,
            "model.shape has sizes that no stream may have: the pool must leave a plane",
        ),
        ("model/shape/pool", 0, "model.shape.pool_planes is given, but there is no pool"),
        ("model/grid/planes/0", [7, 1, 1], "model.grid is beyond what a grid may have ("),
        ("model/voxel_size", 0.0, "model.voxel_size is 0, not positive"),
        ("cameras/0/size", [32, 65536], "cameras.0 cannot be used: its width and height must be"),
        ("cameras/0/size/0", 32.0, "cameras.0.size.0 is a number, not a whole number"),
        ("cameras/0/world_to_camera", [[10**400]], "cameras.0 is no camera ("),
        ("background", [0.0, 0.0], "background has 2 entries, not 3"),
        ("frame/scale", 1e30, "frame cannot be used: the frame's scale must be"),
        ("frame/rotation/0", [1.0, 1.0, 0.0], "frame cannot be used: the frame has no rotation"),
        ("metadata", {3: "x"}, "metadata has entries whose names are no texts"),
    ):
        with pytest.raises(InputError) as raised:
            load_model(as_bytes(changed(values, path, value)), "m.pt")
        assert str(raised.value).startswith(f"m.pt: damaged: {told}")


def test_other_files_are_input_errors(values: dict[str, Any], tmp_path: Path) -> None:
    whole = as_bytes(values)
    for data in (
        b"",
        whole[: len(whole) // 2],
        b"not a model at all",
        whole[:-30],
        b"PK\x03\x04" + bytes(99),
    ):
        (tmp_path / "m.pt").write_bytes(data)
        with pytest.raises(
            InputError, match=r"m\.pt: not a gspc-model file, or damaged; run `gspc fit` again"
        ):
            load_model(tmp_path / "m.pt")
    with pytest.raises(InputError, match="not a gspc-model file; give the output"):
        load_model(as_bytes({"format": "something else"}))
    with pytest.raises(InputError, match=r"written by another version of gspc \(format 99, here 3\)"):
        load_model(as_bytes(values | {"version": 99}))
    with pytest.raises(InputError, match=r"no\.pt: no such file"):
        load_model(tmp_path / "no.pt")
    assert values["format"] == FORMAT


def test_the_codec_says_the_same(values: dict[str, Any]) -> None:
    """Exit code 3 with one line, not a bug of ours."""
    data = as_bytes(changed(values, "model/state/origin", 0.5))
    with pytest.raises(InputError, match=r"m\.pt: damaged: model\.state\.origin is a number"):
        export_model(data, "m.pt")


def test_every_flipped_byte_is_noticed(values: dict[str, Any]) -> None:
    """The archive's checksums are compared: torch's reader alone takes changed weights for the real ones."""
    whole = as_bytes(values)
    random = np.random.default_rng(2)
    reached = 0
    for place in random.integers(0, len(whole), 80):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random.integers(8)
        try:
            found = load_model(bytes(damaged), "m.pt")
        except InputError:
            reached += 1
            continue
        # What is left are bytes that say nothing: dates and paddings of the archive.
        for name, tensor in found.model.state_dict().items():
            assert torch.equal(tensor, values["model"]["state"][name])
    assert reached > 60


def test_weights_that_are_no_numbers_are_named(values: dict[str, Any]) -> None:
    state = values["model"]["state"]
    for name in ("features", "heads.first.opacity.weight", "grid.embeddings"):
        broken = state[name].clone()
        broken.view(-1)[1] = float("nan")
        with pytest.raises(InputError, match=rf"model\.state\.{name} holds values that are not"):
            load_model(as_bytes(changed(values, f"model/state/{name}", broken)), "m.pt")
