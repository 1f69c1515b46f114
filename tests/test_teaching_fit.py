"""Splats as an input of fit and eval: formats, options, refusals, and a whole way to a stream and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import Cli
from data_scenes import write_scene
from splat_scenes import random_splats
from teaching_scenes import ball, front
from test_splats_hostile import ksplat
from test_train_fit import Quiet

from gspc import pipeline
from gspc.config import DataOptions, FitOptions
from gspc.data.frame import canonical
from gspc.model.storage import load_model
from gspc.pipeline.teaching import is_teacher, picture_size, teach
from gspc.splats import WRITABLE, read_splats, write_splats
from gspc.train import fit
from gspc.train.settings import run_settings

QUICK = ["-n", "40", "--levels", "2", "--threads", "1", "-r", "48", "--checkpoint-every", "0"]


def written(path: Path, kind: str = "ply") -> Path:
    path.write_bytes(write_splats(ball(1500), kind))
    return path


def scattered_ksplat(path: Path) -> Path:
    """The one format that is only read, with its Gaussians apart."""
    data = bytearray(ksplat(300))
    rows = np.frombuffer(data, np.float32, count=300 * 11, offset=4096 + 1024).reshape(300, 11)
    rows = rows.copy()
    rows[:, :3] = np.random.default_rng(0).normal(0, 1, (300, 3))
    data[4096 + 1024 :] = rows.tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", [*WRITABLE, "ksplat"])
def test_every_format_teaches(kind: str, tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / f"scene.{kind}"
    path = scattered_ksplat(path) if kind == "ksplat" else written(path, kind)
    ran = cli("fit", path, "--dry-run", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert (report["kind"], report["teacher"]["format"]) == ("splat", kind)
    assert report["teacher"]["gaussians"] == (300 if kind == "ksplat" else 1500)
    assert report["teacher"]["seen_by_three"] > 0.9
    assert len(report["test"]) == -(-len(report["train"]) // 8)
    assert not list(tmp_path.glob("*.pt"))


def test_an_unbundled_sog_teaches(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "sog"
    folder.mkdir()
    pipeline.write_unbundled(write_splats(ball(1500), "sog"), folder, force=False)
    assert is_teacher(folder)
    assert "1,500 Gaussians of a .sog" in cli("fit", folder, "--dry-run").out.decode()
    (tmp_path / "meta.json").write_text('{"name": "photographs have such files, too"}')
    assert not is_teacher(tmp_path)


def test_the_report_in_words(tmp_path: Path, cli: Cli) -> None:
    ran = cli("fit", written(tmp_path / "a.spz", "spz"), "--dry-run")
    text = ran.out.decode()
    assert "teacher      1,500 Gaussians of a .spz, harmonics of degree 0" in text
    assert "placing      object" in text and "of PINHOLE 320x240" in text
    assert "three or more" in text and "photographs " not in text


def test_pictures_have_as_many_pixels_as_there_are_gaussians() -> None:
    assert picture_size(100, None) == (320, 240)
    assert picture_size(150_000, None) == (432, 324)
    assert picture_size(10**8, None) == (1280, 960)
    assert picture_size(150_000, 2) == (216, 162)
    assert picture_size(150_000, 600) == (600, 450)


def test_given_cameras(tmp_path: Path, cli: Cli) -> None:
    write_scene(tmp_path / "room")
    path = written(tmp_path / "a.ply")
    ran = cli("fit", path, "--dry-run", "--json", "--cameras", tmp_path / "room", "-r", "2")
    report = json.loads(ran.out)
    assert report["teacher"]["cameras"] == "given" and report["model"] == str(tmp_path / "room")
    assert set(report["train"]) | set(report["test"]) <= {"part 1/001.png", *report["train"], *report["test"]}
    assert {camera["used_width"] for camera in report["cameras"]} == {16}
    photographs = cli("fit", tmp_path / "room", "--dry-run", "--cameras", tmp_path / "room")
    assert photographs.code == 2 and "leave out --cameras" in photographs.err
    none = cli("fit", path, "--dry-run", "--cameras", tmp_path)
    assert none.code == 3


def test_cameras_that_see_nothing_of_the_splat(tmp_path: Path, cli: Cli) -> None:
    write_scene(tmp_path / "room")
    far = replace(ball(500), means=ball(500).means + np.float32(1e6))
    (tmp_path / "far.ply").write_bytes(write_splats(far, "ply"))
    ran = cli("fit", tmp_path / "far.ply", "--dry-run", "--cameras", tmp_path / "room")
    assert ran.code == 3 and len(ran.lines) == 1 and "0 of its cameras see anything of" in ran.err


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("one.ply", write_splats(ball(1), "ply"), "holds 1 Gaussian; a scene to fit has at least 10"),
        ("cut.ply", write_splats(ball(50), "ply")[:-50], "cut.ply: "),
        ("nan.ply", b"", "positions of 1 of 50 Gaussians are not finite numbers"),
        ("none.ply", b"", "holds no Gaussians"),
    ],
)
def test_splats_that_cannot_teach(name: str, content: bytes, problem: str, tmp_path: Path, cli: Cli) -> None:
    if name == "nan.ply":
        content = write_splats(ball(50), "ply")
        start = content.index(b"end_header\n") + len(b"end_header\n")
        content = content[:start] + np.float32(np.nan).tobytes() + content[start + 4 :]
    if name == "none.ply":
        head = write_splats(ball(50), "ply")
        head = head[: head.index(b"end_header\n") + len(b"end_header\n")]
        content = head.replace(b"element vertex 50", b"element vertex 0")
    (tmp_path / name).write_bytes(content)
    ran = cli("fit", tmp_path / name, "-o", tmp_path / "m.pt")
    assert (ran.code, len(ran.lines)) == (3, 1), ran.err
    assert problem in ran.err and name in ran.err


def test_options_about_photographs_are_refused(tmp_path: Path, cli: Cli) -> None:
    path = written(tmp_path / "a.ply")
    ran = cli("fit", path, "--dry-run", "--images", tmp_path)
    assert ran.code == 2 and "--images means nothing" in ran.err
    write_scene(tmp_path / "room")
    ran = cli("fit", path, "--dry-run", "--hold", "1", "--cameras", tmp_path / "room")
    assert ran.code == 3 and "leaves no view to train on" in ran.err


def test_from_a_splat_to_a_stream_and_back(tmp_path: Path, cli: Cli) -> None:
    """A splat in axes of its own, far from the origin and small, becomes a stream that is where it was."""
    splats = read_splats(write_splats(ball(1500), "spz"))  # RUB
    splats = replace(splats, means=(splats.means * 0.5 + np.array([3, 1, -2])).astype(np.float32))
    splats = replace(splats, log_scales=splats.log_scales + np.float32(np.log(0.5)))
    path = tmp_path / "scene.spz"
    path.write_bytes(write_splats(splats, "spz"))
    model, stream = tmp_path / "m.pt", tmp_path / "m.pcgs"
    options = ["-n", "150", *QUICK[2:], "--set", "features=4", "--set", "pool=8"]
    assert cli("fit", path, "-o", model, *options).code == 0
    assert cli("compress", model, "-o", stream).code == 0
    ran = cli("eval", stream, "--data", path, "--json", "-", "--levels", "last")
    assert ran.code == 0, ran.err
    scores = json.loads(ran.out)
    assert scores["views"] == "test" and "trained on" not in ran.err
    assert len(scores["levels"][0]["views"]) == 7 and scores["levels"][0]["psnr"] > 15
    assert scores["levels"][0]["views"][0]["size"] == [48, 36]
    assert cli("export", stream, "-o", tmp_path / "back.spz").code == 0
    back = read_splats((tmp_path / "back.spz").read_bytes())
    assert back.frame == splats.frame == "RUB"
    solid = back.take(back.opacities > 0.3)
    np.testing.assert_allclose(np.median(solid.means, axis=0), np.median(splats.means, axis=0), atol=0.3)
    assert np.quantile(np.linalg.norm(solid.means - [3, 1, -2], axis=1), 0.9) < 1.2


def test_held_out_cameras_are_never_trained_on(tmp_path: Path) -> None:
    scene = teach(written(tmp_path / "a.ply"), DataOptions(resolution=48)).scene
    framed = canonical(scene).scene
    held = {view.camera.world_to_camera.tobytes() for view in framed.test}
    seen = {view.at(i).camera.world_to_camera.tobytes() for view in framed.train for i in range(5)}
    assert len(held) == len(scene.test) and not held & seen
    assert len(seen) == 5 * len(framed.train)


def test_fresh_views_pass_through_the_canonical_frame(tmp_path: Path) -> None:
    """A fresh view's camera in the canonical frame sees what its picture shows: the same as in the user's."""
    scene = teach(written(tmp_path / "a.ply"), DataOptions(resolution=48)).scene
    framed = canonical(scene)
    ours, theirs = framed.scene.train[3].at(11), scene.train[3].at(11)
    np.testing.assert_array_equal(ours.load(), theirs.load())
    back = framed.frame.camera_to_user(ours.camera)
    np.testing.assert_allclose(back.world_to_camera, theirs.camera.world_to_camera, atol=1e-4)
    assert not np.array_equal(ours.load(), framed.scene.train[3].at(12).load())


def test_a_stopped_fit_goes_on_with_the_same_cameras(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(write_splats(front(600), "ply"))
    scene = teach(path, DataOptions(resolution=32), seed=5).scene

    class Enough(Exception):
        pass

    class Stops(Quiet):
        def progress(self, progress) -> None:
            if progress.iteration == 20:
                raise Enough

    def options(log: str, **changes) -> FitOptions:
        values = {"iterations": 40, "levels": 2, "threads": 1, "seed": 5, "checkpoint_every": 10}
        return FitOptions(**{**values, "log": tmp_path / log, **changes})

    fit(scene, tmp_path / "whole.pt", options("whole"), Quiet())
    with pytest.raises(Enough):
        fit(scene, tmp_path / "cut.pt", options("cut"), Stops())
    fit(scene, tmp_path / "cut.pt", options("cut", resume=True), Quiet())
    assert (tmp_path / "cut").read_text() == (tmp_path / "whole").read_text()
    one, other = (load_model(tmp_path / name).model for name in ("whole.pt", "cut.pt"))
    assert torch.equal(one.features, other.features)


def test_a_changed_splat_is_not_resumed(tmp_path: Path) -> None:
    path = written(tmp_path / "a.ply")
    before = run_settings(teach(path, DataOptions(resolution=32)).scene, FitOptions(), 40)
    path.write_bytes(write_splats(random_splats(1500, degree=1), "ply"))
    after = run_settings(teach(path, DataOptions(resolution=32)).scene, FitOptions(), 40)
    assert before != after
