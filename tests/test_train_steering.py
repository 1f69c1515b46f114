"""Rate weights that are steered toward a size, on a stand-in for a fit; previews."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import pytest
from train_scenes import Quiet

from gspc import pipeline
from gspc.config import DataOptions, FitOptions, checkpoint_path, preview_path
from gspc.data import load_scene
from gspc.data.demo import write_demo_scene
from gspc.train import fit
from gspc.train.steering import MOST, Steering


def bytes_of(target: int | None, iterations: int = 1000, lag: float = 0.06, power: float = 0.35) -> float:
    """The size at the end of a run whose size follows the rate weights with a lag (a share of the run)."""
    steering, size = Steering(target, iterations), math.log(1_000_000)
    for iteration in range(iterations):
        wanted = math.log(1_000_000) - power * math.log(steering.factor)
        size += (wanted - size) / (lag * iterations)
        if steering.due(iteration + 1):
            steering.update(round(math.exp(size)))
    return math.exp(size)


@pytest.mark.parametrize("share", [0.4, 0.7, 1.0, 1.5, 2.5])
@pytest.mark.parametrize("lag", [0.02, 0.06, 0.1])
@pytest.mark.parametrize("power", [0.25, 0.35, 0.5])
def test_a_run_lands_near_its_target(share: float, lag: float, power: float) -> None:
    target = round(1_000_000 * share)
    assert bytes_of(target, lag=lag, power=power) == pytest.approx(target, rel=0.05)


def test_runs_of_any_length_steer_alike() -> None:
    assert bytes_of(500_000, 300) == pytest.approx(500_000, rel=0.05)
    assert bytes_of(500_000, 20_000) == pytest.approx(500_000, rel=0.05)


def test_without_a_target_nothing_changes() -> None:
    steering = Steering(None, 1000)
    assert steering.factor == 1
    assert not any(steering.due(iteration) for iteration in range(1001))
    assert bytes_of(None) == pytest.approx(1_000_000)


def test_targets_out_of_reach_do_not_wind_up() -> None:
    steering = Steering(1000, 100)
    for _ in range(1000):
        steering.update(10**9)
    assert steering.integral == MOST
    assert math.log(steering.factor) == pytest.approx(MOST)
    for _ in range(40):
        steering.update(100)
    assert steering.factor < 1


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scene")
    write_demo_scene(path, views=5, width=40, height=30, points=400)
    return path


def rows(photographs: Path, folder: Path, **changes: Any) -> list[dict[str, Any]]:
    """The log of a short fit into `folder`."""
    options = FitOptions(iterations=120, levels=2, threads=1, log=folder / "log", **changes)
    fit(load_scene(photographs, DataOptions()), folder / "m.pt", options, Quiet())
    return [json.loads(line) for line in (folder / "log").read_text().splitlines()]


def test_a_fit_gets_smaller_or_larger_as_asked(photographs: Path, tmp_path: Path) -> None:
    sizes = {}
    for name, target in (("small", 10_000), ("free", None), ("large", 100_000)):
        (tmp_path / name).mkdir()
        sizes[name] = rows(photographs, tmp_path / name, target_size=target)[-1]["estimated_bytes"]
    assert sizes["small"] < 0.97 * sizes["free"]
    assert sizes["large"] > 1.03 * sizes["free"]


def test_a_steered_fit_resumes_as_if_it_had_not_been_interrupted(photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = rows(photographs, tmp_path / "whole", target_size=30_000)

    class Interrupting(Quiet):
        def progress(self, state: Any) -> None:
            if state.iteration >= 90:
                raise KeyboardInterrupt

    options = FitOptions(iterations=120, levels=2, threads=1, target_size=30_000, checkpoint_every=80)
    with pytest.raises(KeyboardInterrupt):
        fit(load_scene(photographs, DataOptions()), tmp_path / "m.pt", options, Interrupting())
    assert checkpoint_path(tmp_path / "m.pt").exists()
    found = rows(photographs, tmp_path, target_size=30_000, resume=True)
    assert found == [row for row in whole if row["iteration"] > 80]


def test_previews_change_nothing(photographs: Path, tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    seen = rows(photographs, tmp_path / "with", preview=50)
    assert seen == rows(photographs, tmp_path / "without")
    picture = iio.imread(preview_path(tmp_path / "with" / "m.pt"))
    assert picture.shape == (30, 80, 3)
    photograph = load_scene(photographs, DataOptions()).test[0].load()
    assert (picture[:, :40] == photograph).all()
    assert 1 < abs(picture[:, 40:].astype(int) - photograph).mean() < 80
    assert not preview_path(tmp_path / "without" / "m.pt").exists()


def test_the_distance_from_the_target_is_said(photographs: Path, tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Quiet):
        def message(self, text: str) -> None:
            said.append(text)

    options = FitOptions(iterations=12, levels=2, threads=1, target_size=10_000)
    result = pipeline.fit(photographs, tmp_path / "m.pt", DataOptions(), options, Listening())
    size = len(pipeline.compress(pipeline.load_source(tmp_path / "m.pt")).data)
    assert result.stream_bytes == size
    assert said[-1].startswith(f"warning: the stream takes {size:,} bytes, +")
    assert "of the target of 10,000" in said[-1]
