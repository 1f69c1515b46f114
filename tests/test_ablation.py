"""The ablation bench with a stand-in for gspc: what it runs, how it goes on after a kill, what it writes."""

from __future__ import annotations

import importlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cli_tools import environment, interruptible

from gspc.metrics import Difference, bd_rate

BENCH = Path(__file__).resolve().parent / "bench" / "ablation.py"

# Writes what the commands would, with figures that follow from the settings; `hang` and `fail` in its folder
# make fits of those seeds wait for a signal or go wrong.
STUB = """
import json, pathlib, sys, time, tomllib
here = pathlib.Path(__file__).parent
command, *arguments = sys.argv[1:]
def after(name):
    return pathlib.Path(arguments[arguments.index(name) + 1])
calls = (here / "calls").open("a")
print(pathlib.Path.cwd().name, command, *arguments, file=calls, flush=True)
settings = tomllib.loads(pathlib.Path("fit.toml").read_text())
weights, seed = settings["rate_weights"], settings["seed"]
gain = 0.9 if settings["set"].get("chunks") else 1.0
checkpoint = pathlib.Path("model.pt.checkpoint")
if command == "fit":
    print("gspc: 4 views: 3 to train on\\ngspc: backend stub", file=sys.stderr)
    if ("--resume" in arguments) != checkpoint.exists():  # as fit refuses it
        sys.exit("gspc: error: there is no checkpoint to go on from")
    if (here / "fail").exists() and str(seed) in (here / "fail").read_text():
        sys.exit("gspc: error: no luck")
    if (here / "hang").exists() and str(seed) in (here / "hang").read_text() and not checkpoint.exists():
        checkpoint.write_text("half way")
        time.sleep(60)
    checkpoint.unlink(missing_ok=True)
    after("-o").write_text("model")
    after("--log").write_text(json.dumps({"estimated_bytes": 1000}) + "\\n")
elif command in ("compress", "decompress"):
    after("-o").write_text("x")
elif command == "eval":
    levels = []
    for level, weight in enumerate(weights, start=1):
        size = round(gain * (1 + 0.01 * seed) * 100 / weight) + 5000
        psnr = 30 - 2000 * weight
        row = {"level": level, "bytes": size, "psnr": psnr, "ssim": 0.9, "lpips": None}
        names = {"a": 0} | ({"b": 2, "c": 4} if "--hold" in arguments else {})
        row["views"] = [{"view": name, "psnr": psnr + more} for name, more in names.items()]
        levels.append(row | {"components": {"grid": 5000, "symbols": size - 5000}})
    after("--json").write_text(json.dumps({"views": "test", "levels": levels}))
else:
    by_level, against = [], []
    for level, weight in enumerate(weights, start=1):
        parts = [("features", "new", 700), ("grid", None, 300), ("features", "refined", 11 * level)]
        parts = [{"name": name, "how": how, "bytes": size} for name, how, size in parts]
        row = {"level": level, "anchors": 10, "anchor_share": 0.5, "gaussians": 9, "gaussian_share": 0.1}
        by_level.append(row | {"parts": parts})
        against.append({"up_to_level": level, "feature_bytes": round(50 / weight), "pool_grid_bytes": 100})
    rates = [{"level": 1, "name": "features", "symbols": 5, "model_bits": 80.0}]
    print(json.dumps({"by_level": by_level, "features_against_others": against, "rates": rates}))
"""

LIST = """
title = "Trial"
[defaults]
iterations = 7
streams = [[4e-3, 2e-3, 1e-3], [3e-3, 1.5e-3]]
[variants.plain]
preset = "pcgs"
set = { chunks = 0 }
[variants.chunked]
like = "plain"
set = { chunks = 5 }
about = "with chunks"
[variants.last-level]
like = "plain"
streams = [[4e-3, 2e-3]]
points = "last"
"""


