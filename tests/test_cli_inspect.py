"""inspect-bitstream: the tables, JSON, --check, --map."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cli_tools import STREAM, Cli
from rendering_scenes import random_scene

from gspc import pipeline
from gspc.pipeline import ChunkRow, Inspection, Part
from gspc.pipeline.inspection import Alive
from gspc.rendering import write_scene

pytestmark = pytest.mark.usefixtures("empty_directory")

SCENE = random_scene(cameras=3)


def inspection(**changes: Any) -> Inspection:
    values: dict[str, Any] = {
        "source": "s.pcgs",
        "kind": "pcgs",
        "size": 1000,
        "levels": 2,
        "whole_levels": 2,
        "facts": (("version", "1.0"), ("scene", "x\x1b]0;y")),
        "prefix_bytes": (600, 1000),
        "parts": (Part("networks", None, 100), Part("features", 1, 500), Part("features", 2, 400)),
        "chunks": tuple(ChunkRow("SLCE", 1, i, 100 * i, 100, "") for i in range(50)),
        "problems": (),
        "rows": (Alive(20, 90), Alive(30, 100)),
    }
    return Inspection(**(values | changes))


def test_inspect_shows_where_the_bytes_go(cli: Cli) -> None:
    cli.monkeypatch.setattr(pipeline, "inspect", lambda source, **_: inspection())
    ran = cli("inspect-bitstream", stdin=STREAM)
    assert (ran.code, ran.err) == (0, "")
    text = ran.out.decode()
    assert "s.pcgs: stream, 1,000 bytes, 2 levels" in text
    assert "\x1b" not in text
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "features", "500", "50.0", "█" * 24] in rows
    assert ["2", "features", "400", "40.0"] in [row[:4] for row in rows]
    assert ["1", "20", "90", "600", "60.0"] in rows
    assert ["2", "30", "100", "1,000", "100.0"] in rows
    assert text.index("file up to here") < text.index("Where the bytes go")
    assert "SLCE" not in text
    text = cli("inspect-bitstream", "--chunks", stdin=STREAM).out.decode()
    assert text.count("SLCE") == 50


def test_inspect_json(cli: Cli) -> None:
    cli.monkeypatch.setattr(
        pipeline,
        "inspect",
        lambda source, **_: inspection(whole_levels=1, problems=("cut",)),
    )
    ran = cli("inspect-bitstream", "--json", stdin=STREAM)
    assert ran.code == 0
    report = json.loads(ran.out)
    assert report["bytes"] == 1000
    assert (report["levels"], report["whole_levels"], report["problems"]) == (2, 1, ["cut"])
    assert report["components"][1] == {"name": "features", "level": 1, "bytes": 500}
    assert len(report["chunks"]) == 50
    assert report["chunks"][3] == {
        "tag": "SLCE",
        "level": 1,
        "slice": 3,
        "offset": 300,
        "bytes": 100,
        "status": "",
    }
    assert ran.err == "gspc: warning: s.pcgs: cut\n"


def test_inspect_check(cli: Cli) -> None:
    cli.monkeypatch.setattr(pipeline, "sound_levels", lambda source: (2, None))
    cli.monkeypatch.setattr(pipeline, "inspect", lambda source, **_: inspection())
    ran = cli("inspect-bitstream", "--check", stdin=STREAM)
    assert (ran.code, ran.err) == (0, "gspc: s.pcgs: 50 chunks verified, no damage\n")
    cli.monkeypatch.setattr(pipeline, "inspect", lambda source, **_: inspection(problems=("a", "b")))
    ran = cli("inspect-bitstream", "--check", stdin=STREAM)
    assert ran.code == 4
    assert ran.lines[-1].startswith("gspc: error: s.pcgs: is damaged; get the file again")


def test_inspect_a_decoded_scene(cli: Cli) -> None:
    data = write_scene(SCENE)
    ran = cli("inspect-bitstream", "--json", stdin=data)
    assert ran.code == 0
    report = json.loads(ran.out)
    assert report["kind"] == "scene"
    assert sum(part["bytes"] for part in report["components"]) == report["bytes"] == len(data)
    assert report["header"]["anchors"] == 50
    assert cli("inspect-bitstream", stdin=data).code == 0
