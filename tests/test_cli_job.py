"""The whole job in fresh processes, from photographs to scores, on a small generated scene."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import Ran, environment, interruptible, run_fresh

from gspc.data.demo import write_demo_scene
from gspc.format import describe

ITERATIONS = 120
FIT = ("--levels", "3", "--iterations", ITERATIONS, "--threads", "1", "--device", "cpu", "--hold", "4")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a scene and a model of it."""
    folder = tmp_path_factory.mktemp("job")
    write_demo_scene(folder / "photos", views=12, width=64, height=48, points=600)
    ran = run_fresh("fit", "photos", "-o", "model.pt", "--log", "log.jsonl", *FIT, cwd=folder)
    assert ran.code == 0, ran.err
    assert ran.out == b""
    assert ran.lines[0] == "gspc: 12 views: 9 to train on, 3 held out for eval"
    assert ran.lines[1].startswith("gspc: backend cpu")
    assert ran.lines[-1].startswith("gspc: model.pt: ")
    ran = run_fresh("compress", "model.pt", "-o", "scene.pcgs", cwd=folder)
    assert ran.code == 0, ran.err
    return folder


def test_the_log_is_json_lines(work: Path) -> None:
    rows = [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["iteration"] == ITERATIONS
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["estimated_bytes"] > 0


def test_a_model_scores_what_its_stream_scores(work: Path) -> None:
    reports = []
    for name in ("model.pt", "scene.pcgs"):
        ran = run_fresh("eval", name, "--data", "photos", "--json", "-", cwd=work)
        assert ran.code == 0, ran.err
        reports.append(json.loads(ran.out))
    model, stream = (report["levels"] for report in reports)
    assert model == stream
    assert [row["level"] for row in stream] == list(range(1, len(stream) + 1))
    assert len(stream) > 1
    assert stream[-1]["bytes"] == (work / "scene.pcgs").stat().st_size
    assert stream[-1]["psnr"] > 12
    # Held out as in training (every 4th of 12), although eval was not told.
    assert [view["view"] for view in stream[0]["views"]] == ["000.png", "004.png", "008.png"]
    assert reports[0]["views"] == "test"


def test_levels_of_a_model_are_chosen_and_those_of_a_stream_are_dropped(work: Path) -> None:
    whole = (work / "scene.pcgs").read_bytes()
    model = run_fresh("compress", "model.pt", "--levels", "2", cwd=work)
    stream = run_fresh("compress", "scene.pcgs", "--levels", "2", cwd=work)
    assert model.code == stream.code == 0
    assert len(stream.out) < len(model.out) < len(whole) + 2000
    assert [len(describe(data).levels) for data in (model.out, stream.out)] == [2, 2]
    ran = run_fresh("compress", "model.pt", "--levels", "9", cwd=work)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err == "gspc: error: model.pt: has 8 levels; choose --levels from 1 to 8\n"


def test_pictures_of_a_level_whatever_the_source(work: Path) -> None:
    decoded = run_fresh("decompress", "scene.pcgs", "--upto", "2", cwd=work)
    assert decoded.code == 0
    pictures = [
        run_fresh("render", *args, "--view", "0", "-o", "-", cwd=work, stdin=data)
        for args, data in (
            (("scene.pcgs", "--upto", "2"), b""),
            (("model.pt", "--upto", "2"), b""),
            (("-",), decoded.out),
        )
    ]
    assert [ran.code for ran in pictures] == [0, 0, 0]
    assert pictures[0].out == pictures[1].out == pictures[2].out
    ran = run_fresh(
        "render", "scene.pcgs", "--cameras", "photos", "--view", "004.png", "-o", "v.png", cwd=work
    )
    assert (ran.code, ran.out) == (0, b"v.png\n"), ran.err


def test_inspecting_a_model_shows_its_stream(work: Path) -> None:
    model = json.loads(run_fresh("inspect-bitstream", "model.pt", "--json", cwd=work).out)
    stream = json.loads(run_fresh("inspect-bitstream", "scene.pcgs", "--json", "--check", cwd=work).out)
    assert model["kind"] == "model"
    assert model["components"] == stream["components"]
    assert stream["bytes"] == (work / "scene.pcgs").stat().st_size


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_an_interrupted_fit_resumes_to_the_same_log(work: Path, tmp_path: Path, signal_name: str) -> None:
    number = getattr(signal, signal_name)
    command = [
        "fit",
        work / "photos",
        "-o",
        "model.pt",
        "--log",
        "log.jsonl",
        "--checkpoint-every",
        "20",
        *FIT,
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "gspc", *map(str, command)],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,  # noqa: PLW1509  no threads here
    )
    log = tmp_path / "log.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") >= 4):
        signal.sigtimedwait([], 0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=500)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), err
    assert (tmp_path / "model.pt.checkpoint").exists()
    assert not (tmp_path / "model.pt").exists()
    if number != signal.SIGKILL:
        assert "--resume" in err
    again = run_fresh(*command, cwd=tmp_path)
    assert again.code == 6 and "--resume goes on from it, -f starts anew" in again.err
    ran = run_fresh(*command, "--resume", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert "gspc: resumed at iteration" in ran.err
    assert log.read_text() == (work / "log.jsonl").read_text()
    assert not (tmp_path / "model.pt.checkpoint").exists()


def test_branches_begin_where_a_fit_was_paused(work: Path, tmp_path: Path) -> None:
    """The branch that changes nothing ends as the whole fit did; another one differs and leaves the paused
    fit as it was."""

    def branch(output: str, *more: str) -> Ran:
        log = ("--log", f"{output}.log")
        return run_fresh(*fit, "-o", output, "--branch", "model.pt.checkpoint", *log, *more, cwd=tmp_path)

    fit = ("fit", work / "photos", *FIT)
    ran = run_fresh(*fit, "-o", "model.pt", "--pause-at", "20", "--json", cwd=tmp_path)
    assert ran.code == 0, ran.err
    report, saved = json.loads(ran.out), tmp_path / "model.pt.checkpoint"
    assert (report["paused"], report["output"], report["iterations"]) == (True, saved.name, 20)
    before = saved.read_bytes()
    assert report["bytes"] == len(before)
    assert branch("same.pt").code == branch("other.pt", "--set", "ssim_weight=0.6").code == 0
    rows = (work / "log.jsonl").read_text().splitlines()
    assert (tmp_path / "same.pt.log").read_text().splitlines() == rows[2:]
    assert (tmp_path / "other.pt.log").read_text().splitlines() != rows[2:]
    refused = branch("model.pt", "-f")
    assert (refused.code, saved.read_bytes()) == (6, before)
    assert refused.lines == [
        "gspc: error: model.pt.checkpoint: the branch would replace it; name another output"
    ]


def test_resume_asks_for_the_same_options(work: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pt.checkpoint").write_bytes(b"not a checkpoint")
    ran = run_fresh("fit", work / "photos", "-o", "model.pt", "--resume", *FIT, cwd=tmp_path)
    assert (ran.code, ran.lines[-1].startswith("gspc: error: model.pt.checkpoint: ")) == (3, True)


def test_inputs_that_cannot_be_used(work: Path, tmp_path: Path) -> None:
    for path in ("nosuch", work / "photos" / "images"):
        ran = run_fresh("fit", path, "-o", "m.pt", cwd=tmp_path)
        assert ran.code == 3
        assert ran.lines[-1].startswith(f"gspc: error: {path}")
    (tmp_path / "bad.pt").write_bytes((work / "model.pt").read_bytes()[:-100])
    for command in (
        ["compress", "bad.pt"],
        ["render", "bad.pt"],
        ["eval", "bad.pt", "--data", work / "photos"],
    ):
        ran = run_fresh(*command, cwd=tmp_path)
        assert (ran.code, ran.out, len(ran.lines)) == (3, b"", 1), ran.err
        assert ran.err.startswith("gspc: error: bad.pt")
