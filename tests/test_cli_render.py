"""render: paths, films, kinds of pictures, sizes, what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli
from rendering_scenes import random_scene
from splat_scenes import random_splats

from gspc import pipeline
from gspc.rendering import write_scene
from gspc.rendering.video import even
from gspc.splats import write_splats

SCENE = random_scene(cameras=3)


@pytest.fixture(autouse=True)
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.scene").write_bytes(write_scene(SCENE))


def film(name: str) -> Any:
    import imageio.v3 as iio

    return iio.imread(name, plugin="pyav")


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv", ".mov"])
def test_a_path_as_a_film(cli: Cli, suffix: str) -> None:
    pytest.importorskip("av")
    name = f"turn{suffix}"
    ran = cli("render", "s.scene", "--path", "orbit", "--frames", "6", "--size", "65x49", "-o", name)
    assert (ran.code, ran.out) == (0, f"{name}\n".encode()), ran.err
    frames = film(name)
    assert frames.shape == (6, 48, 64, 3)
    pictures = pipeline.choose_cameras(SCENE, path="orbit", frames=6, size="65x49")
    from gspc.rendering import render_view

    drawn = np.clip(render_view(SCENE, pictures[0]), 0, 1)[:48, :64]
    assert np.abs(frames[0] / 255 - drawn).mean() < 0.03
    assert cli("render", "s.scene", "-o", name).code == 6
    assert sorted(path.name for path in Path().iterdir()) == sorted(["s.scene", name])


def test_a_film_appears_whole_or_not_at_all(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    from gspc import rendering

    class Fails:
        def __init__(self, *args: Any, **options: Any) -> None:
            self.left = 3

        def render(self, camera: Any) -> Any:
            self.left -= 1
            if not self.left:
                raise MemoryError
            return np.zeros((camera.height, camera.width, 3), np.float32)

    monkeypatch.setattr(rendering, "Renderer", Fails)
    ran = cli("render", "s.scene", "--path", "orbit", "-o", "a.mp4")
    assert (ran.code, ran.out) == (5, b"")
    assert [path.name for path in Path().iterdir()] == ["s.scene"]


def test_films_without_pyav(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    ran = cli("render", "s.scene", "-o", "a.mp4")
    assert ran.code == 5
    assert ran.err.startswith("gspc: error: films need PyAV: pip install 'gspc[video]'")


def test_sides_of_films_are_even() -> None:
    (camera,) = pipeline.choose_cameras(SCENE, view="0", size="1x3")
    assert (even(camera).width, even(camera).height) == (2, 2)


def test_a_path_as_numbered_pictures(cli: Cli) -> None:
    ran = cli("render", "s.scene", "--path", "spiral", "--frames", "4", "-o", "turn")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.decode().splitlines() == [f"turn/spiral_0000{number}.png" for number in range(4)]


def test_splats_have_paths(cli: Cli) -> None:
    Path("a.ply").write_bytes(write_splats(random_splats(), "ply"))
    ran = cli("render", "a.ply", "--path", "orbit", "--frames", "2", "--size", "40", "-o", "turn")
    assert (ran.code, len(ran.out.splitlines())) == (0, 2)


def test_jpeg_and_other_suffixes(cli: Cli) -> None:
    assert cli("render", "s.scene", "--view", "0", "-o", "v.jpg").code == 0
    assert Path("v.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    for name in ("v.bmp", "v.gif", "v.WEBP"):
        ran = cli("render", "s.scene", "--view", "0", "-o", name)
        assert (ran.code, ran.err) == (
            2,
            f"gspc: error: -o {name}: pictures are .png or .jpg, films .mp4, .mov, .mkv, .webm\n",
        )


def test_views_count_from_the_end(cli: Cli) -> None:
    assert (
        cli("render", "s.scene", "--view", "-1", "-o", "-").out
        == cli("render", "s.scene", "--view", "2", "-o", "-").out
    )
    assert cli("render", "s.scene", "--view", "-4", "-o", "-").code == 2


def test_the_report(cli: Cli) -> None:
    ran = cli("render", "s.scene", "--size", "20", "-o", "out", "--json")
    assert (ran.code, ran.err) == (0, "")
    report = json.loads(ran.out)
    assert report["files"] == sorted(str(path) for path in Path("out").iterdir())
    assert [view["size"][0] for view in report["views"]] == [20, 20, 20]
    assert (report["input"], report["output"], report["level"]) == ("s.scene", "out", SCENE.level)
    ran = cli("render", "s.scene", "--view", "0", "-o", "-", "--json")
    assert ran.out.startswith(b"\x89PNG")
    assert json.loads(ran.err)["files"] == ["stdout"]
    ran = cli("render", "s.scene", "-o", "out", "-f", "--json", "report.json")
    assert len(ran.out.splitlines()) == 3
    assert json.loads(Path("report.json").read_text()) == report | {
        "views": [
            {"name": view["name"], "size": [camera.width, camera.height]}
            for view, camera in zip(report["views"], SCENE.cameras, strict=True)
        ]
    }


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["--path", "orbit", "--view", "0"], "--view draws one picture and --path many"),
        (["--frames", "3"], "--frames says how long a path is"),
        (["--path", "orbit", "-o", "a.png"], "-o a.png takes one picture and there are 150 views"),
        (["--path", "orbit", "--frames", "0"], "--frames 0: give 1 to"),
    ],
)
def test_options_that_do_not_fit(cli: Cli, args: list[str], problem: str) -> None:
    ran = cli("render", "s.scene", *args)
    assert (ran.code, ran.out) == (2, b"")
    assert problem in ran.err
