"""gspc tile: blocks of the ground plane, the photographs and points of each, and the folders they become."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from cli_tools import Cli
from data_scenes import write_scene

from gspc.data import colmap, load_scene
from gspc.data.colmap import binary as colmap_binary
from gspc.data.demo import write_demo_scene
from gspc.errors import InputError
from gspc.format.tile import Tile, tile_in
from gspc.scene import Camera, Frame
from gspc.tiles import split_scene, tile_of_folder
from gspc.tiles.plan import Box, Contraction, Shown, halo, members, nearest_points, split


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    write_demo_scene(tmp_path / "demo", views=8, width=32, height=24, points=300)
    return tmp_path / "demo"


def street(folder: Path) -> Path:
    """A street of points along x with cameras that look across it, each at what lies before it: tracks say
    what it sees."""
    rng = np.random.default_rng(3)
    points = rng.uniform((-20, -1, 4), (20, 1, 6), (400, 3))
    lens = colmap.ColmapCamera(1, "PINHOLE", 32, 24, (30.0, 30.0, 16.0, 12.0))
    images, tracks = [], []
    for number, x in enumerate(np.linspace(-18, 18, 12)):
        images.append(
            colmap.ColmapImage(
                number + 1, (1.0, 0.0, 0.0, 0.0), (-float(x), 0.0, 0.0), 1, f"{number:02d}.png"
            )
        )
        tracks.append(np.flatnonzero(np.abs(points[:, 0] - x) < 2.5))
        path = folder / "images" / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(path, np.full((24, 32, 3), number, np.uint8))
    rows = [[number + 1 for number, track in enumerate(tracks) if i in track] for i in range(len(points))]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    track = np.array([(image, 0) for row in rows for image in row], np.int32)
    colors = rng.integers(0, 256, points.shape, dtype=np.uint8)
    ids = np.arange(1, len(points) + 1)
    cloud = colmap.ColmapPoints(ids, points, colors, np.zeros(len(points)), starts, track)
    colmap.write_model(folder / "sparse" / "0", colmap.ColmapModel((lens,), tuple(images), cloud))
    return folder


def test_blocks_share_points_evenly_and_cover_the_plane() -> None:
    plan = np.random.default_rng(0).normal(size=(1000, 2)) ** 3
    boxes = split(plan, 3, 2)
    held = np.array([box.holds(plan) for box in boxes])
    assert (held.sum(axis=0) == 1).all()
    assert np.ptp(held.sum(axis=1)) <= 3
    far = np.array([(1e9, 1e9), (-1e9, 1e9), (1e9, -1e9), (-1e9, -1e9)])
    assert (np.array([box.holds(far) for box in boxes]).sum(axis=0) == 1).all()
    assert boxes[0].touches(boxes[1]) and boxes[0].touches(boxes[2]) and not boxes[0].touches(boxes[4])


def test_points_in_one_spot_fill_no_blocks() -> None:
    with pytest.raises(InputError, match="coarser --grid"):
        split(np.ones((500, 2)), 2, 1)


def test_the_middle_third_keeps_its_distances_and_infinity_ends_at_two() -> None:
    plan = np.stack([np.linspace(-3, 3, 601)] * 2, axis=1)
    contracted = Contraction.around(plan)
    third = contracted.half[0]
    assert third == pytest.approx(3 * 0.98 / 3)
    places = np.array([(0.5 * third, 0.0), (10 * third, np.inf), (-np.inf, -2 * third)])
    np.testing.assert_allclose(contracted(places), [(0.5, 0.0), (1.9, 2.0), (-2.0, -1.5)], atol=1e-12)


def test_a_block_without_end_has_a_halo_on_its_inner_side_alone() -> None:
    plan = np.stack([np.linspace(-3, 3, 601), np.zeros(601)], axis=1)
    around = halo(Box("0-0", (-np.inf, -np.inf), (0.0, np.inf)), plan, Contraction.around(plan))
    near = plan[around, 0]
    assert near.min() == pytest.approx(0, abs=1e-9)
    assert 0.1 < near.max() < 0.5


def test_what_hides_counts_and_what_is_hidden_does_not() -> None:
    camera = Camera("a", 48, 48, 48.0, 48.0, 24.0, 24.0, np.eye(4))
    points = np.array([(0.0, 0.0, 2.0), (0.0, 0.0, 5.0), (0.4, 0.0, 2.0), (0.0, 0.0, -1.0), (9.0, 0.0, 1.0)])
    assert nearest_points(camera, points).tolist() == [0, 2]


def test_a_camera_joins_blocks_it_stands_in_and_blocks_it_shows() -> None:
    boxes = split(np.array([(-1.0, 0.0), (1.0, 0.0)]), 2, 1)
    plan = np.array([(-1.0, 0.0)] * 95 + [(1.0, 0.0)] * 5)
    away = Shown(np.array([(-5.0, 0.0)]), np.arange(100))
    across = Shown(np.array([(5.0, 0.0)]), np.arange(95))
    both = Shown(np.array([(-5.0, 0.0)]), np.arange(80, 100))
    blind = Shown(np.array([(5.0, 0.0)]), np.zeros(0, np.int64))
    chosen = members(boxes, plan, [away, across, both, blind])
    assert chosen.tolist() == [[True, True, True, False], [False, True, True, True]]


def test_tracks_say_what_a_photograph_shows(tmp_path: Path) -> None:
    report = split_scene(street(tmp_path / "street"), None, grid=(2, 1))
    left, right = ({picture.name for picture in block.pictures} for block in report.blocks)
    assert left | right == {f"{number:02d}.png" for number in range(12)}
    assert len(left & right) <= 4
    assert {"00.png", "11.png"} <= left ^ right
    assert [block.own for block in report.blocks] == [200, 200]


def test_a_tile_is_a_scene_with_linked_photographs(demo: Path, tmp_path: Path, cli: Cli) -> None:
    ran = cli("tile", demo, "-o", tmp_path / "tiles", "--json", "-q")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    names = ["0-0", "0-1", "1-0", "1-1"]
    assert [tile["name"] for tile in found["tiles"]] == names
    assert sum(tile["points"] for tile in found["tiles"]) == found["points"] == 300
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "tiles"]
    whole = {view.camera.name: view for view in load_scene(demo).views}
    for tile in found["tiles"]:
        scene = load_scene(tmp_path / "tiles" / tile["name"])
        assert len(scene.views) == tile["photographs"] >= 2
        assert len(scene.points) == tile["points"] + tile["halo_points"]
        for view in scene.views:
            like = whole[view.camera.name]
            np.testing.assert_allclose(view.camera.world_to_camera, like.camera.world_to_camera, atol=1e-12)
            np.testing.assert_array_equal(view.load(), like.load())
            assert view.path is not None and view.path.is_symlink()
            assert not view.path.readlink().is_absolute()


def test_a_full_disk_names_the_folder_that_was_asked_for(
    demo: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(colmap_binary, "write_points", full)
    ran = cli("tile", demo, "-o", tmp_path / "tiles", "--grid", "2x1")
    assert ran.code == 6
    assert ran.lines[-1].startswith(f"gspc: error: {tmp_path / 'tiles'}: no space left on the device")
    assert list(tmp_path.iterdir()) == [demo]


def test_masks_come_along_and_names_may_have_folders(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "scene", points=300)
    mask = np.zeros((24, 32), np.uint8)
    mask[:, :9] = 255
    for part in ("part 0/000.png", "part 1/001.png"):
        (folder / "masks" / part).parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(folder / "masks" / f"{part}.png", mask)
    split_scene(folder, tmp_path / "tiles", grid=(2, 1))
    masked = {
        view.camera.name
        for name in ("0-0", "1-0")
        for view in load_scene(tmp_path / "tiles" / name).views
        if view.mask is not None and view.mask().sum() == 9 * 24
    }
    assert masked == {"part 0/000.png", "part 1/001.png"}


def test_photographs_to_judge_by_are_in_no_tile(demo: Path) -> None:
    from gspc.config import DataOptions

    report = split_scene(demo, None, options=DataOptions(hold=4))
    assert report.held_out == 2
    kept = {picture.name for block in report.blocks for picture in block.pictures}
    every = sorted(view.camera.name for view in load_scene(demo).views)
    assert kept == set(every) - set(every[::4])


def test_a_dry_run_writes_nothing(demo: Path, tmp_path: Path, cli: Cli) -> None:
    ran = cli("tile", demo, "--dry-run", "--grid", "2x1")
    assert ran.code == 0, ran.err
    assert b"0-0" in ran.out and b"1-0" in ran.out
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_only_folders_of_tiles_are_replaced(demo: Path, tmp_path: Path, cli: Cli) -> None:
    tiles = tmp_path / "tiles"
    assert cli("tile", demo, "-o", tiles, "--grid", "1x2").code == 0
    ran = cli("tile", demo, "-o", tiles)
    assert (ran.code, len(ran.lines)) == (6, 1)
    assert cli("tile", demo, "-o", tiles, "-f").code == 0
    assert sorted(path.name for path in tiles.iterdir()) == ["0-0", "0-1", "1-0", "1-1"]
    (tiles / "mine.txt").write_text("mine")
    assert cli("tile", demo, "-o", tiles, "-f").code == 6
    assert (tiles / "mine.txt").read_text() == "mine"
    assert cli("tile", demo, "-o", demo, "-f").code == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "tiles"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--grid", "2"), 2, "--grid 2"),
        (("--grid", "0x2"), 2, "--grid 0x2"),
        (("--grid", "99x99"), 3, "coarser --grid"),
        ((), 2, "-o"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    demo: Path, tmp_path: Path, cli: Cli, arguments: tuple[str, ...], code: int, words: str
) -> None:
    output = ("-o", tmp_path / "tiles") if arguments else ()
    ran = cli("tile", demo, *output, *arguments)
    assert (ran.code, len(ran.lines)) == (code, 1)
    assert words in ran.err
    assert not (tmp_path / "tiles").exists()


def test_a_scene_without_points_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tiles are split by"):
        split_scene(write_scene(tmp_path / "scene", points=7), None)


def test_a_tile_goes_through_text() -> None:
    frame = Frame(2.5, np.eye(3), np.array([1e6, 0.0, -5.0]))
    tile = Tile("3-4", frame, (-np.inf, 0.125), (1 / 3, np.inf))
    again = tile_in({"tile": tile.to_text()})
    assert again is not None
    assert (again.name, again.low, again.high) == (tile.name, tile.low, tile.high)
    assert again.frame.to_plain() == frame.to_plain()
    assert tile_in({"scene": "x"}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        "null",
        "[" * 3000,
        '{"name": "a", "frame": {}, "x": [0, 1], "z": [0, 1]}',
        json.dumps({"name": "a", "frame": Frame().to_plain(), "x": [1, 0], "z": [0, 1]}),
        json.dumps({"name": "a", "frame": Frame().to_plain(), "x": [True, 2], "z": [0, 1]}),
        json.dumps({"name": "a", "frame": Frame().to_plain(), "x": [0, 1e300], "z": [0, 1]}),
        json.dumps({"name": 7, "frame": Frame().to_plain(), "x": [0, 1], "z": [0, 1]}),
        json.dumps({"name": "a", "frame": {**Frame().to_plain(), "scale": 0}, "x": [0, 1], "z": [0, 1]}),
    ],
)
def test_a_damaged_tile_is_an_input_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tile is damaged"):
        tile_in({"tile": text})
    (tmp_path / "tile.json").write_text(text)
    with pytest.raises(InputError, match="run gspc tile again"):
        tile_of_folder(tmp_path)
