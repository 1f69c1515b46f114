"""gspc join, and the index that it writes: what it says, what it refuses, and damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli
from synthetic import tiny
from tile_scenes import STREET, city_tile, put, refused, write_city

from gspc.codec import decode, encode
from gspc.format import describe
from gspc.format.tile import KEY
from gspc.tiles import read_index, write_index


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Path:
    """city.pcgsx over tiles/, in the current directory."""
    write_city(tmp_path, 2, 1)
    monkeypatch.chdir(tmp_path)
    ran = cli("join", "tiles/0-0.pcgs", "tiles/1-0.pcgs", "-o", "city.pcgsx")
    assert ran.code == 0, ran.err
    return tmp_path / "city.pcgsx"


def test_the_index_says_what_streams_hold(city: Path) -> None:
    index = read_index(city.read_bytes())
    assert [tile.file for tile in index.tiles] == ["tiles/0-0.pcgs", "tiles/1-0.pcgs"]
    assert index.frame.to_plain() == STREET.to_plain()
    for tile in index.tiles:
        data = (city.parent / tile.file).read_bytes()
        assert [row.size for row in tile.levels] == [x.offset + x.length for x in describe(data).levels]
        assert tile.levels[-1].size == len(data)
        for level, row in enumerate(tile.levels, start=1):
            scene = decode(data, upto=level).scene
            assert (row.anchors, row.gaussians) == (len(scene.anchors), int(scene.gaussian_mask.sum()))
        places = index.frame.to_canonical(scene.frame.to_user(scene.anchors))
        np.testing.assert_allclose((tile.floor, tile.ceiling), (places.min(0), places.max(0)))
    assert len({camera.name for camera in index.cameras}) == len(index.cameras) >= 1
    assert write_index(index) == city.read_bytes()


def test_the_reach_covers_every_gaussian(city: Path) -> None:
    index = read_index(city.read_bytes())
    tile = index.tiles[0]
    scene = decode((city.parent / tile.file).read_bytes()).scene
    scales = np.exp(scene.log_scales)
    means = scene.anchors[:, None] + scene.offsets * scales[:, None, :3]
    alive = means[scene.gaussian_mask]
    plan = index.frame.to_canonical(scene.frame.to_user(alive))[:, (0, 2)]
    beyond = np.maximum(tile.low - plan, plan - tile.high).max()
    assert tile.reach >= beyond
    assert tile.sigma >= 0.99 * float(scales[:, 3:].max()) * scene.frame.scale / index.frame.scale


def test_join_says_what_it_joined(city: Path, cli: Cli) -> None:
    ran = cli("join", "tiles/0-0.pcgs", "tiles/1-0.pcgs", "-o", "city.pcgsx", "-f", "--json", "-q")
    found = json.loads(ran.out)
    assert (found["tiles"], found["levels"]) == (2, 2)
    sizes = [(city.parent / "tiles" / name).stat().st_size for name in ("0-0.pcgs", "1-0.pcgs")]
    assert found["bytes_up_to_level"][-1] == sum(sizes)
    assert cli("join", "tiles/0-0.pcgs", "-o", "city.pcgsx").code == 6


def save(name: str, scene: Any) -> None:
    Path(name).write_bytes(encode(scene))


BLOCK = tiny(20, levels=2, views=1)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: city_tile(BLOCK, 1, 0, replace(STREET, scale=3.0)), "their frames differ"),
        (lambda: replace(city_tile(BLOCK, 1, 0), background=(1.0, 1.0, 1.0)), "another background"),
        (lambda: city_tile(BLOCK, 0, 0), "name each tile once"),
        (lambda: renamed(city_tile(BLOCK, 0, 0), "again"), "overlaps that of tiles/0-0.pcgs"),
        (lambda: BLOCK, "is no tile"),
        (lambda: replace(BLOCK, metadata={KEY: "?"}), "its tile is damaged"),
    ],
)
def test_streams_that_do_not_fit_together(city: Path, cli: Cli, other: Callable[[], Any], words: str) -> None:
    save("other.pcgs", other())
    ran = cli("join", "tiles/0-0.pcgs", "other.pcgs", "-o", "new.pcgsx")
    assert (ran.code, len(ran.lines)) == (3, 1), ran.err
    assert words in ran.err and "other.pcgs" in ran.err
    assert not Path("new.pcgsx").exists()


def renamed(scene: Any, name: str) -> Any:
    values = json.loads(scene.metadata[KEY])
    return replace(scene, metadata={KEY: json.dumps({**values, "name": name})})


def test_streams_elsewhere_and_cut_ones_are_refused(city: Path, cli: Cli) -> None:
    Path("deep").mkdir()
    ran = cli("join", "tiles/0-0.pcgs", "-o", "deep/new.pcgsx")
    assert (ran.code, len(ran.lines)) == (3, 1) and "outside of the index's folder" in ran.err
    Path("cut.pcgs").write_bytes(Path("tiles/0-0.pcgs").read_bytes()[:-7])
    ran = cli("join", "cut.pcgs", "-o", "new.pcgsx")
    assert (ran.code, len(ran.lines)) == (4, 1) and "cut short" in ran.err
    assert cli("join", "tiles/0-0.pcgs").code == 2
    assert cli("join", "gone.pcgs", "-o", "new.pcgsx").code == 3


def test_inspect_says_what_an_index_holds(city: Path, cli: Cli) -> None:
    found = json.loads(cli("inspect-bitstream", "city.pcgsx", "--json").out)
    assert (found["kind"], found["levels"], len(found["header"]["tiles"])) == ("tiles", 2, 2)
    assert (
        found["bytes_up_to_level"][-1]
        == found["bytes"]
        == sum(path.stat().st_size for path in (city, *(city.parent / "tiles").iterdir()))
    )
    assert cli("inspect-bitstream", "city.pcgsx", "--check").code == 0
    assert cli("inspect-bitstream", "city.pcgsx", "--rates").code == 2


def test_inspect_finds_tiles_that_are_missing_or_damaged(city: Path, cli: Cli) -> None:
    data = bytearray(Path("tiles/0-0.pcgs").read_bytes())
    data[-9] ^= 1
    Path("tiles/0-0.pcgs").write_bytes(data)
    assert cli("inspect-bitstream", "city.pcgsx").code == 0
    ran = cli("inspect-bitstream", "city.pcgsx", "--check")
    assert ran.code == 4 and "tiles/0-0.pcgs" in ran.err and "checksum" in ran.err
    Path("tiles/1-0.pcgs").unlink()
    assert "no such file" in cli("inspect-bitstream", "city.pcgsx").err


@pytest.mark.parametrize("command", ["compress", "decompress", "eval"])
def test_other_commands_say_what_takes_an_index(city: Path, cli: Cli, command: str) -> None:
    more = ("--data", "tiles") if command == "eval" else ("-o", "out")
    ran = cli(command, "city.pcgsx", *more)
    assert (ran.code, len(ran.lines)) == (3, 1), ran.err
    assert "index of tiles" in ran.err


def test_an_index_from_a_pipe_leads_nowhere(city: Path, cli: Cli) -> None:
    ran = cli("render", "-", "-o", "a.png", stdin=city.read_bytes())
    assert (ran.code, len(ran.lines)) == (3, 1) and "give the file's name" in ran.err


HOSTILE = [
    ("version", 3, "update gspc"),
    ("version", "1", "not a whole number"),
    ("version", True, "not a whole number"),
    ("frame", [], "no frame"),
    ("frame.scale", 0, "frame"),
    ("frame.rotation", [[1]], "no frame"),
    ("frame.scale", 10**400, "frame"),
    ("background", [0, 0], "entries"),
    ("background", [0, 0, 7], "not within"),
    ("cameras", {}, "not a list"),
    ("cameras.0.size", [10**9, 1], "not within"),
    ("cameras.0.intrinsics", [0, 0, 0, 0], "focal"),
    ("cameras.0.world_to_camera", "no", "camera"),
    ("tiles", [], "0 entries"),
    ("tiles", [1], "not a table"),
    ("tiles", None, "not a list"),
    ("tiles.1.name", "0-0", "one name"),
    ("tiles.1.name", "\x1b[2J", "control characters"),
    ("tiles.1.x", [3, 2], "empty"),
    ("tiles.1.x", "all", "no pair"),
    ("tiles.1.anchors_from", [0, 0, 1e300], "not within"),
    ("tiles.1.sigma", -1, "not within"),
    ("tiles.1.reach", None, "not a number"),
    ("tiles.1.spread", 1e300, "not within"),
    ("tiles.1.levels", [], "0 entries"),
    ("tiles.1.levels", [{}] * 9, "9 entries"),
    ("tiles.1.levels.0.end", 10**30, "not within"),
    ("tiles.1.levels.0.end", 10**9, "do not grow"),
    ("tiles.1.levels.0.anchors", -1, "not within"),
    ("tiles.1.levels.0.memory", 0.5, "not a whole number"),
    ("tiles.0.file", "../secret", "leads out"),
    ("tiles.0.file", "/etc/passwd", "leads out"),
    ("tiles.0.file", "tiles/../../x", "leads out"),
    ("tiles.0.file", "C:/x", "leads out"),
    ("tiles.0.file", "tiles\\..\\x", "leads out"),
    ("tiles.0.file", "", "leads out"),
    ("tiles.0.file", "a\0b", "leads out"),
    ("tiles.0.file", 5, "not a text"),
]


@pytest.mark.parametrize(("path", "value", "words"), HOSTILE)
def test_hostile_values_end_in_one_line(city: Path, cli: Cli, path: str, value: Any, words: str) -> None:
    refused(city, cli, put(path, value), words)


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"}",
        b', "version": NaN}',
        b', "tiles": ' + b"[" * 100_000,
        b', "x": 1' + b"0" * 9000 + b"}",
        b"\xff",
    ],
)
def test_hostile_bytes_end_in_one_line(city: Path, cli: Cli, tail: bytes) -> None:
    Path("bad.pcgsx").write_bytes(b'{"format": "gspc-tiles"' + tail)
    ran = cli("inspect-bitstream", "bad.pcgsx")
    assert (ran.code, len(ran.lines)) == (3, 1), ran.err


def test_links_that_lead_out_are_not_followed(city: Path, cli: Cli, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside") / "x.pcgs"
    outside.write_bytes(Path("tiles/0-0.pcgs").read_bytes())
    Path("tiles/0-0.pcgs").unlink()
    Path("tiles/0-0.pcgs").symlink_to(outside)
    ran = cli("render", "city.pcgsx", "-o", "a.png", "--view", "0")
    assert (ran.code, len(ran.lines)) == (3, 1)
    assert "leads out of the index's folder" in ran.err


def test_a_stream_that_was_replaced_is_found_out(city: Path, cli: Cli) -> None:
    save("tiles/0-0.pcgs", city_tile(tiny(50, levels=2, views=1, seed=5), 0, 0))
    ran = cli("render", "city.pcgsx", "-o", "a.png", "--view", "0")
    assert ran.code in (3, 4) and len(ran.lines) == 1 and "0-0.pcgs" in ran.err
