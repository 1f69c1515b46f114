"""A part of a tiled scene, and the index from Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli
from tile_scenes import SIDE, STREET, street_camera, write_city

import gspc
from gspc import pipeline
from gspc.errors import InputError, UsageError
from gspc.rendering.frames import to_uint8
from gspc.tiles import TiledScene

BLOCK = (0.0, -0.5, 0.0), (SIDE, 0.5, SIDE)  # the city's first block, near the ground


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("city")
    paths = write_city(folder, 3, 2)
    (folder / "city.pcgsx").write_bytes(pipeline.join_tiles(paths, folder).data)
    return folder / "city.pcgsx"


def region_of(low: tuple[float, ...], high: tuple[float, ...]) -> tuple[float, ...]:
    """A box of the user's coordinates around one of the city's frame, which is turned."""
    corners = STREET.to_user(np.array([low, high, (low[0], *high[1:]), (*low[:2], high[2])]))
    return (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


def opened(city: Path, region: tuple[float, ...] | None = None) -> TiledScene:
    return pipeline.tiled_scene(pipeline.load_source(city), region=region)


def all_anchors(scene: TiledScene) -> np.ndarray:
    """Anchors of all chosen tiles in the user's coordinates."""
    parts = [scene.decode(number, scene.level) for number in np.flatnonzero(scene.chosen).tolist()]
    return np.concatenate([part.frame.to_user(part.anchors) for part in parts])


def test_a_region_holds_its_anchors_and_no_others(city: Path) -> None:
    region = region_of(*BLOCK)
    everything, found = all_anchors(opened(city)), all_anchors(opened(city, region))
    inside = ((everything >= region[:3]) & (everything <= region[3:])).all(axis=1)
    assert 0 < inside.sum() < len(everything)
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, everything[inside].tolist()))


def test_tiles_outside_of_a_region_are_not_decoded(city: Path) -> None:
    middle = STREET.to_user(np.array([[SIDE / 2, 0.0, SIDE / 2]]))[0]
    small = (*(middle - 0.5).tolist(), *(middle + 0.5).tolist())
    scene = opened(city, small)
    assert 1 <= scene.chosen.sum() < len(scene.index.tiles)
    renderer = scene.renderer()
    renderer.render(street_camera((SIDE / 2, 0.0, -3 * SIDE)))
    assert renderer.decoded <= scene.chosen.sum()


def test_the_whole_as_a_region_changes_no_picture(city: Path) -> None:
    view = street_camera((SIDE, -1.0, -SIDE))
    picture = opened(city).renderer().render(view)
    assert np.array_equal(opened(city, (-1e6, -1e6, -1e6, 1e6, 1e6, 1e6)).renderer().render(view), picture)
    assert not np.array_equal(opened(city, region_of(*BLOCK)).renderer().render(view), picture)


def test_commands_take_a_region(city: Path, tmp_path: Path, cli: Cli) -> None:
    box = ",".join(map(str, region_of(*BLOCK)))
    sizes = []
    for region in ([], [f"--region={box}"]):
        ran = cli("export", city, *region, "--no-check", "-f", "-o", tmp_path / "part.splat")
        assert ran.code == 0, ran.err
        sizes.append((tmp_path / "part.splat").stat().st_size)
    assert 0 < sizes[1] < sizes[0]
    ran = cli("render", city, f"--region={box}", "--view", "0", "-o", tmp_path / "part.png")
    assert ran.code == 0, ran.err
    nowhere = "--region=900,900,900,901,901,901"
    ran = cli("render", city, nowhere, "--view", "0", "-o", tmp_path / "none.png")
    assert (ran.code, "has no tiles in this region" in ran.err) == (2, True), ran.err


def test_an_index_from_python(city: Path) -> None:
    scene = gspc.open(city)
    assert (scene.kind, scene.levels, len(scene.cameras)) == ("tiles", 2, 1)
    fine = scene.render(0)
    assert np.array_equal(fine, to_uint8(opened(city).renderer().render(scene.cameras[0])))
    assert np.array_equal(gspc.render(city), fine)
    coarse = scene.level(1)
    assert coarse.levels == 1 and not np.array_equal(coarse.render(0), fine)
    assert scene.render(scene.camera(0, size=32)).shape[1] == 32
    with pytest.raises(UsageError, match="no level 3"):
        scene.level(3)
    for ask in (lambda: scene.decoded, lambda: scene.gaussians(scene.cameras[0]), scene.splats):
        with pytest.raises(InputError, match="is an index of tiles"):
            ask()


def test_viewing_an_index(city: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page, with an index of its own and the tiles' streams up to the level."""
    ran = cli("view", city, "--upto", 1, "--export", tmp_path / "site")
    assert ran.code == 0, ran.err
    assert '"index": "scene.pcgsx"' in (tmp_path / "site" / "index.html").read_text()
    view = street_camera((SIDE, -1.0, -SIDE))
    site = opened(tmp_path / "site" / "scene.pcgsx")
    assert site.level == 1 and len(site.index.tiles) == 6
    coarse = pipeline.tiled_scene(pipeline.load_source(city), upto=1).renderer().render(view)
    assert np.array_equal(site.renderer().render(view), coarse)
    assert cli("view", city, "--export", tmp_path / "site", "-f").code == 0
    ran = cli("export", city, "-o", tmp_path / "a.html")
    assert (ran.code, "give that of a tile" in ran.err) == (3, True), ran.err
    monkeypatch.setattr("gspc.pipeline.viewing.MOST_BYTES", 5)
    ran = cli("view", city, "--export", tmp_path / "other")
    assert (ran.code, "bytes of tiles, and a page shows up to 5" in ran.err) == (2, True), ran.err
