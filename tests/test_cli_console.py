"""Nothing from a file reaches the terminal as it is, wherever it is printed."""

from __future__ import annotations

import warnings
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
