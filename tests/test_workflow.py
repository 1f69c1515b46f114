"""Many scenes by Snakemake, one of whose fits is killed; and the table of their scores."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_tools import Cli, environment

from gspc.data.demo import write_demo_scene
from gspc.workflow import snakefile

SCENES = ("a b", "one", "two")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(monkeypatch)


def snakemake(work: Path) -> list[str]:
    program = shutil.which("snakemake")
    if program is None:
        pytest.skip("snakemake is not on this machine; pip install 'gspc[workflow]'")
    (work / "settings.yaml").write_text(
        f"gspc: {sys.executable} -m gspc\nthreads: 1\nattempts: 2\n"
        'fit: ["--iterations", "150", "--levels", "2", "--device", "cpu", "--hold", "4"]\n'
    )
    return [program, "-s", str(snakefile()), "--cores", "2", "--configfile", "settings.yaml", "--config"]


def kill_one(work: Path, process: subprocess.Popen[bytes]) -> None:
    """Ends the fit of scene `one` as a scheduler does, once it is well on its way."""
    log, lock = work / "out" / "one.jsonl", work / "out" / "one.pt.lock"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") >= 5):
        time.sleep(0.02)
    assert process.poll() is None, "nothing was fitted"
    os.kill(int(lock.read_text()), signal.SIGTERM)


def test_three_scenes_one_of_which_is_killed(tmp_path: Path) -> None:
    command = snakemake(tmp_path)
    for number, name in enumerate(SCENES):
        write_demo_scene(tmp_path / "scenes" / name, views=8, width=48, height=36, points=200 + number)
    process = subprocess.Popen(
        [*command, "scenes=scenes"], cwd=tmp_path, env=environment(), stderr=(tmp_path / "err").open("wb")
    )
    kill_one(tmp_path, process)
    assert process.wait(timeout=400) == 0, (tmp_path / "err").read_text()[-2000:]
    said = (tmp_path / "out" / "one.log").read_text()
    assert "resumed at iteration" in said
    rows = [json.loads(line)["iteration"] for line in (tmp_path / "out" / "one.jsonl").open()]
    assert rows == list(range(10, 151, 10))  # no iteration twice
    for name in SCENES:
        assert (tmp_path / "out" / f"{name}.pcgs").stat().st_size > 1000
    table = json.loads((tmp_path / "out" / "tables" / "scenes.json").read_text())
    assert [(row["scene"], row["level"]) for row in table["scenes"]] == [
        (name, level) for name in SCENES for level in (1, 2)
    ]
    again = subprocess.run(
        [*command, "scenes=scenes"], cwd=tmp_path, env=environment(), capture_output=True, check=True
    )
    assert b"Nothing to be done" in again.stderr + again.stdout


def test_a_workflow_says_what_it_lacks(tmp_path: Path) -> None:
    command = snakemake(tmp_path)
    for settings, said in (("out=o", "--config scenes=DIR"), ("scenes=nowhere", "nowhere: is no folder")):
        ran = subprocess.run(
            [*command, settings], cwd=tmp_path, env=environment(), capture_output=True, check=False
        )
        assert ran.returncode != 0 and said in (ran.stderr + ran.stdout).decode()


def test_the_command_names_the_file(cli: Cli) -> None:
    ran = cli("workflow")
    assert ran.code == 0 and Path(ran.out.decode().strip()) == snakefile()
    assert snakefile().is_file()


def report(path: Path, data: str, levels: list[dict[str, object]]) -> Path:
    path.write_text(json.dumps({"source": "x.pcgs", "data": data, "levels": levels}))
    return path


@pytest.fixture
def reports(tmp_path: Path) -> list[Path]:
    def level(number: int, size: int | None, psnr: float | None) -> dict[str, object]:
        return {"level": number, "bytes": size, "psnr": psnr, "ssim": 0.5, "lpips": None}

    return [
        report(tmp_path / "a.json", "scenes/a|b/", [level(1, 1000, 20.0), level(2, 2001, None)]),
        report(tmp_path / "c.json", "scenes/c", [level(1, 3000, 30.0)]),
    ]


def test_scores_of_scenes_in_one_table(cli: Cli, reports: list[Path], tmp_path: Path) -> None:
    for name in ("t.csv", "t.json", "t.md"):
        ran = cli("eval", "--aggregate", *reports, "-o", tmp_path / name)
        assert (ran.code, ran.out) == (0, b""), ran.err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text())))
    assert [(row["scene"], row["level"], row["bytes"], row["psnr"]) for row in rows] == [
        ("a|b", "1", "1000", "20.0"),
        ("a|b", "2", "2001", ""),
        ("c", "1", "3000", "30.0"),
        ("mean", "1", "2000", "25.0"),
        ("mean", "2", "2001", ""),
    ]
    table = json.loads((tmp_path / "t.json").read_text())
    assert len(table["scenes"]) == 3 and table["means"][0]["psnr"] == 25.0
    lines = (tmp_path / "t.md").read_text().splitlines()
    assert lines[2] == "| a\\|b | 1 | 1,000 | 20.00 | 0.5000 | n/a |" and len(lines) == 7


def test_levels_of_a_table(cli: Cli, reports: list[Path]) -> None:
    ran = cli("eval", "--aggregate", *reports, "--levels", "last", "--json")
    assert [(row["scene"], row["level"]) for row in json.loads(ran.out)["scenes"]] == [("a|b", 2), ("c", 1)]
    ran = cli("eval", "--aggregate", *reports)
    assert ran.code == 0 and b"mean" in ran.out


def test_tables_that_cannot_be_made(cli: Cli, reports: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"levels": [{}], "data": "x"}')
    odd = []
    for number, values in enumerate(
        ({"bytes": 1e999}, {"bytes": 10**400}, {"level": 1e999}, {"psnr": 10**400})
    ):
        odd.append(
            report(tmp_path / f"odd{number}.json", "x", [{"level": 1, "bytes": 1, "psnr": 1.0} | values])
        )
    for args, code, said in (
        (["--aggregate"], 2, "needs reports"),
        (["--aggregate", reports[0], "-o", "t.txt"], 2, "ends in .csv, .json, .md"),
        (["--aggregate", reports[0], "--data", tmp_path], 2, "takes no --data"),
        (["--aggregate", tmp_path / "bad.json"], 3, "is no report"),
        *((["--aggregate", file], 3, "is no report") for file in odd),
        (["--aggregate", tmp_path / "none.json"], 3, "none.json"),
        (["--aggregate", reports[0], "-o", reports[0].with_suffix(".json")], 6, "is the input"),
        (["x.pcgs", "-o", "t.md"], 2, "--aggregate"),
    ):
        ran = cli("eval", *args)
        assert (ran.code, len(ran.lines)) == (code, 1) and said in ran.err, ran.err
