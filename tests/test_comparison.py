"""Bjontegaard differences against hand-computed cases, and `gspc eval --compare` around them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli, environment, run_fresh
from PIL import Image

from gspc import pipeline
from gspc.errors import InputError, UsageError
from gspc.metrics import bd_psnr, bd_rate
from gspc.pipeline.comparison import Point, front

pytestmark = pytest.mark.usefixtures("empty_directory")

LINE = [(10 ** (p / 10), p) for p in (30.0, 31.5, 32.5, 34.0, 36.0)]  # 10 dB per decade of bytes
BENT = [(200e3, 28.0), (330e3, 29.7), (500e3, 30.6), (800e3, 31.1), (1200e3, 31.3)]


def report(
    points: Sequence[tuple[float, float]],
    *,
    fixed: int | None = 0,
    views: Sequence[str] = ("a.png", "b.png"),
    kind: str = "test",
    size: tuple[int, int] | None = (40, 30),
) -> dict[str, Any]:
    """What eval --json writes for levels of these bytes and PSNRs."""
    levels = []
    for level, (rate, psnr) in enumerate(points, start=1):
        shown = [{"view": view, "psnr": psnr, "ssim": 0.9, "lpips": None} for view in views]
        if size:
            shown = [view | {"size": list(size)} for view in shown]
        entry = {"level": level, "bytes": round(rate), "psnr": psnr, "ssim": 0.9, "lpips": None}
        if fixed is not None:
            parts = {"grid": fixed - fixed // 3, "heads": fixed // 3, "symbols": round(rate) - fixed}
            entry["components"] = parts
        levels.append(entry | {"views": shown})
    return {"source": "s.pcgs", "data": "d", "views": kind, "lpips_status": "", "levels": levels}


def write(name: str, points: Sequence[tuple[float, float]], **options: Any) -> str:
    Path(name).write_text(json.dumps(report(points, **options)))
    return name


def scaled(points: Sequence[tuple[float, float]], factor: float) -> list[tuple[float, float]]:
    return [(factor * rate, psnr) for rate, psnr in points]


# ---- the figures ----


@pytest.mark.parametrize("curve", [LINE, BENT])
@pytest.mark.parametrize("factor", [1.1, 0.75, 1.0])
def test_a_curve_shifted_in_rate_differs_by_that(curve: list[tuple[float, float]], factor: float) -> None:
    found = bd_rate(curve, scaled(curve, factor))
    assert found.value == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert (found.overlap, found.why) == (1.0, "")


def test_a_line_shifted_in_rate_is_worse_by_its_slope() -> None:
    found = bd_psnr(LINE, scaled(LINE, 1.1))
    assert found.value == pytest.approx(-10 * math.log10(1.1), abs=1e-9)
    assert found.overlap == pytest.approx((0.6 - math.log10(1.1)) / (0.6 + math.log10(1.1)))


def test_a_curve_shifted_in_psnr_differs_by_that() -> None:
    assert bd_psnr(BENT, [(rate, psnr + 0.3) for rate, psnr in BENT]).value == pytest.approx(0.3, abs=1e-9)


def test_the_mean_of_a_growing_difference() -> None:
    """Log rate over PSNR p is p / 10 and p / 10 + 0.02 (p - 30): over 30..36 dB 0.06 apart on average."""
    test = [(10 ** (p / 10 + 0.02 * (p - 30)), p) for p in (30.0, 31.0, 33.0, 36.0)]
    assert bd_rate(LINE, test).value == pytest.approx(100 * (10**0.06 - 1), abs=1e-9)
    back = bd_rate(test, LINE).value
    assert back == pytest.approx(100 * (10**-0.06 - 1), abs=1e-9)


def test_no_figure_without_enough_points_or_overlap() -> None:
    few = bd_rate(BENT, BENT[:3])
    assert (few.value, few.why) == (None, "3 points, 4 needed")
    assert bd_psnr(BENT[:1], BENT).why == "1 point, 4 needed"
    assert bd_rate([], BENT).why == "0 points, 4 needed"
    higher = [(rate, psnr + 3) for rate, psnr in LINE]  # 33..39 against 30..36: 3 of 9 dB
    found = bd_rate(LINE, higher)
    assert (found.value, found.why) == (None, "overlap 33 %")
    assert found.overlap == pytest.approx(1 / 3)
    assert bd_rate(LINE, [(rate, psnr + 10) for rate, psnr in LINE]).why == "overlap 0 %"
    # Rates of 6 of 8 tenths of a decade in common are just enough.
    base = [(10 ** (i / 10), 30.0 + i) for i in range(8)]
    shifted = [(10 ** ((i + 1) / 10), 30.0 + i) for i in range(8)]
    assert bd_psnr(base, shifted).value == pytest.approx(-1.0)
    assert bd_psnr(base, [(10 ** ((i + 1.1) / 10), 30.0 + i) for i in range(8)]).why == "overlap 72 %"


@pytest.mark.parametrize(
    "curve", [[(2.0, 1.0), (1.0, 2.0)], [(1.0, 2.0), (2.0, 2.0)], [(0.0, 1.0), (1.0, 2.0)]]
)
def test_curves_must_rise(curve: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="increasing"):
        bd_rate(curve, LINE)


def test_points_that_others_beat_are_left_out() -> None:
    points = [
        Point("f", i, *values)
        for i, values in enumerate(
            [
                (100, 10, 30.0),
                (100, 20, 31.0),
                (150, 10, 31.0),
                (200, 10, 30.5),
                (300, 250, 33.0),
                (290, 10, 32.0),
            ]
        )
    ]
    assert [point.level for point in front(points)] == [1, 5, 4]
    # Without fixed bytes: 90, 80, 140, 190, 50, 280.
    assert [point.level for point in front(points, without_fixed=True)] == [4]


# ---- arms and files ----


def test_compare_reads_arms_of_several_files() -> None:
    write("a1.json", BENT[:2], fixed=5000)
    write("a2.json", BENT[2:], fixed=5000)
    write("b.json", scaled(BENT, 1.1), fixed=5000)
    found = pipeline.compare(["a=a1.json+a2.json", "b.json", "a2.json+a1.json"])
    assert [arm.name for arm in found.arms] == ["a", "b", "a2+a1"]
    assert found.reference.files == ("a1.json", "a2.json")
    assert [(point.file, point.level, point.size) for point in found.reference.points] == [
        ("a1.json", 1, 200_000),
        ("a1.json", 2, 330_000),
        ("a2.json", 1, 500_000),
        ("a2.json", 2, 800_000),
        ("a2.json", 3, 1_200_000),
    ]
    assert (found.held_out, found.views, found.warnings) == (True, ("a.png", "b.png"), ())
    b, same = found.differences
    assert b.arm == "b"
    assert b.rate.value == pytest.approx(10, abs=1e-3)
    assert same.rate.value == pytest.approx(0, abs=1e-12)
    # 1.1 x - 5000 against x - 5000 bytes: more than 10 % apart.
    assert b.rate_without_fixed is not None and b.psnr_without_fixed is not None
    first, last = (100 * (0.1 * x / (x - 5000)) for x in (BENT[0][0], BENT[-1][0]))
    assert last < b.rate_without_fixed.value < first  # type: ignore[operator]
    assert b.psnr_without_fixed.value == pytest.approx(b.psnr.value, abs=0.01)


def test_fixed_bytes_are_taken_off() -> None:
    """Equal but for the grid: no difference without it."""
    write("a.json", BENT, fixed=10_000)
    write("b.json", [(rate + 40_000, psnr) for rate, psnr in BENT], fixed=50_000)
    (row,) = pipeline.compare(["a.json", "b.json"]).differences
    assert row.rate.value is not None and row.rate.value > 5
    assert row.rate_without_fixed is not None
    assert row.rate_without_fixed.value == pytest.approx(0, abs=1e-9)


def test_older_reports_have_no_fixed_bytes() -> None:
    write("a.json", BENT, fixed=None, size=None)
    write("b.json", BENT)
    found = pipeline.compare(["a.json", "b.json"])
    assert found.differences[0].rate_without_fixed is None
    assert found.warnings == ("b: no figures without fixed bytes, which older reports do not have",)


def test_levels_choose_points() -> None:
    for i, point in enumerate(BENT):
        write(f"{i}.json", [(point[0] / 2, point[1] - 3), point])
    arm = "+".join(f"{i}.json" for i in range(5))
    last = pipeline.compare([arm, f"x={arm}"], levels="last")
    assert [(point.size, point.psnr) for point in last.reference.points] == [tuple(p) for p in BENT]
    assert last.reference.beaten == ()
    first = pipeline.compare([arm, f"x={arm}"], levels=(1, 7))
    assert [point.level for point in first.reference.points] == [1] * 5
    assert "0.json: has no level 7" in first.warnings


def test_an_arm_has_points() -> None:
    write("a.json", BENT)
    with pytest.raises(UsageError, match="a has no points"):
        pipeline.compare(["a.json", "b=a.json"], levels=(9,))


def test_curves_that_do_not_rise_are_said() -> None:
    write("a.json", [*BENT, (1_300_000, 31.25)])
    write("b.json", BENT)
    found = pipeline.compare(["a.json", "b.json"])
    assert [point.level for point in found.reference.beaten] == [6]
    assert found.warnings == (
        "a: 1 of 6 points are no smaller and no better than another one and were left out: a.json level 6",
    )
    assert found.differences[0].rate.value == pytest.approx(0)


def test_names_of_arms() -> None:
    for place in ("x", "y"):
        Path(place).mkdir()
        write(f"{place}/fox.json", BENT)
    write("a=b+c.json", BENT)
    assert [arm.name for arm in pipeline.compare(["x/fox.json", "y/fox.json", "a=b+c.json"]).arms] == [
        "x/fox.json",
        "y/fox.json",
        "a=b+c",
    ]
    assert [arm.name for arm in pipeline.compare(["x/fox.json", "new=y/fox.json"]).arms] == ["fox", "new"]


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (["a.json"], "two arms or more"),
        (["a.json+a.json", "b.json"], r"names .*a\.json 2 times"),
        (["a.json+", "b.json"], "an arm is FILE"),
        (["x=a.json", "x=b.json"], None),
        (["a.json", "a.json"], "2 arms are a.json"),
    ],
)
def test_arms_that_make_no_sense(arms: list[str], message: str | None) -> None:
    write("a.json", BENT)
    write("b.json", BENT)
    if message is None:  # one name for two arms: each is called by its files
        assert [arm.name for arm in pipeline.compare(arms).arms] == arms
        return
    with pytest.raises(UsageError, match=message):
        pipeline.compare(arms)


def test_files_that_cannot_be_used() -> None:
    write("a.json", BENT)
    with pytest.raises(InputError, match=r"^nosuch\.json: no such file"):
        pipeline.compare(["a.json", "nosuch.json"])
    good = report(BENT)
    broken: list[Any] = ["", "[]", "{}", json.dumps(good | {"levels": []}), json.dumps(good | {"views": "x"})]
    for change in (
        {"bytes": -1},
        {"bytes": 1e999},
        {"psnr": 10**400},
        {"psnr": "high"},
        {"components": {"grid": 1 << 40}},
        {"level": 0},
    ):
        broken.append(json.dumps(good | {"levels": [good["levels"][0] | change]}))
    for text in broken:
        Path("b.json").write_text(text)
        with pytest.raises(InputError, match=r"^b\.json: is not what gspc eval --json writes"):
            pipeline.compare(["a.json", "b.json"])
    no_size = good | {"levels": [good["levels"][0] | {"bytes": None}]}
    Path("b.json").write_text(json.dumps(no_size))
    with pytest.raises(InputError, match="decoded scene, which has no size"):
        pipeline.compare(["a.json", "b.json"])


def test_other_scenes_are_refused() -> None:
    write("a.json", BENT)
    write("b.json", BENT, views=("a.png", "c.png"))
    with pytest.raises(InputError, match=r"^b\.json: scores 2 views, a\.png and so on.*one scene"):
        pipeline.compare(["a.json", "b.json"])
    write("b.json", BENT, kind="train")
    with pytest.raises(InputError, match=r"^b\.json: scores training views and a\.json held-out ones"):
        pipeline.compare(["a.json", "b.json"])
    write("b.json", BENT, size=(20, 15))
    with pytest.raises(InputError, match=r"^b\.json: a\.png has 20x15 pixels, in a\.json 40x30"):
        pipeline.compare(["a.json", "b.json"])
    write("b.json", BENT, size=None)  # older reports do not say
    assert pipeline.compare(["a.json", "b.json"]).differences[0].rate.value == pytest.approx(0)


def test_levels_equal_to_the_photographs_are_left_out() -> None:
    found = report(BENT)
    found["levels"][-1]["psnr"] = None
    Path("a.json").write_text(json.dumps(found))
    write("b.json", BENT)
    result = pipeline.compare(["a.json", "b.json"])
    assert len(result.reference.points) == 4
    assert result.warnings == ("a.json: 1 levels equal the photographs; left out",)


# ---- the command ----


def test_the_tables(cli: Cli) -> None:
    write("a.json", BENT, fixed=5000)
    write("b.json", scaled(BENT, 1.1), fixed=5000)
    write("c.json", BENT[:3], fixed=6000)
    ran = cli("eval", "--compare", "a.json", "b.json", "c.json")
    assert (ran.code, ran.err) == (0, "")
    rows = [line.split() for line in ran.out.decode().splitlines()]
    assert ["b", "5", "220,000", "to", "1,320,000", "28.00", "to", "31.30", "5,000"] in rows
    psnr = bd_psnr(BENT, scaled(BENT, 1.1)).value
    assert ["b", "all", "bytes", "+10.00", "%", f"{psnr:+.3f}", "dB"] in rows
    nothing = ["n/a:", "3", "points,", "4", "needed"]
    assert ["c", "all", "bytes", *nothing, *nothing] in rows
    assert "Bjontegaard differences from a" in ran.out.decode()


def test_reports_of_a_comparison(cli: Cli) -> None:
    write("a.json", BENT, fixed=5000)
    write("b.json", scaled(BENT, 0.9), fixed=5000)
    ran = cli("eval", "--compare", "a.json", "new=b.json", "--json", "-", "--csv", "out.csv")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert (found["reference"], found["views"], found["view_names"]) == ("a", "test", ["a.png", "b.png"])
    assert found["arms"][1]["points"][0] == {
        "file": "b.json",
        "level": 1,
        "bytes": 180_000,
        "fixed_bytes": 5000,
        "psnr": 28.0,
    }
    (row,) = found["differences"]
    assert row["arm"] == "new"
    assert row["bd_rate_percent"]["value"] == pytest.approx(-10)
    assert row["bd_rate_percent"]["why_not"] is None
    (line,) = csv.DictReader(io.StringIO(Path("out.csv").read_text()))
    assert float(line["bd_rate_percent"]) == row["bd_rate_percent"]["value"]
    assert line["bd_psnr_db_why_not"] == ""


def test_the_plot(cli: Cli) -> None:
    write("a.json", BENT)
    write("b.json", [*scaled(BENT, 1.2), (2_000_000, 31.0)])
    write("$c_d.json", BENT[:1])
    ran = cli("eval", "--compare", "a.json", "b.json", "$c_d.json", "--plot", "curves.png")
    assert ran.code == 0
    assert "BD-rate" in ran.out.decode()
    pixels = np.asarray(Image.open("curves.png").convert("RGB"))
    assert pixels.shape == (750, 1080, 3)
    for color in ("#4c4c4c", "#0868ac", "#d95f02"):  # every arm is drawn
        want = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - want).max(axis=2) < 8).sum() > 50
    again = cli("eval", "--compare", "a.json", "b.json", "$c_d.json", "--plot", "-")
    assert again.out == Path("curves.png").read_bytes()
    ran = cli("eval", "--compare", "a.json", "b.json", "--plot", "curves.png")
    assert (ran.code, ran.err) == (6, "gspc: error: curves.png: exists already; add -f to overwrite it\n")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["a.json"], "--compare needs two arms or more"),
        ([], "--compare needs two arms or more"),
        (["a.json", "b.json", "--data", "d"], "--compare reads scores; it takes no --data"),
        (["a.json", "b.json", "--plot", "x.jpg"], "--plot x.jpg: the picture is a PNG"),
        (["a.json", "b.json", "--json", "-", "--plot", "-"], "--json, --csv and --plot cannot"),
    ],
)
def test_wrong_arguments(cli: Cli, args: list[str], line: str) -> None:
    write("a.json", BENT)
    write("b.json", BENT)
    ran = cli("eval", "--compare", *args)
    assert (ran.code, ran.out) == (2, b"")
    assert ran.err.startswith(f"gspc: error: {line}")
    assert ran.err.count("\n") == 1


def test_comparing_loads_no_torch(tmp_path: Path) -> None:
    write("a.json", BENT)
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    ran = run_fresh(
        "eval", "--compare", "a.json", "b=a.json", "--plot", "x.png", PYTHONPATH=path, cwd=tmp_path
    )
    assert (ran.code, ran.err) == (0, "")
    assert Path("x.png").is_file()


def test_options_of_comparing_need_it(cli: Cli) -> None:
    ran = cli("eval", "a.pcgs", "--data", "d", "--plot", "x.png")
    assert ran.err.startswith("gspc: error: --plot draws the curves of --compare")
    ran = cli("eval", "a.pcgs", "b.pcgs", "--data", "d")
    assert (ran.code, ran.err) == (
        2,
        "gspc: error: one INPUT at a time, not 2; --compare takes several reports\n",
    )
