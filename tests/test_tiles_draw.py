"""Drawing a tiled scene: seams, what a view decodes, memory, and a city of ten thousand tiles."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_workspace import workspace
from cli_tools import Cli
from tile_scenes import SIDE, STREET, street_camera, write_city

import gspc
from gspc import pipeline
from gspc.codec import encode
from gspc.codec.export import export_trained
from gspc.errors import BitstreamError
from gspc.format.scene import QuantizedScene
from gspc.format.tile import KEY, Tile
from gspc.metrics import psnr
from gspc.model.storage import TrainedModel, load_model
from gspc.rendering.budget import WRITING
from gspc.rotations import rotation_matrix
from gspc.scene import Camera, Frame
from gspc.tiles import TiledScene, TileIndex, read_index, write_index
from gspc.tiles.plan import on_plan, split

PICTURE = 64 * 48 * WRITING  # bytes of a view of the city


@pytest.fixture(scope="module")
def trained() -> TrainedModel:
    with workspace() as folder:
        return load_model(folder / "model.pt")


def world_of(trained: TrainedModel) -> Frame:
    """A frame of another scale, place and direction than the model's own."""
    own = trained.frame
    turn = rotation_matrix((0.8, 0.0, 0.6, 0.0))
    return Frame(own.scale * 3, own.rotation @ turn, own.translation + own.scale * 0.25)


def quarters(trained: TrainedModel, frame: Frame) -> list[QuantizedScene]:
    """A model cut into four by what `gspc compress` does for tiles."""
    whole = export_trained(trained)
    places = whole.frame.to_user(whole.origin + whole.positions * whole.voxel_size)
    boxes = split(on_plan(frame.to_canonical(places)), 2, 2)
    tiles = [Tile(box.name, frame, box.low, box.high) for box in boxes]
    marked = [replace(trained, metadata={**trained.metadata, KEY: tile.to_text()}) for tile in tiles]
    return [export_trained(one) for one in marked]


def placed(scene: QuantizedScene) -> set[tuple[int, ...]]:
    """Voxels of the model that a stream's anchors lie in, whatever its own origin."""
    moved = np.rint(scene.origin / scene.voxel_size + scene.positions).astype(np.int64)
    return {tuple(row) for row in moved.tolist()}


def test_every_anchor_is_in_one_tile(trained: TrainedModel) -> None:
    parts = [placed(scene) for scene in quarters(trained, world_of(trained))]
    whole = placed(export_trained(trained))
    assert min(len(part) for part in parts) > 10
    assert set.union(*parts) == whole
    assert sum(len(part) for part in parts) == len(whole)


def test_a_tile_without_anchors_in_its_box_is_refused(trained: TrainedModel) -> None:
    tile = Tile("9-9", trained.frame, (1e6, 1e6), (2e6, 2e6))
    with pytest.raises(gspc.Error, match="no anchor in the box of its tile"):
        export_trained(replace(trained, metadata={KEY: tile.to_text()}))


def test_the_union_of_tiles_is_the_scene(trained: TrainedModel, tmp_path: Path) -> None:
    paths = []
    for number, scene in enumerate(quarters(trained, world_of(trained))):
        paths.append(tmp_path / f"{number}.pcgs")
        paths[-1].write_bytes(encode(scene))
    (tmp_path / "all.pcgsx").write_bytes(pipeline.join_tiles(paths, tmp_path).data)
    source = pipeline.load_source(tmp_path / "all.pcgsx")
    whole = gspc.open(encode(export_trained(trained)))
    for level in (1, 2):
        drawn = pipeline.tiled_scene(source, upto=level).renderer()
        for camera in trained.cameras[:4]:
            picture = whole.level(level).render(camera) / np.float32(255)
            found = np.clip(drawn.render(camera), 0, 1)
            assert found.std() > 0.05
            assert psnr(found, picture.astype(np.float32)) >= 50


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    paths = write_city(tmp_path, 3, 3, levels=3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "city.pcgsx").write_bytes(pipeline.join_tiles(paths, tmp_path).data)
    return tmp_path / "city.pcgsx"


