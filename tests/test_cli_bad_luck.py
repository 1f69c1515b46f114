"""What goes wrong outside of gspc is one line that names the file once, with what to do, and an exit code."""

from __future__ import annotations

import builtins
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import synthetic
from cli_tools import Cli, environment
from rendering_scenes import random_scene

from gspc.cli import start
from gspc.codec import encode
from gspc.rendering import write_scene

STREAM = encode(synthetic.tiny(20))


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stream, a decoded scene, a loop of links and files of other kinds."""
    monkeypatch.chdir(tmp_path)
    Path("good.pcgs").write_bytes(STREAM)
    Path("good.scene").write_bytes(write_scene(random_scene()))
    Path("loop").symlink_to("loop")
    Path("text.txt").write_text("no scene at all")
    Path("empty").mkdir()
    Path("-d.pcgs").write_bytes(STREAM)
    return tmp_path


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["eval", "--compare", "loop", "good.json"], 3),
        (["join", "loop", "good.pcgs", "-o", "x.pcgsx"], 3),
        (["tile", "empty", "-o", "loop"], 6),
        (["tile", "loop", "-o", "tiles"], 3),
        (["view", "good.pcgs", "--export", "loop", "-f"], 6),
        (["compress", "good.pcgs", "-o", "loop", "-f"], 6),
        (["decompress", "loop"], 3),
    ],
)
def test_a_loop_of_links(cli: Cli, args: list[str], code: int) -> None:
    ran = cli(*args)
    assert ran.code == code and len(ran.lines) == 1, ran.err
    assert ran.err.startswith("gspc: error: loop")


@pytest.mark.parametrize("option", ["--cameras", "--path"])
def test_cameras_that_are_none_are_named_once_and_alone(cli: Cli, option: str) -> None:
    for name, problem in (("text.txt", "is no scene; name"), ("empty", "neither a COLMAP model")):
        ran = cli("render", "good.scene", option, name, "-o", "out")
        assert ran.code == 3
        assert ran.err.startswith(f"gspc: error: {name}: {problem}"), ran.err
        assert not Path("out").exists()


def test_a_name_with_a_leading_dash(cli: Cli) -> None:
    ran = cli("inspect-bitstream", "-d.pcgs")
    assert ran.code == 2 and ran.err.endswith("or name the file as ./-d.pcgs\n")
    assert cli("inspect-bitstream", "./-d.pcgs").code == 0
    assert cli("inspect-bitstream", "--", "-d.pcgs").code == 0


@pytest.mark.parametrize(
    ("damaged", "advice"),
    [
        (
            STREAM[:-40] + bytes([STREAM[-40] ^ 1]) + STREAM[-39:],
            "see what gspc decompress --salvage restores",
        ),
        (STREAM[:10], "get the whole file"),
    ],
)
@pytest.mark.parametrize("command", ["decompress", "render", "compress"])
def test_damage_comes_with_advice(cli: Cli, command: str, damaged: bytes, advice: str) -> None:
    Path("bad.pcgs").write_bytes(damaged)
    ran = cli(command, "bad.pcgs", "-o", "out")
    assert ran.code == 4 and len(ran.lines) == 1, ran.err
    assert ran.err.startswith("gspc: error: bad.pcgs: ") and ran.err.endswith(f"{advice}\n")
    assert not Path("out").exists()


def test_a_level_that_is_not_there_is_no_damage(cli: Cli) -> None:
    ran = cli("decompress", "good.pcgs", "--upto", "8", "-o", "out")
    assert ran.code == 4 and ran.err.endswith("; ask for one of those\n"), ran.err


@pytest.mark.parametrize(
    "args",
    [
        ["render", "good.scene", "--max-work", "nan"],
        ["render", "good.scene", "--path", "orbit", "--fps", "nan"],
        ["fit", "empty", "-o", "x.pt", "--voxel-size", "nan"],
        ["render", "good.scene", "-o", ""],
        ["render", "good.scene", "--output="],
        ["fit", "", "-o", "x.pt"],
        ["fit", "empty", "-o", ""],
        ["decompress", ""],
    ],
)
def test_nan_and_empty_arguments(cli: Cli, files: Path, args: list[str]) -> None:
    before = sorted(files.iterdir())
    ran = cli(*args)
    assert ran.code == 2 and len(ran.lines) == 1, ran.err
    assert "nan: give a number" in ran.err or "is empty; give it a value" in ran.err
    assert sorted(files.iterdir()) == before


def test_a_rate_of_pictures_that_are_no_film(cli: Cli) -> None:
    ran = cli("render", "good.scene", "--fps", "12", "-o", "out.png")
    assert ran.code == 2 and ran.err.startswith("gspc: error: --fps 12 is of films, and -o out.png is none")
    assert not Path("out.png").exists()


@pytest.mark.parametrize("name", ["text.txt", "good.pcgs", "photos.zip", "cut.pt"])
def test_tiles_of_a_coarse_model_that_is_none(cli: Cli, name: str) -> None:
    with zipfile.ZipFile("photos.zip", "w") as archive:
        archive.writestr("a.png", b"")
    Path("cut.pt").write_bytes(Path("photos.zip").read_bytes()[:20])
    ran = cli("tile", "empty", "-o", "tiles", "--coarse", name)
    assert ran.code == 3
    assert ran.err.startswith(f"gspc: error: {name}: is no model, or damaged; name a model"), ran.err


def test_streams_of_what_is_no_index_are_not_restored(cli: Cli) -> None:
    ran = cli("join", "good.pcgs", "--restore", "out")
    assert ran.code == 3 and "name what gspc join wrote" in ran.err


@pytest.mark.parametrize("args", [["fit", "empty", "--dry-run"], ["tile", "empty", "-o", "tiles"]])
def test_what_may_not_be_read_is_unusable_input(cli: Cli, args: list[str]) -> None:
    """Not wrong arguments. Whoever may read all, as root may, is stopped by what reading finds."""
    Path("empty").chmod(0)
    try:
        ran = cli(*args)
    finally:
        Path("empty").chmod(0o700)
    assert ran.code == 3 and len(ran.lines) == 1, ran.err
    assert ran.err.startswith("gspc: error: empty")


def test_a_file_of_no_kind_of_ours(cli: Cli) -> None:
    for command in ("compress", "decompress", "render", "inspect-bitstream"):
        ran = cli(command, "text.txt")
        assert ran.code == 3
        assert ran.err.endswith("; name a file that gspc compress, decompress or fit wrote\n")


def test_ctrl_c_before_a_command_has_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = builtins.__import__

    def interrupted(name: str, *args: Any, **options: Any) -> Any:
        if name == "gspc.cli.app":
            raise KeyboardInterrupt
        return load(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", interrupted)
    assert start.main() == 130
    assert capsys.readouterr().err == "gspc: interrupted\n"


def test_starting_loads_nothing_heavy() -> None:
    program = "import sys, gspc.cli.start; sys.exit('typer' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], env=environment(), check=False).returncode == 0