class Bench:
    """A folder with a scene, a list and the stand-in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        (folder / "scene").mkdir()
        (folder / "stub.py").write_text(STUB)
        (folder / "list.toml").write_text(LIST)

    def command(self, *more: str) -> list[str]:
        stub = f"{sys.executable} -IS {self.folder / 'stub.py'}"
        fixed = [str(self.folder / "list.toml"), "--scenes", str(self.folder / "scene"), "--gspc", stub]
        return [sys.executable, str(BENCH), *fixed, "--work", str(self.work), *more]

    def run(self, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*more), capture_output=True, text=True, env=environment(), timeout=500, check=False
        )
        assert done.returncode == code, done.stderr
        return done

    def start(self, *more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*more),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=interruptible,  # noqa: PLW1509  no threads here
        )

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.work / "list.json").read_text())

    @property
    def table(self) -> str:
        return (self.work / "list.md").read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)


def test_a_list_is_run_and_tabulated(bench: Bench) -> None:
    bench.run("--seeds", "0", "1", "--threads", "1")
    report = bench.report
    assert len(report["runs"]) == 2 * 5
    fits = [call for call in bench.calls if " fit " in call]
    assert len(fits) == 10 and all("--threads 1" in call and call.count(" -f") == 1 for call in fits)
    assert sum(" decompress " in call for call in bench.calls) == 2 * (3 + 2 + 3 + 2 + 2)
    row = next(r for r in report["runs"] if (r["variant"], r["seed"], r["stream"]) == ("chunked", 1, 1))
    assert [level["rate_weight"] for level in row["levels"]] == [4e-3, 2e-3, 1e-3]
    assert row["levels"][0]["adds"] == {
        "features new": 700,
        "features refined": 11,
        "grid": 200,
        "pool grid": 100,
    }
    assert row["levels"][0]["ideal_bytes"] == {"features": 10.0}
    assert row["levels"][1]["variable_bytes"] == row["levels"][1]["bytes"] - 5000
    assert row["backend"] == "backend stub" and not row["fit_resumed"]
    assert row["estimate_error_percent"] == pytest.approx(100 * (1000 / row["levels"][-1]["bytes"] - 1))
    settings = (bench.work / row["folder"] / "fit.toml").read_text()
    assert 'preset = "pcgs"' in settings and "chunks = 5" in settings and "seed = 1" in settings
    assert "+ features refined" in bench.table and "with chunks" in bench.table
    rows = re.findall(r"^\| scene \| [a-z-]+ \| [01] \| [12] \| [123] \|", bench.table, re.M)
    assert len(rows) == 2 * (3 + 2 + 3 + 2 + 2)


def test_differences_are_those_of_the_curves(bench: Bench) -> None:
    bench.run("--seeds", "0", "1")
    found = {(row["variant"], row["measure"]): row for row in bench.report["differences"]}
    variable = found["chunked", "variable_bytes"]["bd_rate_percent"]
    assert variable["value"] == pytest.approx(-10, abs=0.1)
    assert variable["resolved"] and len(variable["seeds"]) == 2
    assert -10 < found["chunked", "bytes"]["bd_rate_percent"]["value"] < -5
    assert found["chunked", "bytes"]["bd_psnr_db"]["value"] > 0
    features = found["chunked", "feature_bytes"]["bd_rate_percent"]
    assert features["value"] == pytest.approx(0, abs=1e-9)
    assert found["last-level", "bytes"]["bd_rate_percent"] == {
        "value": None,
        "why": "1 point, 4 needed",
        "seeds": [None, None],
        "overlap": 0.0,
        "of_means": {"value": None, "why": "1 point, 4 needed", "overlap": 0.0, "error": None},
    }
    # Bytes of a seed's curves are the other's times a factor, so the curve of means tells the same.
    assert variable["of_means"]["value"] == pytest.approx(variable["value"], abs=0.1)
    assert "| scene | chunked | plain | without fixed bytes | -10.0 % (-10.0, -10.0) |" in bench.table
    assert "1 point, 4 needed" in bench.table


@pytest.fixture
def ablation_report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH.parent))
    return importlib.import_module("ablation_report")


@pytest.fixture
def ablation_tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH.parent))
    return importlib.import_module("ablation_tables")


def test_mean_curves_have_an_error_from_three_seeds_on(
    ablation_report: ModuleType, ablation_tables: ModuleType
) -> None:
    """Three seeds whose bytes are 80, 90 and 100 % of the reference's."""
    arms = [
        {
            seed: [{"bytes": 1000 * 2**i * factor, "psnr": 25.0 + i} for i in range(5)]
            for seed, factor in enumerate(factors)
        }
        for factors in ((1.0, 1.0, 1.0), (0.8, 0.9, 1.0))
    ]
    three = ablation_report._of_mean_curves(bd_rate, arms, [0, 1, 2], "bytes")
    assert three["value"] == pytest.approx(-10.0, abs=1e-6) and three["overlap"] == 1.0
    # Without one seed each: -5, -10 and -15 %.
    assert three["error"] == pytest.approx(math.sqrt(2 / 3 * (5**2 + 5**2)), abs=1e-6)
    assert ablation_tables._of_means({"of_means": three}, 1, " %") == "-10.0 ± 5.8 %"
    two = ablation_report._of_mean_curves(bd_rate, arms, [0, 1], "bytes")
    assert two["value"] == pytest.approx(-15.0, abs=1e-6) and two["error"] is None
    assert ablation_tables._of_means({"of_means": two}, 1, " %") == "-15.0 %"