def opened(city: Path, **options: Any) -> TiledScene:
    return pipeline.tiled_scene(pipeline.load_source(city), **options)


def needed(scene: TiledScene, camera: Camera) -> list[int]:
    own = scene.index.frame.camera_to_canonical(camera)
    return [one.number for one in scene.plan(own)]


def test_a_view_needs_what_it_sees_nearest_first(city: Path) -> None:
    scene = opened(city)
    tile = {entry.name: number for number, entry in enumerate(scene.index.tiles)}
    middle = 1.5 * SIDE
    into = needed(scene, street_camera((middle, 0.0, -3 * SIDE)))
    assert into[0] == tile["1-0"]
    assert {tile["1-0"], tile["1-1"], tile["1-2"]} <= set(into)
    away = needed(scene, street_camera((middle, 0.0, 50 * SIDE)))
    assert away == []
    renderer = scene.renderer()
    blank = renderer.render(street_camera((middle, 0.0, 50 * SIDE)))
    np.testing.assert_array_equal(blank, np.broadcast_to(np.float32(scene.index.background), blank.shape))
    assert renderer.decoded == 0


def test_tiles_stay_decoded_while_memory_allows(city: Path) -> None:
    camera = street_camera((1.5 * SIDE, 0.0, -3 * SIDE))
    roomy = opened(city).renderer()
    first = roomy.render(camera)
    count = roomy.decoded
    np.testing.assert_array_equal(roomy.render(camera), first)
    assert roomy.decoded == count == len(needed(opened(city), camera))
    plan = opened(city).plan(opened(city).index.frame.camera_to_canonical(camera))
    tight = opened(city, max_memory=opened(city).memory(plan) + PICTURE).renderer()
    np.testing.assert_array_equal(tight.render(camera), first)
    tight.render(camera)
    assert tight.decoded > count


def test_short_memory_makes_far_tiles_coarser(city: Path) -> None:
    camera = street_camera((1.5 * SIDE, 0.0, -3 * SIDE))
    own = STREET.camera_to_canonical(camera)
    full = opened(city)
    fine = full.plan(own)
    assert len(fine) >= 3 and {one.level for one in fine} == {3}
    notes: list[Any] = []
    short = opened(city, max_memory=full.memory(fine) + PICTURE - 1, on_note=notes.append)
    levels = [one.level for one in short.plan(own)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == 3 and levels[-1] == 2
    renderer = short.renderer()
    renderer.render(camera)
    renderer.render(camera)
    assert len(notes) == 1 and "coarser" in notes[0].text and notes[0].warning
    with pytest.raises(BitstreamError, match="larger --max-memory"):
        opened(city, max_memory=1000).plan(own)


def test_levels_cut_what_is_read(city: Path, cli: Cli) -> None:
    index = read_index(city.read_bytes())
    for entry in index.tiles:
        path = city.parent / entry.file
        path.write_bytes(path.read_bytes()[: entry.levels[0].size])
    assert cli("render", "city.pcgsx", "--upto", "1", "--size", "32", "-o", "a.png", "--view", "0").code == 0
    ran = cli("render", "city.pcgsx", "--size", "32", "-o", "b.png", "--view", "0")
    assert (ran.code, len(ran.lines)) == (3, 1) and "shorter than its index says" in ran.err
    assert cli("render", "city.pcgsx", "--upto", "9", "-o", "b.png", "--view", "0").code == 2


def test_paths_films_and_folders_of_pictures(city: Path, cli: Cli) -> None:
    ran = cli("render", "city.pcgsx", "--path", "orbit", "--frames", "3", "--size", "24x16", "-o", "turn")
    assert ran.code == 0, ran.err
    assert len(list(Path("turn").iterdir())) == 3
    assert cli("render", "city.pcgsx", "--coarse", "-o", "c.png", "--view", "0").code == 2


def test_export_unites_the_tiles(city: Path, cli: Cli) -> None:
    ran = cli("export", "city.pcgsx", "-o", "city.ply", "--sh", "0", "--upto", "2", "--json", "-q")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["level"], found["levels"]) == (2, 3)
    assert found["psnr"] > 20
    whole = gspc.open("city.ply").splats()
    apart = [
        gspc.export(path, gspc.ExportOptions("ply", upto=2, degree=0, check=False)) for path in streams(city)
    ]
    assert whole.count == sum(part.gaussians for part in apart) == found["gaussians"]
    means = np.concatenate([gspc.open(part.data).splats().means for part in apart])
    np.testing.assert_allclose(np.sort(whole.means, axis=0), np.sort(means, axis=0), rtol=1e-5, atol=1e-3)


