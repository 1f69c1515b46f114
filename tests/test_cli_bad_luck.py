"""What goes wrong outside of gspc is one line that names the file once, with what to do, and an exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
import synthetic
from cli_tools import Cli
from rendering_scenes import random_scene

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


def test_a_file_of_no_kind_of_ours(cli: Cli) -> None:
    for command in ("compress", "decompress", "render", "inspect-bitstream"):
        ran = cli(command, "text.txt")
        assert ran.code == 3
        assert ran.err.endswith("; name a file that gspc compress, decompress or fit wrote\n")