def test_differences_within_the_seeds_spread_are_unresolved(
    ablation_report: ModuleType, ablation_tables: ModuleType
) -> None:
    def text(*values: float) -> str:
        return ablation_tables._difference(
            ablation_report._summary([Difference(value, 0.9) for value in values]), 1, " %"
        )

    assert text(-8.0, -10.0) == "-9.0 % (-8.0, -10.0)"
    assert text(-2.0, -6.0) == "unresolved (-2.0, -6.0)"
    assert text(1.0, -1.0) == "unresolved (+1.0, -1.0)"
    assert text(-3.0) == "-3.0 %"
    points = [{"r": r, "psnr": p} for r, p in ((5, 30.0), (3, 31.0), (1, 20.0), (1, 25.0), (9, 31.0))]
    assert ablation_report.front(points, "r") == [(1, 25.0), (3, 31.0)]
    other = [{"r": 2 * point["r"], "psnr": point["psnr"] + 1} for point in points]
    means = ablation_report._mean_points([points, other], "r")
    assert means[0] == {"r": 7.5, "psnr": 30.5} and len(means) == 5
    assert ablation_report._mean_points([points, other[1:]], "r") == []


def test_levels_of_a_stream_against_each_other(bench: Bench) -> None:
    bench.run("--only", "plain")
    assert bench.report["runs"][0]["progress"]["smallest_step_training_psnr"] is None
    bench.run("--only", "plain", "--training-views")
    assert sum(" fit " in call for call in bench.calls) == 2
    row = bench.report["runs"][0]
    assert [level["psnr"] for level in row["levels"]] == pytest.approx([22, 26, 28])
    assert [level["training_psnr"] for level in row["levels"]] == pytest.approx([25, 29, 31])  # of b and c
    assert row["progress"] == {
        "smallest_step_bytes": 25000,
        "smallest_step_psnr": pytest.approx(2),
        "gain_psnr": pytest.approx(6),
        "smallest_step_training_psnr": pytest.approx(2),
        "first_level_share_percent": pytest.approx(100 * 30 / 105),
    }
    assert "| scene | plain | 0 | 1 | +25,000 | +2.000 | 2.000 | +6.00 | 29 % |" in bench.table


