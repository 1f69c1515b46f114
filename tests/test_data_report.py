"""What fit --dry-run says, what fit passes on, and the demo scene's command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli
from data_scenes import write_scene, write_transforms

from gspc import pipeline
from gspc.config import DataOptions
from gspc.data import understand
from gspc.data.report import Notes, listed
from gspc.errors import UsageError


def test_the_report_of_a_scene(tmp_path: Path) -> None:
    write_scene(tmp_path / "room")
    (tmp_path / "room" / "images" / "part 1" / "003.png").unlink()
    loaded = understand(tmp_path / "room", DataOptions(resolution=2))
    report = loaded.report
    assert (report.scene, report.kind) == ("room", "COLMAP")
    assert report.model == str(tmp_path / "room" / "sparse" / "0")
    assert report.photographs == str(tmp_path / "room" / "images")
    assert [(c.model, c.width, c.used_width, c.views, c.undistorted) for c in report.cameras] == [
        ("PINHOLE", 32, 16, 5, False),
        ("SIMPLE_PINHOLE", 32, 16, 4, False),
    ]
    assert set(report.train) | set(report.test) == {view.camera.name for view in loaded.scene.views}
    assert (len(report.train), len(report.test), report.masks, report.points) == (7, 2, 0, 7)
    assert [(item.name, item.why) for item in report.left_out] == [("part 1/003.png", "missing")]
    assert report.notes == loaded.scene.notes
    centers = np.array([view.camera.center for view in loaded.scene.views])
    np.testing.assert_allclose(report.frame.center, centers.mean(0))
    assert report.frame.up[2] > 0.9  # the demo's cameras stand upright in a world with z up


def test_dry_run_in_words_and_as_json(tmp_path: Path, cli: Cli) -> None:
    write_scene(tmp_path / "room")
    ran = cli("fit", tmp_path / "room", "--dry-run", "--resolution", "2")
    text = ran.out.decode()
    assert ran.code == 0
    assert "5 of PINHOLE 32x24, used at 16x12" in text and "8 to train on, 2 held out" in text
    assert "warning: " in ran.err and "only 7 points; starting from random points" in ran.err
    ran = cli("fit", tmp_path / "room", "--dry-run", "--json")
    report = json.loads(ran.out)
    assert (report["kind"], len(report["train"]), len(report["test"])) == ("COLMAP", 8, 2)
    assert report["cameras"][0]["used_width"] == 32 and "warning: " in ran.err
    write_transforms(tmp_path / "blender", "train")
    assert json.loads(cli("fit", tmp_path / "blender", "--dry-run", "--json").out)["kind"] == "transforms"
    assert list((tmp_path / "room").iterdir()) and not list(tmp_path.glob("*.pt*"))


def test_dry_run_fails_as_fit_would(tmp_path: Path, cli: Cli) -> None:
    ran = cli("fit", tmp_path / "none", "--dry-run")
    assert (ran.code, ran.out) == (3, b"") and "no such file or folder" in ran.err
    ran = cli("fit", tmp_path)
    assert ran.code == 2 and "-o is missing" in ran.err


def test_fit_passes_the_options_of_reading(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {}

    class Result:
        path, anchors, psnr, held_out, seconds = Path("m.pt"), 1, 20.0, None, 1.0

    def fit(scene: Path, output: Path, data: DataOptions, *rest: object) -> Any:
        seen["data"] = data
        return Result

    cli.monkeypatch.setattr(pipeline, "fit", fit)
    cli.monkeypatch.setattr(pipeline, "reconstruct", lambda scene, view: seen.update(reconstructed=scene))
    options = "--masks m --field crop --exif apply --cache c --strict --reconstruct"
    assert cli("fit", "photos", "-o", "m.pt", *options.split()).code == 0
    data = seen["data"]
    assert (data.masks, data.field, data.exif, data.cache) == (Path("m"), "crop", "apply", Path("c"))
    assert data.strict and seen["reconstructed"] == Path("photos")
    Path("fit.toml").write_text('field = "crop"\nexif = "ignore"\nstrict = true\nmasks = "m"\n')
    assert cli("fit", "photos", "-o", "m.pt", "--config", "fit.toml").code == 0
    data = seen["data"]
    assert (data.field, data.exif, data.strict, data.masks) == ("crop", "ignore", True, Path("m"))


@pytest.mark.parametrize(("name", "value"), [("field", "half"), ("exif", "maybe")])
def test_options_out_of_range(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"--{name} {value}: give one of"):
        DataOptions(**{name: value})


def test_render_says_what_it_found_among_cameras(tmp_path: Path, cli: Cli) -> None:
    from rendering_scenes import one_gaussian_scene

    from gspc.rendering import write_scene as write_decoded

    path = write_transforms(tmp_path / "cameras")
    content = json.loads(path.read_text())
    content["frames"][0]["transform_matrix"] = None
    path.write_text(json.dumps(content))
    (tmp_path / "scene").write_bytes(write_decoded(one_gaussian_scene()))
    ran = cli("render", tmp_path / "scene", "--cameras", tmp_path / "cameras", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "warning: " in ran.err and "1 frame left out, without a possible pose" in ran.err
    assert len(ran.out.splitlines()) == 3


def test_the_demo_scene_overwrites_nothing_unasked(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "mine" / "images").mkdir(parents=True)
    ran = cli("demo-scene", tmp_path / "mine")
    assert ran.code == 6 and "images: exists already; add -f" in ran.err
    assert not list((tmp_path / "mine" / "images").iterdir())
    made = []
    cli.monkeypatch.setattr(pipeline, "write_demo_scene", lambda path, **_: made.append(path))
    assert cli("demo-scene", tmp_path / "mine", "-f").code == 0
    assert cli("demo-scene", tmp_path / "new").code == 0
    assert made == [tmp_path / "mine", tmp_path / "new"]
    assert b"demo-scene" in cli("--help").out


def test_notes_are_said_once() -> None:
    notes = Notes()
    for _ in range(2):
        notes.say("a")
        notes.warn("a")
    assert [(note.text, note.warning) for note in notes.lines] == [("a", False), ("a", True)]
    assert listed(["a", "b", "c", "d"]) == "a, b, c and 1 more"
