"""Nothing from a file reaches the terminal as it is, wherever it is printed."""

from __future__ import annotations

import io
import re
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import synthetic
from cli_tools import Cli
from data_scenes import HOSTILE
from rendering_scenes import random_scene

from gspc import pipeline
from gspc.cli import console
from gspc.codec import encode
from gspc.errors import InputError
from gspc.rendering import write_scene

pytestmark = pytest.mark.usefixtures("empty_directory")

ESCAPING = HOSTILE / "escape-in-metadata-key.scene"
ESCAPE = "\x1b]0;owned\x07\x9b31m\u202e\r"


def harmless(*texts: bytes | str) -> None:
    for text in texts:
        plain = text.decode() if isinstance(text, bytes) else text
        assert not [char for char in plain if not char.isprintable() and char != "\n"]


def test_metadata_of_scenes_and_streams(cli: Cli) -> None:
    metadata = {f"key{ESCAPE}": f"value{ESCAPE}", "preset": f"gspc{ESCAPE}"}
    scene = write_scene(replace(random_scene(), metadata=metadata))
    stream = encode(replace(synthetic.tiny(20), metadata=metadata))
    for data in (scene, stream):
        for args in ([], ["--json"], ["--debug"]):
            ran = cli("inspect-bitstream", *args, stdin=data)
            assert ran.code == 0
            harmless(ran.out, ran.err)
    assert "key?]0;owned??31m??" in cli("inspect-bitstream", stdin=scene).out.decode()


@pytest.mark.skipif(not ESCAPING.is_file(), reason="the shared hostile files are not here")
@pytest.mark.parametrize("args", [[], ["--debug"], ["--json"]])
def test_the_shared_hostile_scene(cli: Cli, args: list[str]) -> None:
    ran = cli("inspect-bitstream", ESCAPING, *args)
    assert (ran.code, bool(ran.out)) == (0, True), ran.err
    harmless(ran.out, ran.err)


def test_errors_and_their_tracebacks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        try:
            raise ValueError(f"inner{ESCAPE}")
        except ValueError as error:
            raise InputError(f"outer{ESCAPE}") from error

    monkeypatch.setattr(pipeline, "write_demo_scene", fail)
    ran = cli("demo-scene", "x", "--debug")
    harmless(ran.err)
    assert "Traceback" in ran.err and "inner?]0;owned" in ran.err and len(ran.lines) > 5
    ran = cli("demo-scene", "x")
    harmless(ran.err)
    assert len(ran.lines) == 1


def test_everything_that_prints(capsys: pytest.CaptureFixture[str]) -> None:
    console.note(ESCAPE)
    console.warn(ESCAPE)
    console.error(ESCAPE)
    console.err(ESCAPE)
    console.out(f"a{ESCAPE}\nb")
    table = console.table(f"title{ESCAPE}", f"left{ESCAPE}", f">right{ESCAPE}")
    table.add_row(ESCAPE, ESCAPE)
    console.show(f"text{ESCAPE}", table, console.facts([(ESCAPE, ESCAPE)]))
    shown = capsys.readouterr()
    harmless(shown.out, shown.err)
    assert "a?]0;owned??31m??\nb\n" in shown.out


def test_paths_that_are_no_text_do_not_stop_a_command(cli: Cli) -> None:
    ran = cli("inspect-bitstream", "\udcff.pcgs")
    assert (ran.code, ran.err) == (3, "gspc: error: %FF.pcgs: no such file; check the path\n")


def test_warnings_of_libraries_are_no_messages(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def warns(*args: Any, **options: Any) -> None:
        warnings.warn(f"overflow{ESCAPE}", RuntimeWarning, stacklevel=2)

    monkeypatch.setattr(pipeline, "write_demo_scene", warns)
    before = warnings.showwarning
    assert cli("demo-scene", "x").err == "gspc: x: demo scene written\n"
    ran = cli("demo-scene", "x", "--debug")
    assert ran.lines[0].startswith("gspc: warning: RuntimeWarning: overflow?]0;owned")
    harmless(ran.err)
    assert warnings.showwarning is before


def test_tables_lose_no_text_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that needs more columns than there are is shown as wide as it needs to be."""
    shown = _on_terminal(monkeypatch, 30, lambda: console.show(_wide_table()))
    assert {"first", "arm"} <= set(shown.split())
    assert "12,345,678 to 23,456,789" in shown and "34.56 (+0.12 %)" in shown and "…" not in shown


def test_columns_that_do_not_fit_follow_below(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ["level", *(f">{level}" for level in range(1, 7))]
    rows = [["anchors alive", *(f"{level * 1111:,}" for level in range(1, 7))], None, ["all", *"abcdef"]]
    wide = _on_terminal(monkeypatch, 100, lambda: console.show(*console.tables("Added", columns, rows)))
    narrow = _on_terminal(monkeypatch, 40, lambda: console.show(*console.tables("Added", columns, rows)))
    assert wide.count("anchors alive") == 1 and wide.count("Added") == 1
    assert narrow.count("anchors alive") > 1 and narrow.count("Added") == 1
    assert max(len(line) for line in narrow.splitlines()) <= 40
    for text in ("1,111", "6,666", "a", "f"):
        assert text in narrow.split()


def _wide_table() -> Any:
    table = console.table("Curves", "arm", ">bytes", ">quality")
    table.add_row("first arm", "12,345,678 to 23,456,789", "34.56 (+0.12 %)")
    return table


def _on_terminal(monkeypatch: pytest.MonkeyPatch, width: int, act: Callable[[], None]) -> str:
    """What is printed on a terminal of so many columns, without its colors."""
    out = _Terminal()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setenv("COLUMNS", str(width))
        patch.setenv("TERM", "xterm")
        act()
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())


class _Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True
