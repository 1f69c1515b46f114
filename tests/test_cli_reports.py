"""--json, -q, -v and inputs that must not be overwritten: the same in every command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import synthetic
from cli_tools import Cli
from rendering_scenes import random_scene

from gspc import pipeline
from gspc.cli.command import with_report_names
from gspc.codec import encode, truncate_levels
from gspc.rendering import write_scene

STREAM = encode(synthetic.tiny(60))
SCENE = write_scene(random_scene(cameras=2))


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.pcgs").write_bytes(STREAM)
    Path("s.scene").write_bytes(SCENE)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("--json", "--json=-"),
        ("--json -", "--json=-"),
        ("--json a.json s.pcgs", "--json=a.json s.pcgs"),
        ("--json s.pcgs", "--json=- s.pcgs"),
        ("--json=a.txt --json -o x", "--json=a.txt --json=- -o x"),
        ("-- --json", "-- --json"),
    ],
)
def test_where_a_report_goes(given: str, read: str) -> None:
    assert with_report_names(given.split()) == read.split()


COMMANDS = [
    ["compress", "s.pcgs", "-o", "a.pcgs"],
    ["decompress", "s.pcgs", "-o", "a.scene"],
    ["inspect-bitstream", "s.pcgs"],
    ["inspect-bitstream", "s.scene"],
    ["export", "s.scene", "-o", "a.ply", "--no-check"],
    ["render", "s.scene", "--view", "0", "-o", "a.png"],
]


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: " ".join(args[:2]))
def test_a_report_on_stdout_or_in_a_file(cli: Cli, args: list[str]) -> None:
    ran = cli(*args, "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report.get("input", report.get("source")) == args[1]
    ran = cli(*args, "--json", "r.json", "-f")
    assert ran.code == 0, ran.err
    assert json.loads(Path("r.json").read_text()) == report
    ran = cli(*args, "-f", "--json", "r.json")
    assert ran.code == 0
    Path("kept.json").write_text("mine")
    assert cli(*args, "--json=kept.json").code == 6
    assert Path("kept.json").read_text() == "mine"


def test_values_are_numbers(cli: Cli) -> None:
    header = json.loads(cli("inspect-bitstream", "s.pcgs", "--json").out)["header"]
    assert header["anchors"] == 60
    assert header["slices"] == 1
    assert header["format"] == [1, 0]
    assert isinstance(header["voxel_size"], float)
    assert all(isinstance(value, float) for value in header["steps"].values())
    report = json.loads(cli("compress", "s.pcgs", "-o", "a.pcgs", "--json").out)
    assert report["bytes"] == report["bytes_up_to_level"][-1] == len(STREAM)


def test_fit_reports_its_result(cli: Cli) -> None:
    class Result:
        path, iterations, anchors, psnr, seconds = Path("m.pt"), 10, 1234, 20.5, 3.0
        held_out, stream_bytes, paused = 19.5, 4321, False

    def fit(*args: Any) -> Result:
        Path("m.pt").write_bytes(b"12345")
        return Result()

    cli.monkeypatch.setattr(pipeline, "fit", fit)
    ran = cli("fit", "photos", "-o", "m.pt", "--levels", "2", "--json")
    assert (ran.code, ran.err) == (0, "")
    report = json.loads(ran.out)
    assert (report["anchors"], report["training_psnr"], report["bytes"]) == (1234, 20.5, 5)
    assert (report["held_out_psnr"], report["stream_bytes"], report["target_size"]) == (19.5, 4321, None)
    assert report["levels"] == len(report["rate_weights"]) == 2
    assert report["paused"] is False
    ran = cli("fit", "photos", "-o", "m.pt", "-f", "--json", "r.json")
    assert ran.out == b""
    assert ran.err.startswith("gspc: m.pt: 1,234 anchors")


def test_a_report_that_cannot_be_written_does_not_lose_the_table(cli: Cli) -> None:
    from test_cli_eval import evaluation

    def evaluate(*args: Any, **options: Any) -> Any:
        Path("gone").rmdir()  # the disk is fine until the work is done
        return evaluation()

    Path("gone").mkdir()
    cli.monkeypatch.setattr(pipeline, "evaluate", evaluate)
    ran = cli("eval", "s.pcgs", "--data", "d", "--json", "gone/r.json")
    assert ran.code == 6
    assert b"PSNR dB" in ran.out
    assert ran.lines[-1].startswith("gspc: error: gone/r.json: ")


def test_quiet_and_verbose(cli: Cli) -> None:
    cut = STREAM[:-1]
    plain = cli("compress", "-o", "a.pcgs", stdin=cut).lines
    assert [line.split()[1] for line in plain] == ["warning:", "a.pcgs:"]
    for args in (["-q", "compress", "-o", "b.pcgs"], ["compress", "-o", "c.pcgs", "--quiet"]):
        assert cli(*args, stdin=cut).lines == plain[:1]
    for args in (["-v", "compress", "-o", "d.pcgs"], ["compress", "-o", "e.pcgs", "--verbose"]):
        lines = cli(*args, stdin=cut).lines
        assert lines[0] == f"gspc: stdin: stream, {len(cut):,} bytes"
        assert lines[1] == plain[0]
    ran = cli("compress", "-q", "-v", stdin=cut)
    assert (ran.code, ran.lines) == (2, ["gspc: error: -q asks for less and -v for more; give one"])
    assert cli("-q", "decompress", "nosuch").lines == ["gspc: error: nosuch: no such file; check the path"]


def test_verbose_says_the_steps(cli: Cli) -> None:
    lines = cli("render", "s.scene", "--size", "20", "-v", "-o", "out").lines
    assert "gspc: drew 2 of 2 pictures" in lines
    assert cli("render", "s.scene", "--size", "20", "-o", "out", "-f", terminals=["stderr"]).code == 0


@pytest.mark.parametrize(
    "args",
    [
        ["compress", "s.pcgs", "-o", "s.pcgs"],
        ["compress", "s.pcgs", "-o", "link"],
        ["decompress", "s.pcgs", "-o", "hard"],
        ["inspect-bitstream", "s.pcgs", "--json=s.pcgs"],
        ["inspect-bitstream", "--map", "s.png", "s.png"],
        ["render", "s.png", "-o", "s.png"],
        ["export", "s.ply", "-o", "s.ply"],
        ["eval", "s.pcgs", "--data", "d", "--csv", "s.pcgs"],
        ["eval", "--compare", "x=a.json+s.pcgs", "b.json", "--json=s.pcgs"],
    ],
)
def test_no_output_replaces_its_input(cli: Cli, args: list[str]) -> None:
    Path("link").symlink_to("s.pcgs")
    Path("hard").hardlink_to("s.pcgs")
    for name in ("s.png", "s.ply"):
        Path(name).write_bytes(STREAM)
    ran = cli(*args, "-f")
    assert (ran.code, ran.out) == (6, b"")
    assert ran.err.endswith(": is the input; name another output\n")
    assert Path("s.pcgs").read_bytes() == STREAM


def test_fit_keeps_its_photographs(cli: Cli) -> None:
    Path("photos/images").mkdir(parents=True)
    Path("photos/images/a.png").write_bytes(b"photograph")
    Path("photos/transforms.json").write_bytes(b"{}")
    for args in (["-o", "photos/images/a.png"], ["-o", "m.pt", "--log", "photos/transforms.json"]):
        ran = cli("fit", "photos", *args, "-f")
        assert (ran.code, ran.out) == (6, b"")
        assert "belongs to the input; name another output" in ran.err
    refused = {("-o", "-"): "-o -: checkpoints lie beside", ("-o", "m", "--log", "-"): "--log -: a resumed"}
    for option, problem in refused.items():
        ran = cli("fit", "photos", *option)
        assert ran.code == 2
        assert problem in ran.err
    assert not Path("-").exists()


@pytest.mark.parametrize("name", ["nothing", "text", "photograph", "checkpoint"])
def test_a_wrong_kind_of_file_is_3_in_every_command(cli: Cli, name: str) -> None:
    content = {
        "nothing": b"",
        "text": b"some words that mean nothing to anybody here",
        "photograph": b"\x89PNG\r\n\x1a\n" + bytes(40),
        "checkpoint": b"PK\x03\x04" + bytes(26) + b"m/data.pkl}(X\x06\0\0\0formatX\x0f\0\0\0gspc-checkpoint",
    }[name]
    Path("x").write_bytes(content)
    said = set()
    for args in (
        ["compress"],
        ["decompress"],
        ["render"],
        ["export", "--to", "ply"],
        ["inspect-bitstream"],
        ["eval", "--data", "d"],
    ):
        ran = cli(*args, "x")
        assert (ran.code, ran.out) == (3, b""), args
        said.add(ran.err)
    assert len(said) == 1
    assert name != "checkpoint" or "is a checkpoint of a fit that is not done" in said.pop()


def test_damaged_streams_are_4_in_every_command(cli: Cli) -> None:
    for content in (STREAM[:5], b"\x89PCGX" + STREAM[5:], STREAM[:300]):
        for args in (["compress"], ["decompress"], ["render"], ["inspect-bitstream"]):
            assert cli(*args, stdin=content).code == 4, args


def test_a_level_that_is_not_there_is_named_as_asked_for(cli: Cli) -> None:
    for args in (["decompress", "s.pcgs"], ["eval", "s.pcgs", "--data", "."]):
        ran = cli(*args, "--upto", "9")
        assert "level 9 was asked for, the stream has 3" in ran.err


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_max_size_keeps_the_levels_that_fit(cli: Cli, levels: int) -> None:
    size = len(truncate_levels(STREAM, levels))
    for most in (size, size + 1):
        ran = cli("compress", "s.pcgs", "--max-size", most)
        assert ran.out == truncate_levels(STREAM, levels)
        assert f"gspc: stdout: {levels} of 3 levels, {size:,} bytes" in ran.err
    ran = cli("compress", "s.pcgs", "--max-size", size - 1, "-o", "a.pcgs")
    if levels == 1:
        assert ran.code == 2
        problem = f"its level 1 takes {size:,} bytes, more than --max-size allows ({size - 1:,}); "
        assert ran.err.startswith(f"gspc: error: s.pcgs: {problem}")
        assert not Path("a.pcgs").exists()
    else:
        assert Path("a.pcgs").read_bytes() == truncate_levels(STREAM, levels - 1)


def test_max_size_with_levels(cli: Cli) -> None:
    assert cli("compress", "s.pcgs", "--levels", "1", "--max-size", "1MB").out == truncate_levels(STREAM, 1)
    assert cli("compress", "s.pcgs", "--max-size", "-3").code == 2