def test_nothing_is_done_twice(bench: Bench) -> None:
    bench.run("--only", "chunked")
    count = len(bench.calls)
    assert {row["variant"] for row in bench.report["runs"]} == {"plain", "chunked"}
    bench.run()
    assert sum(" fit " in call for call in bench.calls) == 5  # only last-level's was missing
    assert len(bench.calls) > count
    before = list(bench.calls)
    bench.run()
    bench.run("--table")
    assert bench.calls == before
    bench.run("--redo", "eval")
    assert {call.split()[1] for call in bench.calls[len(before) :]} == {"eval", "inspect-bitstream"}


def test_variants_that_agree_share_their_runs(bench: Bench) -> None:
    text = (bench.folder / "list.toml").read_text()
    (bench.folder / "list.toml").write_text(
        text + '[variants.twin]\nlike = "plain"\nset = { features = 50 }\n'
    )
    bench.run("--only", "twin")
    assert sum(" fit " in call for call in bench.calls) == 2
    assert bench.report["differences"][0]["bd_rate_percent"]["value"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_goes_on(bench: Bench, number: signal.Signals) -> None:
    """What was finished stays, the fit that was cut goes on from its checkpoint, and no process is left."""
    (bench.folder / "hang").write_text("1")
    process = bench.start("--seeds", "0", "1")
    wait_for(lambda: list(bench.work.glob("*/model.pt.checkpoint")), process)
    before = list(bench.calls)
    assert sum(" fit " in call for call in before) == 6  # all of seed 0, and the one that hangs
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 130)
    cut = next(bench.work.glob("*/model.pt.checkpoint")).parent
    _wait_until_gone(bench.folder / "stub.py")
    if number is not signal.SIGKILL:
        assert "5 runs are not done" in bench.table
    (bench.folder / "hang").unlink()
    bench.run("--seeds", "0", "1")
    after = bench.calls[len(before) :]
    assert after[0].startswith(f"{cut.name} fit ") and "--resume" in after[0]
    assert sum(" fit " in call for call in after) == 5
    assert [row["folder"] for row in bench.report["runs"] if row["fit_resumed"]] == [cut.name]
    assert len(bench.report["runs"]) == 10


def _wait_until_gone(script: Path) -> None:
    """No process runs `script` any more."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
        if not any(str(script).encode() in line for line in lines):
            return
        time.sleep(0.05)
    raise AssertionError("a fit outlived the bench")


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return os.getpid() != int(path.parent.name)


def test_failed_runs_are_named_and_tried_again(bench: Bench) -> None:
    (bench.folder / "fail").write_text("1")
    done = bench.run("--seeds", "0", "1", "--jobs", "2", code=1)
    assert "plain seed 1 stream 1: fit exited with 1: gspc: error: no luck; see " in done.stderr
    assert len(bench.report["runs"]) == 5 and "5 runs are not done" in bench.table
    (bench.folder / "fail").unlink()
    bench.run("--seeds", "0", "1", "--jobs", "2")
    assert len(bench.report["runs"]) == 10
    assert sum(" fit " in call for call in bench.calls) == 15


def test_plans_and_wrong_lists(bench: Bench) -> None:
    done = bench.run("--plan", "--iterations", "9")
    assert done.stdout.splitlines()[-1] == "5 runs"
    assert not bench.calls and not bench.work.exists()
    for name, runs in (("main", 19), ("papers", 74)):
        command = [sys.executable, str(BENCH), name, "--plan", "--scenes", str(bench.folder / "scene")]
        out = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True).stdout
        assert int(out.splitlines()[-1].split()[0]) <= runs
    for text, line in (
        ("[variants.a]\nchunk = 3", "a: unknown key chunk"),
        ("[variants.a]\nset = {chunk = 3}", "no ingredient chunk; do you mean chunks?"),
        ("[variants.a]\nlike = 'b'", "a: like = b: no such variant"),
        ("[variants.a]\nagainst = 'b'", "a: against = b: no such variant"),
        ("[variants", "list.toml: "),
    ):
        (bench.folder / "list.toml").write_text(text)
        assert line in bench.run(code=1).stderr
    bench.folder.joinpath("list.toml").write_text(LIST)
    assert "--only: no variant x" in bench.run("--only", "x", code=1).stderr
