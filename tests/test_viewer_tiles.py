"""A tiled scene in the viewer: all tiles in one picture, in order of their distance, within memory."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from api_workspace import workspace
from browser import SIZE, Page, program
from test_tiles_draw import quarters, world_of
from viewer_gaussians import as_bytes, psnr

from gspc import pipeline
from gspc.codec import encode
from gspc.model.storage import load_model
from gspc.pipeline import Site
from gspc.tiles import TiledScene, read_index
from gspc.viewer import make_server

WEB = Path(__file__).parent.parent / "gspc" / "viewer" / "web"
in_browser = pytest.mark.skipif(
    program() is None, reason="no chromium here (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model cut into four tiles that share their heads, in coordinates other than its own."""
    folder = tmp_path_factory.mktemp("tiles")
    with workspace() as place:
        trained = load_model(place / "model.pt")
    paths = []
    for number, part in enumerate(quarters(trained, world_of(trained))):
        paths.append(folder / f"{number}.pcgs")
        paths[-1].write_bytes(encode(part))
    made = pipeline.join_tiles(paths, folder, share=folder / "parts")
    (folder / "scene.pcgsx").write_bytes(made.data)
    return folder / "scene.pcgsx"


def tiled(path: Path, upto: int | None = None) -> TiledScene:
    return pipeline.tiled_scene(pipeline.load_source(path), upto=upto)