def streams(city: Path) -> list[Path]:
    return [city.parent / entry.file for entry in read_index(city.read_bytes()).tiles]


def large(city: Path, side: int) -> TileIndex:
    """A city of side x side blocks, as the index of a real one describes it; nine of the files are there."""
    index = read_index(city.read_bytes())
    base = index.tiles[0]
    tiles = []
    for number in range(side * side):
        column, row = divmod(number, side)
        x, z = column * SIDE, row * SIDE
        tiles.append(
            replace(
                base,
                name=f"{column}-{row}",
                file=f"tiles/{column}-{row}.pcgs",
                low=(x, z),
                high=(x + SIDE, z + SIDE),
                floor=(base.floor[0] + x, base.floor[1], base.floor[2] + z),
                ceiling=(base.ceiling[0] + x, base.ceiling[1], base.ceiling[2] + z),
            )
        )
    return replace(index, tiles=tuple(tiles))


OPEN = """
import json, resource, sys
from pathlib import Path
from gspc import pipeline
from gspc.pipeline import tiled_scene

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scene = tiled_scene(pipeline.load_source(sys.argv[1]))
scene.bounds, scene.costs
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([len(scene.index.tiles), after - before]))
"""


def test_ten_thousand_tiles_open_in_bounded_memory(city: Path) -> None:
    whole = city.with_name("large.pcgsx")
    whole.write_bytes(write_index(large(city, 100)))
    ran = subprocess.run([sys.executable, "-c", OPEN, str(whole)], capture_output=True, check=True)
    count, kilobytes = json.loads(ran.stdout)
    assert count == 10_000
    assert kilobytes < 150_000
    scene = opened(whole)
    camera = street_camera((1.5 * SIDE, 0.0, 4 * SIDE))
    back = replace(camera, world_to_camera=np.diag([-1.0, 1.0, -1.0, 1.0]) @ camera.world_to_camera)
    numbers = needed(scene, back)
    assert 3 <= len(numbers) <= 60
    there = [n for n in numbers if (city.parent / scene.index.tiles[n].file).is_file()]
    assert {"1-0", "1-1", "1-2"} <= {scene.index.tiles[n].name for n in there}


def everything(balls: Any, camera: Camera) -> np.ndarray:
    return np.ones(len(balls.anchors), np.bool_)


def test_balls_are_dropped_only_when_nothing_of_them_shows(city: Path) -> None:
    """A picture of the tiles that are needed is the picture of all of them."""
    scene = opened(city)
    for x, z in ((0.5, 0.5), (1.5, -1.0), (2.9, 1.2), (-1.0, 2.5)):
        camera = street_camera((x * SIDE, 0.0, z * SIDE))
        own = scene.index.frame.camera_to_canonical(camera)
        some = scene.renderer().render(camera)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gspc.tiles.drawing.visible_balls", everything)
            assert len(scene.plan(own)) == len(scene.index.tiles)
            np.testing.assert_array_equal(scene.renderer().render(camera), some)
