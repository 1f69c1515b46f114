"""`gspc export`, and splats of other tools in the other commands."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli, Ran
from rendering_scenes import random_scene
from splat_scenes import differences, matched, random_splats

from gspc.rendering import write_scene
from gspc.splats import WRITABLE, read_splats, to_frame, write_splats

SCENE = random_scene(anchors=60, cameras=6)


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("scene").write_bytes(write_scene(SCENE))
    Path("a.ply").write_bytes(write_splats(random_splats(), "ply"))


def one_line(ran: Ran, code: int) -> str:
    assert ran.code == code
    assert ran.out == b""
    (line,) = ran.lines
    assert line.startswith("gspc: error: ")
    return line.removeprefix("gspc: error: ")


@pytest.mark.parametrize("kind", WRITABLE)
def test_a_scene_in_every_format(cli: Cli, kind: str) -> None:
    ran = cli("export", "scene", "-o", f"out.{kind}", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    data = Path(f"out.{kind}").read_bytes()
    found = read_splats(data)
    assert report["format"] == kind == found.metadata["format"]
    assert report["bytes"] == len(data)
    assert report["gaussians"] == found.count
    assert report["degree"] == found.degree == (0 if kind == "splat" else 3)
    assert report["frame"] == found.frame
    assert (report["level"], report["levels"]) == (2, 3)
    assert report["views"] == 6
    assert report["worst_psnr"] <= report["psnr"]
    assert report["psnr"] > (15 if kind == "splat" else 22)
    assert report["warnings"] == []


def test_to_a_pipe_and_from_one(cli: Cli) -> None:
    ran = cli("export", "--to", "ply", "--sh", "1", "--no-check", stdin=write_scene(SCENE))
    assert ran.code == 0
    assert read_splats(ran.out).degree == 1
    assert ran.err.startswith("gspc: stdout: ")
    assert "dB" not in ran.err
    ran = cli("export", "-", "--to", ".SPZ", "--spz-version", "4", "--json", stdin=ran.out)
    assert json.loads(ran.err)["output"] == "stdout"
    assert ran.out[4] == 4


def test_the_line_without_json(cli: Cli) -> None:
    ran = cli("export", "scene", "-o", "a.glb")
    assert ran.out == b""
    assert "Gaussians, harmonics of degree 3; axes LUF; " in ran.err
    assert "dB from the scene over 6 views, worst " in ran.err


def test_refining_gets_closer(cli: Cli) -> None:
    plain = json.loads(cli("export", "scene", "-o", "a1.ply", "--json").out)
    refined = json.loads(cli("export", "scene", "-o", "a2.ply", "--json", "--refine", "60").out)
    assert refined["psnr"] > plain["psnr"] + 1


def test_frames(cli: Cli) -> None:
    cli("export", "a.ply", "-o", "b.spz", "--frame", "RDF")
    splats = random_splats()
    found = matched(read_splats(Path("b.spz").read_bytes(), frame="RDF"), splats)
    assert differences(found, splats)["means"] < 1e-3
    ran = cli("export", "b.spz", "--source-frame", "RDF", "-o", "c.ply", "--sh", "2")
    assert ran.code == 0
    found = read_splats(Path("c.ply").read_bytes())
    assert found.degree == 2
    assert differences(matched(found, splats), splats)["means"] < 1e-3


def test_a_folder_of_a_sog(cli: Cli) -> None:
    Path("web").mkdir()
    assert cli("export", "a.ply", "-o", "web/meta.json").code == 0
    assert "meta.json" in {path.name for path in Path("web").iterdir()}
    assert cli("export", "web", "-o", "back.ply").code == 0
    assert read_splats(Path("back.ply").read_bytes()).count == 600
    assert "exists already" in one_line(cli("export", "a.ply", "-o", "web/meta.json"), 6)


def test_an_interrupted_export_leaves_no_file(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gspc.pipeline.exporting._compare", stop)
    assert cli("export", "scene", "-o", "x.ply").code == 130
    assert sorted(path.name for path in Path().iterdir()) == ["a.ply", "scene"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["scene"], 2, "stdout has no suffix; say the format with --to"),
        (["scene", "-o", "a.obj"], 2, "-o a.obj: its suffix names no format"),
        (["scene", "-o", "x.ply", "--to", "ksplat"], 2, "--to ksplat: no such format"),
        (["scene", "-o", "x.ply", "--frame", "RRR"], 2, "frame 'RRR'"),
        (["scene", "-o", "x.ply", "--source-frame", "RDF"], 2, "--source-frame is about splats"),
        (["scene", "-o", "x.ply", "--upto", "3"], 2, "scene: is already decoded to level 2"),
        (["a.ply", "-o", "x.spz", "--upto", "1"], 2, "a.ply: is a splat of another tool and has no levels"),
        (["a.ply", "-o", "x.spz", "--refine", "5"], 2, "a.ply: is a splat already"),
        (["scene", "-o", "a.ply"], 6, "a.ply: exists already"),
        (["none.ply", "-o", "x.ply"], 3, "none.ply: no such file"),
    ],
)
def test_what_cannot_be_exported(cli: Cli, args: list[str], code: int, message: str) -> None:
    assert message in one_line(cli("export", *args), code)
    assert not Path("x.ply").exists()


def test_a_conversion_that_loses_harmonics_says_so(cli: Cli) -> None:
    ran = cli("export", "a.ply", "-o", "b.splat")
    assert (
        ran.lines[0] == "gspc: warning: a.ply: a .splat holds no harmonics; those of degree 3 were left out"
    )


def test_rendering_a_splat(cli: Cli) -> None:
    ran = cli("render", "a.ply", "-o", "pictures", "--size", "80")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 8
    ran = cli("render", "a.ply", "--view", "3", "-o", "one.png", "--size", "80x60")
    assert ran.code == 0
    import imageio.v3 as imageio

    one = imageio.imread("one.png")
    assert one.shape == (60, 80, 3)
    assert one.std() > 10
    np.testing.assert_array_equal(one, imageio.imread("pictures/orbit_3.png"))
    Path("a.glb").write_bytes(write_splats(random_splats(), "glb"))
    cli("render", "a.glb", "--view", "3", "-o", "two.png", "--size", "80x60")
    assert np.abs(imageio.imread("two.png").astype(int) - one).max() <= 3


def test_a_splat_has_no_levels_to_render(cli: Cli) -> None:
    assert "for which --upto means nothing" in one_line(cli("render", "a.ply", "--upto", "1"), 2)
    assert "leave out --source-frame" in one_line(cli("render", "scene", "--source-frame", "RUB"), 2)


def test_inspecting_splats(cli: Cli) -> None:
    for kind in WRITABLE:
        Path(f"b.{kind}").write_bytes(write_splats(random_splats(), kind))
        ran = cli("inspect-bitstream", f"b.{kind}", "--json")
        assert ran.code == 0
        report = json.loads(ran.out)
        assert report["kind"] == "splats"
        assert report["header"]["format"] == kind
        assert report["header"]["gaussians"] == 600
    ran = cli("inspect-bitstream", "a.ply")
    assert b"a.ply: splat of another tool" in ran.out
    assert "--levels means nothing" in one_line(cli("inspect-bitstream", "a.ply", "--levels"), 2)


@pytest.mark.parametrize("command", [["compress"], ["decompress"], ["eval", "--data", "."]])
def test_other_commands_name_a_splat(cli: Cli, command: list[str]) -> None:
    name, *rest = command
    for kind in WRITABLE:
        Path(f"b.{kind}").write_bytes(write_splats(random_splats(), kind))
        line = one_line(cli(name, f"b.{kind}", *rest), 3)
        assert line.startswith(f"b.{kind}: is a splat of another tool")


def test_damaged_splats_are_one_line_in_every_command(cli: Cli) -> None:
    Path("cut.ply").write_bytes(Path("a.ply").read_bytes()[:-10])
    for args in (["export", "-o", "x.spz"], ["render"], ["inspect-bitstream"]):
        assert one_line(cli(args[0], "cut.ply", *args[1:]), 3).startswith("cut.ply: is not a whole PLY file")


def test_a_sog_is_no_model_and_a_model_no_sog(cli: Cli) -> None:
    """Both are zip files."""
    Path("a.sog").write_bytes(write_splats(random_splats(), "sog"))
    assert cli("inspect-bitstream", "a.sog").code == 0
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    Path("x.pt").write_bytes(other.getvalue())
    assert "splat" not in one_line(cli("inspect-bitstream", "x.pt"), 3)


def test_baked_gaussians_turn_with_their_frame(cli: Cli) -> None:
    cli("export", "scene", "-o", "a1.ply", "--no-check")
    cli("export", "scene", "-o", "b1.ply", "--no-check", "--frame", "BRU")
    one, other = (read_splats(Path(name).read_bytes()) for name in ("a1.ply", "b1.ply"))
    turned = to_frame(read_splats(Path("b1.ply").read_bytes(), frame="BRU"), "RDF")
    assert max(differences(turned, one).values()) < 1e-4
    assert differences(other, one)["means"] > 0.1