@contextlib.contextmanager
def shown(site: Site) -> Iterator[str]:
    """The address of a site."""
    server = make_server(site.files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.address
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_site_holds_tiles_up_to_a_level_and_what_they_share_once(scene: Path) -> None:
    for upto in (1, 2):
        files = pipeline.site(scene, upto=upto).files
        index = read_index(files["scene.pcgsx"])
        whole = tiled(scene).index
        assert index.levels == upto and index.total(upto).size == whole.total(upto).size
        parts = [name for name in files if name.startswith("tiles/")]
        assert sum(len(files[name]) for name in parts) == index.total(upto).size
        assert set(parts) == {index.shared.file, *(tile.file for tile in index.tiles)}


@in_browser
@pytest.mark.parametrize("heads", ["wasm", "gpu"])
def test_all_tiles_are_drawn_as_render_draws_them(page: Page, scene: Path, heads: str) -> None:
    renderer = tiled(scene).renderer()
    with shown(pipeline.site(scene)) as address:
        page.open(f"{address}?heads={heads}")
        page.wait("globalThis.gspcViewer?.player?.level === 2 && gspcViewer.settled().then(() => true)")
        assert page.js("gspcViewer.player.shown.length") == 4
        for number in (0, 2):
            page.js(f"gspcViewer.goTo({number})")
            camera = renderer.scene.cameras[number].resized(*SIZE)
            assert psnr(page.picture(), as_bytes(renderer.render(camera))) >= 32
    assert page.complaints() == []


@in_browser
def test_short_memory_leaves_far_tiles_out(page: Page, scene: Path) -> None:
    """And what is left is drawn, the nearest ones finest. Tiles leave and come back as memory has it."""
    index = tiled(scene).index
    rows = [tile.level(1) for tile in index.tiles]
    room = sum(160 * row.gaussians + 2000 * row.anchors for row in rows) - 1
    with shown(pipeline.site(scene)) as address:
        page.open(f"{address}?memory={room / 1e6}")
        page.wait("globalThis.gspcViewer?.player?.level === 2 && gspcViewer.settled().then(() => true)")
        found = page.js("gspcViewer.player.tiles.map(({ level }) => level)")
        assert 0 in found and max(found) > 0
        page.js("gspcViewer.player.room = 0; gspcViewer.player.step()")
        assert page.js("gspcViewer.player.count") == 0
        page.js("gspcViewer.player.room = 1e9; gspcViewer.player.step()")
        page.wait("gspcViewer.player.tiles.every(({ level }) => level === 2)")
    assert page.complaints() == []


@in_browser
def test_a_tile_that_is_damaged_leaves_the_others(page: Page, scene: Path) -> None:
    site = pipeline.site(scene)
    broken = bytearray(site.files["tiles/2.part"])
    broken[-20] ^= 1
    with shown(replace(site, files={**site.files, "tiles/2.part": bytes(broken)})) as address:
        page.open(address)
        page.wait("globalThis.gspcViewer?.player?.level === 2 && gspcViewer.settled().then(() => true)")
        assert "checksum" in page.text("message")
        assert page.js("gspcViewer.player.tiles.filter(({ failed }) => failed).length") == 1


PLAN = """
import { placeOf, ownOf, wholeOf, cameraOf } from 'WEB/place.mjs';
import { endsOf, readIndex } from 'WEB/tileindex.mjs';
import { nextOf, planned, reached } from 'WEB/tileplan.mjs';
import { readFileSync } from 'node:fs';
const given = JSON.parse(readFileSync(0));
const index = readIndex(given.index, 'http://a/b/scene.pcgsx');
const tiles = index.tiles.map((tile) => ({ ...tile, level: 0, failed: false }));
const place = placeOf(given.frame, index.frame);
const order = [];
const levels = planned(tiles, given.eye, 2, 1e12);
const next = () => nextOf(tiles, levels, given.eye, () => true);
for (let one = next(); one !== null; one = next()) {
  order.push([one.number, one.level, reached(tiles, levels, 2)]);
  tiles[one.number].level = one.level;
}
const tight = given.rooms.map((room) => planned(tiles, given.eye, 2, room));
console.log(JSON.stringify({
  ends: endsOf(index), cameras: index.cameras, url: index.tiles[1].url, order, tight,
  whole: wholeOf(place, given.point), back: ownOf(place, wholeOf(place, given.point)),
}));
"""


def test_the_page_reads_an_index_and_plans(scene: Path, tmp_path: Path) -> None:
    """In node: ends of levels, cameras and places as in Python; coarse before fine and near before far."""
    if shutil.which("node") is None:
        pytest.skip("no node here")
    index = tiled(scene).index
    own = tiled(scene).decode(0, 1)
    eye, point = index.tiles[3].floor, [0.1, -0.2, 0.3]
    costs, fine = (
        [160 * t.level(n).gaussians + 2000 * t.level(n).anchors for t in index.tiles] for n in (1, 2)
    )
    given = {
        "index": json.loads(scene.read_bytes()),
        "frame": {
            "scale": own.frame.scale,
            "rotation": own.frame.rotation.flatten().tolist(),
            "translation": own.frame.translation.tolist(),
        },
        "eye": eye,
        "point": point,
        "rooms": [2 * fine[3], costs[3], costs[3] - 1, sum(costs) - 1],
    }
    (tmp_path / "plan.mjs").write_text(PLAN.replace("WEB", WEB.as_posix()))
    ran = subprocess.run(
        ["node", str(tmp_path / "plan.mjs")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ran.stdout)
    assert found["ends"] == [index.total(level).size for level in (1, 2)]
    camera = index.frame.camera_to_canonical(index.cameras[0])
    np.testing.assert_allclose(
        np.reshape(found["cameras"][0]["worldToCamera"], (3, 4)), camera.world_to_camera[:3], atol=1e-9
    )
    assert found["url"] == "http://a/b/parts/tile-2.part"
    expected = index.frame.to_canonical(own.frame.to_user(np.array([point])))[0]
    np.testing.assert_allclose(found["whole"], expected, atol=1e-9)
    np.testing.assert_allclose(found["back"], point, atol=1e-9)
    numbers, levels, reached = zip(*found["order"], strict=True)
    assert levels == (1, 1, 1, 1, 2, 2, 2, 2) and numbers[0] == numbers[4] == 3
    assert reached == (0, 0, 0, 0, 1, 1, 1, 1)
    roomy, enough, small, nearly = found["tight"]
    assert roomy[3] == 2 and enough == [0, 0, 0, 1] and small == [0, 0, 0, 0]
    assert nearly[3] > 0 and 0 in nearly
