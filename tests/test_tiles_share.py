"""gspc join --share: what tiles have in common is stored once, and every tile is there as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli
from tile_scenes import SIDE, put, refused, street_camera, write_city

import gspc
from gspc import pipeline
from gspc.errors import InputError
from gspc.format import describe
from gspc.tiles import TiledScene, read_index, united
from gspc.tiles.join import read_tile_stream
from gspc.tiles.share import write_shared


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Path:
    """Four tiles as they are (plain.pcgsx), and shared (city.pcgsx, parts/)."""
    write_city(tmp_path, 2, 2, levels=3)
    monkeypatch.chdir(tmp_path)
    streams = sorted(map(str, Path("tiles").iterdir()))
    assert cli("join", *streams, "-o", "plain.pcgsx").code == 0
    ran = cli("join", *streams, "-o", "city.pcgsx", "--share", "parts")
    assert ran.code == 0, ran.err
    return tmp_path / "city.pcgsx"


def opened(path: Path | str, **options: Any) -> TiledScene:
    return pipeline.tiled_scene(pipeline.load_source(Path(path)), **options)


def test_every_level_of_every_tile_is_there_byte_for_byte(city: Path) -> None:
    scene = opened(city)
    for tile in scene.index.tiles:
        column, row = tile.name.split("-")
        whole = Path(f"tiles/{column}-{row}.pcgs").read_bytes()
        for level, end in enumerate(tile.levels, start=1):
            assert scene.files.read(tile, level) == whole[: end.size]


def test_what_tiles_share_is_stored_once(city: Path) -> None:
    index = read_index(city.read_bytes())
    stored = sum(path.stat().st_size for path in Path("parts").iterdir())
    shared = index.shared.size
    assert shared > 1000 and Path("parts/shared.chunks").stat().st_size == shared
    whole = sum(path.stat().st_size for path in Path("tiles").iterdir())
    assert stored == whole - 3 * shared == index.total(3).size
    for tile in index.tiles:
        stream = describe(opened(city).files.read(tile, 3))
        begins = {chunk.offset: chunk.tag for chunk in stream.chunks}
        assert {begins[cut.at] for cut in tile.cuts} <= {"GRID", "GHED", "NETS", "cams"}
        assert (city.parent / tile.file).stat().st_size == tile.stored(3)
    assert index.total(1).size < index.total(2).size < index.total(3).size


def test_streams_are_untouched_and_needed_no_more(city: Path, cli: Cli) -> None:
    before = opened("plain.pcgsx").renderer().render(street_camera((SIDE, -1.0, -SIDE)))
    sizes = {path: path.read_bytes() for path in Path("tiles").iterdir()}
    assert cli("join", *map(str, sizes), "-o", "city.pcgsx", "--share", "parts", "-f").code == 0
    assert all(path.read_bytes() == data for path, data in sizes.items())
    for path in sizes:
        path.unlink()
    after = opened(city).renderer().render(street_camera((SIDE, -1.0, -SIDE)))
    np.testing.assert_array_equal(after, before)
    assert cli("inspect-bitstream", "city.pcgsx", "--check").code == 0
    assert b"stored once" in cli("inspect-bitstream", "city.pcgsx").out
    ran = cli("export", "city.pcgsx", "--no-check", "-o", "city.splat")
    assert ran.code == 0, ran.err
    ran = cli("join", "city.pcgsx", "--restore", "again")
    assert ran.code == 0, ran.err
    assert {path.name: path.read_bytes() for path in Path("again").iterdir()} == {
        path.name: data for path, data in sizes.items()
    }
    assert cli("join", "city.pcgsx", "--restore", "again").code == 6


def test_streams_may_lie_anywhere_when_shared(city: Path, cli: Cli) -> None:
    Path("deep").mkdir()
    ran = cli("join", "tiles/0-0.pcgs", "tiles/1-0.pcgs", "-o", "deep/new.pcgsx", "--share", "deep/parts")
    assert ran.code == 0, ran.err
    assert gspc.open("deep/new.pcgsx").levels == 3
    ran = cli("join", "tiles/0-0.pcgs", "-o", "deep/other.pcgsx", "--share", "elsewhere")
    assert (ran.code, "outside of the index's folder" in ran.err) == (3, True), ran.err
    ran = cli("join", "tiles/0-0.pcgs", "-o", "new.pcgsx", "--share", "tiles", "-f")
    assert (ran.code, "would be lost" in ran.err) == (6, True), ran.err
    assert cli("join", "tiles/0-0.pcgs", "-o", "new.pcgsx", "--share", "parts").code == 6


def test_nothing_in_common_is_nothing_shared(city: Path, cli: Cli) -> None:
    ran = cli("join", "tiles/0-0.pcgs", "-o", "one.pcgsx", "--share", "one")
    assert ran.code == 0, ran.err
    index = read_index(Path("one.pcgsx").read_bytes())
    assert json.loads(Path("one.pcgsx").read_bytes())["version"] == 1
    assert index.shared.size == 0 and index.tiles[0].cuts == ()
    assert Path("one/tile-1.part").read_bytes() == Path("tiles/0-0.pcgs").read_bytes()


def test_join_says_what_could_be_saved(city: Path, cli: Cli) -> None:
    streams = sorted(map(str, Path("tiles").iterdir()))
    ran = cli("join", *streams, "-o", "plain.pcgsx", "-f")
    saved = 3 * read_index(city.read_bytes()).shared.size
    assert f"{saved:,} bytes of these could be saved" in ran.err
    assert "could be saved" not in cli("join", *streams, "-o", "city.pcgsx", "--share", "parts", "-f").err


def test_shared_bytes_count_as_memory(city: Path) -> None:
    camera = street_camera((SIDE, -1.0, -SIDE))
    own = opened(city).index.frame.camera_to_canonical(camera)
    plain, shared = opened("plain.pcgsx"), opened(city)
    drawn = plain.plan(own)
    assert shared.memory(drawn) == plain.memory(drawn) + shared.index.shared.size


def test_damaged_pieces_are_found_out(city: Path, cli: Cli) -> None:
    store = Path("parts/shared.chunks")
    data = bytearray(store.read_bytes())
    data[100] ^= 1
    store.write_bytes(data)
    ran = cli("render", "city.pcgsx", "-o", "a.png", "--view", "0")
    assert (ran.code, len(ran.lines)) == (3, 1), ran.err
    assert "shared.chunks: is damaged at byte 0" in ran.err
    ran = cli("inspect-bitstream", "city.pcgsx")
    assert "shared.chunks: is damaged" in ran.err
    store.unlink()
    assert "no such file" in cli("render", "city.pcgsx", "-o", "a.png", "--view", "0").err


def test_a_part_alone_is_no_stream(city: Path, cli: Cli) -> None:
    for name in ("parts/tile-1.part", "parts/shared.chunks"):
        ran = cli("render", name, "-o", "a.png", "--view", "0")
        assert ran.code in (3, 4) and len(ran.lines) == 1, ran.err


HOSTILE = [
    ("shared_file", "../shared", "leads out"),
    ("shared", [], "0 entries"),
    ("shared.0.length", 0, "not within"),
    ("shared.0.length", 10**12, "not within"),
    ("shared.0.offset", -1, "not within"),
    ("shared.1.offset", 0, "not within"),
    ("shared.0.sha256", "no", "no SHA-256"),
    ("tiles.1.cuts.0.shared", 99, "not within"),
    ("tiles.1.cuts.0.at", 10**9, "does not lie within a level"),
    ("tiles.1.cuts.0.at", -1, "not within"),
    ("tiles.1.cuts", 5, "not a list"),
    ("tiles.1.cuts", [5], "not a table"),
]


@pytest.mark.parametrize(("path", "value", "words"), HOSTILE)
def test_hostile_cuts_end_in_one_line(city: Path, cli: Cli, path: str, value: Any, words: str) -> None:
    refused(city, cli, put(path, value), words)


def test_a_cut_across_a_level_is_refused(city: Path) -> None:
    content = json.loads(city.read_bytes())
    tile = content["tiles"][0]
    tile["cuts"] = [{"at": tile["levels"][0]["end"] - 1, "shared": 0}]
    with pytest.raises(InputError, match="within a level"):
        read_index(json.dumps(content).encode())


def test_a_stream_that_changes_while_it_is_joined(city: Path) -> None:
    streams = sorted(Path("tiles").iterdir())
    found = [read_tile_stream(p.read_bytes(), str(p), threads=1, max_memory=1 << 30) for p in streams]

    def read(number: int) -> bytes:
        data = bytearray(streams[number].read_bytes())
        data[found[number].parts[0].at + 30] ^= number == 2
        return bytes(data)

    with pytest.raises(InputError, match="changed while it was joined"):
        write_shared(united(found), found, read, Path("new"), "new")
    assert not Path("new").exists()
