"""The ways to evaluate heads in the viewer, in headless Chromium without a graphics processor."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from browser import SIZE, Page, program
from synthetic import grid_spec
from synthetic import scene as synthetic_scene
from viewer_gaussians import level_ends, psnr, render
from viewer_site import TestServer, serving

from gspc.codec import decode, encode
from gspc.scene import DecodedScene

pytestmark = pytest.mark.skipif(
    program() is None, reason="no chromium here (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def stream() -> bytes:
    """Sizes that fill no whole vector: 7 features, 3 offsets, 10 hidden units."""
    made = synthetic_scene(400, levels=2, features=7, offsets=3, hidden=(8, 8, 8, 8), heads_hidden=10, seed=5)
    return encode(made)


@pytest.fixture(scope="module")
def scene(stream: bytes) -> DecodedScene:
    return decode(stream).scene


@pytest.fixture(scope="module")
def server(stream: bytes) -> Iterator[TestServer]:
    with serving(stream) as found:
        yield found


def opened(page: Page, server: TestServer, heads: str) -> str:
    """Shows all levels with some way of evaluating heads; the way that the viewer took."""
    page.open(f"{server.address}{heads}")
    page.wait("globalThis.gspcViewer?.player?.level === 2 && gspcViewer.settled().then(() => true)")
    way: str = page.js("gspcViewer.player.way")
    return way


def test_heads_on_the_gpu_draw_what_render_draws(page: Page, server: TestServer, scene: DecodedScene) -> None:
    assert opened(page, server, "?heads=gpu") == "gpu"
    for camera in (0, 1):  # the second one is another eye, which only the pass for eyes learns of
        page.js(f"gspcViewer.goTo({camera})")
        assert psnr(page.picture(), render(scene, camera, SIZE)) > 38
    page.js("gspcViewer.wantLevel(1)")
    page.wait("gspcViewer.player.level === 1 && gspcViewer.settled().then(() => true)")
    assert page.complaints() == []


def test_baked_heads_are_close(page: Page, server: TestServer, scene: DecodedScene) -> None:
    assert opened(page, server, "?heads=baked") == "baked"
    for camera in (0, 1):
        page.js(f"gspcViewer.goTo({camera})")
        assert psnr(page.picture(), render(scene, camera, SIZE)) > 20
    assert page.complaints() == []


def test_played_graphics_take_workers_and_slow_ones_give_way(page: Page, server: TestServer) -> None:
    assert opened(page, server, "") == "wasm"
    page.js("gspcViewer.player.looks.took = 5000; gspcViewer.player.giveWay()")
    page.wait("gspcViewer.player.way === 'baked' && gspcViewer.settled().then(() => true)")
    page.js("document.getElementById('readout').click(); gspcViewer.readOut()")
    assert "heads baked" in page.text("numbers")
    assert page.complaints() == []


def test_a_scene_too_large_for_textures_goes_to_workers(page: Page, server: TestServer) -> None:
    opened(page, server, "?heads=baked")
    page.js("gspcViewer.engine.device.maxTextureSize = 0; gspcViewer.player.changeHeads('gpu')")
    page.wait("gspcViewer.player.way === 'wasm' && gspcViewer.settled().then(() => true)")
    assert page.js("gspcViewer.player.level") == 2
    assert page.complaints() == []


def test_thumbnails_need_no_readback(page: Page, server: TestServer) -> None:
    opened(page, server, "?heads=gpu")
    page.js("document.getElementById('views').click()")
    page.wait("document.querySelector('#cameras canvas')?.height === 72")
    colors = page.js(
        "new Set(new Uint32Array(document.querySelector('#cameras canvas').getContext('2d')"
        ".getImageData(0, 0, 80, 72).data.buffer)).size"
    )
    assert colors > 10
    assert page.complaints() == []


def test_near_slices_of_a_slow_level_come_first(page: Page) -> None:
    made = synthetic_scene(1200, levels=2, features=120, offsets=3, grid=grid_spec(2, 1, 6, 6), seed=3)
    many = encode(made, slice_anchors=128)
    first, second = level_ends(many)
    with serving(many) as server:
        server.pause = 0.12  # 33 kB a second: level 2 would take more than two seconds
        page.open(f"{server.address}?upto=1")
        page.wait("globalThis.gspcViewer?.player?.level === 1")
        asked = len(server.asked)
        page.js("gspcViewer.wantLevel(2)")
        page.wait("gspcViewer.player.level === 2 && gspcViewer.settled().then(() => true)")
        pieces = sorted(server.asked[asked:])
        assert page.js("gspcViewer.player.parts") == 1
        assert psnr(page.picture(), render(decode(many).scene, 0, SIZE)) > 38
    assert pieces[0][0] == first and pieces[-1][1] == second
    assert all(end == begin for (_, end), (begin, _) in pairwise(pieces))
    assert page.complaints() == []
