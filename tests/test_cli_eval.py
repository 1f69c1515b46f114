"""eval: the options of reading, the table, the reports."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_tools import STREAM, Cli

from gspc import pipeline
from gspc.pipeline import Evaluation, LevelScore, ViewScore

pytestmark = pytest.mark.usefixtures("empty_directory")


def evaluation(**changes: Any) -> Evaluation:
    def level(number: int, psnr: float) -> LevelScore:
        views = (ViewScore("a.png", psnr - 1, 0.9, None), ViewScore("b\x1b.png", psnr + 1, 0.8, None))
        return LevelScore(number, 1000 * number, psnr, 0.85, None, views)

    values: dict[str, Any] = {
        "source": "s.pcgs",
        "data": "photos",
        "held_out": True,
        "lpips_status": "no weights here",
        "warnings": (),
        "levels": (level(1, 25.0), level(2, 27.5)),
    }
    return Evaluation(**(values | changes))


@pytest.fixture
def evaluating(cli: Cli) -> Callable[[Evaluation], list[dict[str, Any]]]:
    def install(result: Evaluation) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def evaluate(source: Any, directory: Path, **options: Any) -> Evaluation:
            options["report"]("level 1: view 1 of 2")
            calls.append(options | {"kind": source.kind, "directory": directory})
            return result

        cli.monkeypatch.setattr(pipeline, "evaluate", evaluate)
        return calls

    return install


def test_eval_shows_a_table(cli: Cli, evaluating: Any) -> None:
    calls = evaluating(evaluation())
    ran = cli("eval", "--data", "photos", "--upto", "2", stdin=STREAM)
    assert ran.code == 0
    text = ran.out.decode()
    assert "s.pcgs: 2 held-out views of photos" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "25.00", "0.8500", "n/a", "1,000"] in rows
    assert ["2", "27.50", "0.8500", "n/a", "2,000"] in rows
    assert "a.png" not in text
    assert ran.err == "gspc: no weights here\n"  # said once
    assert calls[0]["levels"] == (1, 2)
    assert calls[0]["directory"] == Path("photos")
    assert calls[0]["resolution"] is None
    assert calls[0]["hold"] is None
    assert calls[0]["background"] is None


def test_eval_shows_views(cli: Cli, evaluating: Any) -> None:
    evaluating(evaluation(held_out=False, warnings=("cut",)))
    ran = cli("eval", "--data", "photos", "--views", stdin=STREAM)
    rows = [line.split() for line in ran.out.decode().splitlines()]
    assert ["2", "a.png", "26.50", "0.9000", "n/a"] in rows
    assert b"\x1b" not in ran.out
    assert "gspc: warning: s.pcgs: cut" in ran.lines
    assert "gspc: photos: views that were trained on are among these" in ran.lines


def test_eval_passes_the_options_of_reading(cli: Cli, evaluating: Any) -> None:
    calls = evaluating(evaluation())
    options = [
        "--resolution",
        "2",
        "--images",
        "im",
        "--hold",
        "4",
        "--background",
        "white",
        "--levels",
        "2,1,2",
    ]
    assert cli("eval", "--data", "photos", *options, stdin=STREAM).code == 0
    assert {key: calls[0][key] for key in ("resolution", "images", "hold", "background", "levels")} == {
        "resolution": 2,
        "images": Path("im"),
        "hold": 4,
        "background": "white",
        "levels": (1, 2),
    }


def test_eval_json_and_csv(cli: Cli, evaluating: Any) -> None:
    perfect = LevelScore(1, None, math.inf, 1.0, 0.0, (ViewScore("a", math.inf, 1.0, 0.0),))
    evaluating(evaluation(levels=(perfect,)))
    ran = cli("eval", "--data", "p", "--json", "-", "--csv", "scores.csv", stdin=STREAM)
    report = json.loads(ran.out)
    assert report["levels"] == [
        {
            "level": 1,
            "bytes": None,
            "psnr": None,
            "ssim": 1.0,
            "lpips": 0.0,
            "views": [{"view": "a", "psnr": None, "ssim": 1.0, "lpips": 0.0}],
        }
    ]
    assert report["views"] == "test"
    assert report["lpips_status"] == "no weights here"
    rows = list(csv.DictReader(io.StringIO(Path("scores.csv").read_text())))
    assert [row["view"] for row in rows] == ["", "a"]
    assert rows[0] == {"level": "1", "view": "", "psnr": "inf", "ssim": "1.0", "lpips": "0.0", "bytes": ""}
    ran = cli("eval", "--data", "p", "--csv", "-", stdin=STREAM)
    assert ran.out.startswith(b"level,view,psnr,ssim,lpips,bytes\n1,,inf,")


def test_eval_refuses_reports_before_it_works(cli: Cli, evaluating: Any) -> None:
    calls = evaluating(evaluation())
    Path("scores.json").write_text("old")
    ran = cli("eval", "--data", "p", "--json", "scores.json", stdin=STREAM)
    assert ran.code == 6
    assert calls == []
    assert cli("eval", "--data", "p", "--json", "scores.json", "-f", stdin=STREAM).code == 0
    assert json.loads(Path("scores.json").read_text())["source"] == "s.pcgs"
