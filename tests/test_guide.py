"""The guide, the README and the man pages: their commands exist, their examples run, no page is missing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from api_workspace import run_example, workspace
from cli_tools import ROOT, environment
from command_lines import INLINE, commands, fences, problem, unknown

GUIDE = ROOT / "man" / "guide"
PAGES = sorted(GUIDE.rglob("*.md"))
TEXTS = [ROOT / "README.md", *PAGES]
MAN_PAGES = sorted((ROOT / "man").glob("*.1"))
SITE_TOOLS = ("mkdocs", "material", "mkdocstrings_handlers", "pypandoc")


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def navigation() -> list[str]:
    """Addresses of the pages in the site's menu."""
    menu = (ROOT / "man" / "mkdocs.yml").read_text().partition("\nnav:")[2]
    return re.findall(r"- (\S+\.md)$", menu, re.MULTILINE)


def test_every_page_is_in_the_menu() -> None:
    made = {f"reference/commands/{path.stem}.md" for path in MAN_PAGES}
    made |= {"reference/format.md", "reference/index-format.md"}
    written = {path.relative_to(GUIDE).as_posix() for path in PAGES}
    assert sorted(navigation()) == sorted(written | made)


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_links_lead_somewhere(path: Path) -> None:
    known = {(GUIDE / address).resolve() for address in navigation()}
    links = re.findall(r"\]\(([^)#]+\.md)", path.read_text())
    assert [link for link in links if (path.parent / link).resolve() not in known] == []


@pytest.mark.parametrize("path", TEXTS, ids=ids)
def test_commands_are_understood(path: Path) -> None:
    text = path.read_text()
    lines = [line for block in fences(text, "sh", "make") for line in commands(block)]
    assert [(line, why) for line in lines if (why := problem(line)) is not None] == []
    assert [(found, names) for found in INLINE.findall(text) if (names := unknown(found))] == []


@pytest.mark.parametrize("path", MAN_PAGES, ids=ids)
def test_examples_of_man_pages_are_understood(path: Path) -> None:
    examples = path.read_text().partition(".SH EXAMPLES")[2].partition(".SH")[0].replace("\\-", "-")
    lines = list(commands(examples.replace("\\(aq", "'").replace("\\e", "\\")))
    assert lines and [(line, why) for line in lines if (why := problem(line)) is not None] == []


@pytest.mark.parametrize("path", [p for p in TEXTS if ">>> " in p.read_text()], ids=ids)
def test_python_examples_run(path: Path) -> None:
    blocks = list(fences(path.read_text(), "pycon"))
    with workspace():
        assert run_example("\n".join(blocks), path.name) >= 1


def test_wrong_commands_are_found() -> None:
    text = """
```sh
gspc fit photos -o model.pt --iterationz 5 | tee log
FIT=1 srun gspc compress model.pt --levels two > x && gspc rendr
for f in *; do gspc render $f; done
gspc decompress a.pcgs --upto 2 2>/dev/null | gspc render
```
`gspc fit --nothing` and `gspc fit --resume`, `gspc evaluate x`
"""
    (block,) = fences(text, "sh")
    found = [(line[0], problem(line)) for line in commands(block)]
    assert [name for name, _ in found] == ["fit", "compress", "rendr", "render", "decompress", "render"]
    assert [why is not None for _, why in found] == [True, True, True, False, False, False]
    assert "--iterationz" in str(found[0][1])
    assert [unknown(mention) for mention in INLINE.findall(text)] == [["--nothing"], [], ["evaluate"]]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_makefile_for_many_scenes_works(tmp_path: Path) -> None:
    (text,) = fences((GUIDE / "how-to" / "cluster.md").read_text(), "make")
    (tmp_path / "gspc").write_text(f'#!/bin/sh\nexec {sys.executable} -m gspc "$@"\n')
    (tmp_path / "gspc").chmod(0o755)
    env = environment(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with workspace() as folder:
        (folder / "scenes").mkdir()
        (folder / "photos").rename(folder / "scenes" / "one")
        (folder / "Makefile").write_text(text)
        fit = "FIT=--iterations 10 --levels 1"
        run = subprocess.run(["make", fit], env=env, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert {path.name for path in (folder / "out").iterdir()} == {"one.pt", "one.pcgs", "one.json"}
        again = subprocess.run(["make", fit], env=env, capture_output=True, text=True, check=True)
        assert "Nothing to be done" in again.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in SITE_TOOLS), reason="gspc[docs] is not installed"
)
def test_the_site_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--config-file", "man/mkdocs.yml"]
    env = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    run = subprocess.run(
        [*command, "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    pages = {
        path.relative_to(tmp_path / "site").with_suffix(".md").as_posix() for path in tmp_path.rglob("*.html")
    }
    assert pages >= set(navigation())
    for path in (tmp_path / "site").rglob("*.html"):
        text = path.read_text()
        loaded = re.findall(
            r"<(?:script|img|link|iframe|source)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^>]*", text
        )
        assert loaded == [], path
    for path in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", path.read_text()), path
