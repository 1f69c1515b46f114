"""eval --report: one page that opens without network, whatever names and pictures it is given."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import STREAM, Cli
from test_cli_eval import evaluation

from gspc import pipeline
from gspc.cli.evaluate import as_json
from gspc.pipeline.report.album import BUDGET, MOST, SHADES, WHITE_AT, Album, chosen, error_map
from gspc.scene import F32, U8, Camera

CHROMIUM = shutil.which("chromium")
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>.png"


def camera(name: str, width: int, height: int) -> Camera:
    return Camera(name, width, height, width, width, width / 2, height / 2, np.eye(4))


def noise(height: int, width: int, seed: int = 0) -> U8:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def as_image(picture: U8) -> F32:
    return picture.astype(np.float32) / 255


def test_few_views_are_all_shown_and_many_are_spread() -> None:
    assert chosen(MOST) == set(range(MOST))
    picked = sorted(chosen(100))
    assert len(picked) == MOST and picked[0] == 0 and picked[-1] == 99
    assert max(np.diff(picked)) - min(np.diff(picked)) <= 1


def test_the_error_map_is_black_without_error_white_from_a_fifth_and_blind_where_masked() -> None:
    target = np.full((2, 3, 3), 100, np.uint8)
    image = as_image(target)
    image[0, 1] += WHITE_AT
    image[0, 2] += WHITE_AT / 4
    image[1] += WHITE_AT
    mask = np.array([[True] * 3, [False] * 3])
    shown = error_map(image, target, mask)
    assert (shown[0, 0] == SHADES[0]).all() and (shown[1] == SHADES[0]).all()
    assert (shown[0, 1] == SHADES[-1]).all() and (shown[0, 2] == SHADES[1]).all()
    assert (error_map(image, target, None)[1] == SHADES[-1]).all()


@pytest.mark.parametrize("count", [1, 40])
def test_pictures_keep_to_their_budget_and_are_as_large_as_it_allows(count: int) -> None:
    """Noise is the hardest to code: one view of it is kept at its size, many become small."""
    album = Album()
    for index in range(count):
        for level in (1, 2):
            target = noise(300, 400, index)
            album.add(level, index, count, camera(f"{index}.png", 400, 300), as_image(target), target, None)
    views = album.pictures()
    assert len(views) == min(count, MOST)
    assert views[0]["width"] == 400 if count == 1 else views[0]["width"] <= 400
    urls = [view["photograph"] for view in views]
    urls += [url for view in views for level in view["levels"].values() for url in level.values()]
    assert len(urls) == 5 * len(views) and all(url.startswith("data:image/webp;base64,") for url in urls)
    assert sum(len(base64.b64decode(url.partition(",")[2])) for url in urls) <= BUDGET


def hostile_page() -> str:
    result = evaluation(source=HOSTILE, warnings=(HOSTILE,))
    album = Album()
    target = noise(30, 40)
    for level in (1, 2):
        album.add(level, 0, 1, camera(HOSTILE, 40, 30), as_image(target), target, None)
    return pipeline.report_page(as_json(result), album, result.warnings)


def test_the_page_runs_its_own_program_only_and_loads_nothing() -> None:
    text = hostile_page()
    rules = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', text)[0])
    assert rules.startswith("default-src 'none'; img-src data:;") and "unsafe" not in rules
    (program,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    for part, kind in ((program, "script"), (style, "style")):
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in rules
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    shown = json.loads(data)
    assert shown["source"] == HOSTILE and shown["pictures"][0]["name"] == HOSTILE
    assert text.count("<script") == 2


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_a_browser_shows_figures_and_takes_names_for_text(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(hostile_page())
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    command = [str(CHROMIUM), *flags, f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in ran.stderr, ran.stderr
    shown = ran.stdout
    assert "<title>taken" not in shown and f'<h1 id="title">{html.escape(HOSTILE, quote=False)}</h1>' in shown
    assert "<td>25.00</td>" in shown and "<td>27.50</td>" in shown and 'id="level-name">2, 2 kB<' in shown
    assert shown.count('class="point') == 2 and shown.count('role="option"') == 1


def test_eval_writes_the_page(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def evaluate(source: Any, directory: Path, **options: Any) -> pipeline.Evaluation:
        target = noise(30, 40)
        options["album"].add(1, 0, 1, camera("a.png", 40, 30), as_image(target), target, None)
        return evaluation()

    cli.monkeypatch.setattr(pipeline, "evaluate", evaluate)
    ran = cli("eval", "--data", "photos", "--report", "r.html", stdin=STREAM)
    assert ran.code == 0 and "25.00" in ran.out.decode()
    assert "data:image/webp" in Path("r.html").read_text()
    again = cli("eval", "--data", "photos", "--report", "r.html", stdin=STREAM)
    assert again.code == 6 and "exists already; add -f" in again.err
    same = cli("eval", "--data", "photos", "--report", "x.json", "--json", "x.json", stdin=STREAM)
    assert same.code == 2 and "cannot write to the same place" in same.err
