"""The viewer in headless Chromium: its pictures against `gspc render`, networks that fail, files that do, and
hands that do anything."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
from browser import SIZE, Page, program
from synthetic import scene as synthetic_scene
from viewer_gaussians import drawn_by_us, level_ends, psnr, render
from viewer_site import serving

from gspc import pipeline
from gspc.codec import decode, encode

pytestmark = pytest.mark.skipif(
    program() is None, reason="no chromium here (Debian: apt-get install chromium)"
)

GOLDEN = Path(__file__).parent / "golden"
WHOLE = "globalThis.gspcViewer?.player?.level === {level} && gspcViewer.settled().then(() => true)"


@pytest.fixture(scope="module")
def stream() -> bytes:
    """A scene of three levels, its first one beyond the bytes that are fetched to begin with."""
    return encode(synthetic_scene(1500, levels=3, seed=3))


def shown(page: Page, level: int) -> None:
    page.wait(WHOLE.format(level=level))


def drawn(stream: bytes, level: int, camera: int) -> np.ndarray:
    """What `gspc render` draws, at half the camera's size."""
    return render(decode(stream, upto=level).scene, camera, SIZE)


def test_pictures_are_those_of_render(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        page.open(f"{server.address}?upto=1")
        for level in (1, 3):
            shown(page, level)
            for camera in (0, 1):
                page.js(f"gspcViewer.goTo({camera})")
                assert psnr(page.picture(), drawn(stream, level, camera)) > 38
            page.js("gspcViewer.wantLevel(3)")
    assert page.complaints() == []


def test_first_level_takes_its_bytes_only_and_comes_before_the_second(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        page.open(server.address)
        shown(page, 3)
        asked, times = server.asked, page.js("gspcViewer.times")
    first, second, third = level_ends(stream)
    before = [request for request in asked if request[1] <= first]
    assert len(before) <= 3
    assert sorted(before)[0][0] == 0 and max(end for _, end in before) == first
    assert sum(end - begin for begin, end in before) == first
    assert asked[len(before) :] == [(first, second), (second, third)]
    assert times["shown 1"] < times["arrived 2"] < times["shown 2"] < times["arrived 3"] < times["shown 3"]


def test_later_levels_are_fetched_when_they_are_asked_for(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        page.open(f"{server.address}?upto=2")
        shown(page, 2)
        assert server.sent == level_ends(stream)[1]
        assert page.text("state").startswith("Level 2 of 3")
        page.js("gspcViewer.wantLevel(1)")
        shown(page, 1)
        page.js("gspcViewer.wantLevel(3)")
        shown(page, 3)
        assert server.sent == len(stream)


def test_a_server_without_ranges(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        server.ranges = False
        page.open(server.address)
        shown(page, 3)
        assert server.asked == [(0, len(stream))]


def test_a_slow_server_can_be_held_and_goes_on(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        server.pause = 0.15
        page.open(server.address)
        page.wait("gspcViewer.player?.level === 1")
        page.wait(f"gspcViewer.player.have > {level_ends(stream)[0]}")
        page.js("document.getElementById('hold').click()")
        page.wait("!gspcViewer.player.working")
        assert page.text("state").endswith("paused") and page.text("hold") == "Resume"
        have = page.js("gspcViewer.player.have")
        server.pause = 0
        page.js("document.getElementById('hold').click()")
        shown(page, 3)
        assert server.asked[-2][0] >= have - 4096  # nothing is fetched twice but what was under way
    assert page.complaints() == []


def test_a_broken_connection_shows_what_is_there(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        server.breaks_at = level_ends(stream)[0] + 100
        page.open(server.address)
        page.wait("!document.getElementById('message').hidden && gspcViewer.player.level === 1")
        assert re.fullmatch(
            r"No more of the scene can be fetched: .*\. Level 1 is shown\. Press Resume to try again\.",
            page.text("message"),
        )
        server.breaks_at = None
        page.js("document.getElementById('hold').click()")
        shown(page, 3)
        assert page.text("message") == ""


def damaged(stream: bytes, at: int) -> bytes:
    return stream[:at] + bytes([stream[at] ^ 1]) + stream[at + 1 :]


def test_damage_leaves_the_level_before(page: Page, stream: bytes) -> None:
    with serving(damaged(stream, level_ends(stream)[1] - 5)) as server:
        page.open(server.address)
        page.wait("!document.getElementById('message').hidden")
        assert page.js("gspcViewer.player.level") == 1
        assert re.match(
            r"scene\.pcgs: chunk SLIC level 2 .*: checksum error\. Level 1 is shown\.", page.text("message")
        )
        assert psnr(page.picture(), drawn(stream, 1, 0)) > 38


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (b"hello, this is no scene at all, only text that goes on for a while", "not a .pcgs stream"),
        (b"", "ends too early"),
        ("newer", "version 3.0"),
        ("cut", "cut short"),
        ("noise", "scene.pcgs: "),
    ],
)
def test_what_cannot_be_shown_says_why(page: Page, stream: bytes, what: bytes | str, said: str) -> None:
    made = {
        "newer": stream[:8] + b"\x03" + stream[9:],
        "cut": stream[: level_ends(stream)[0] - 10],
        "noise": stream[:200] + bytes(random.Random(0).randbytes(level_ends(stream)[0] - 200)),
    }
    with serving(what if isinstance(what, bytes) else made[what]) as server:
        page.open(server.address)
        page.wait("!document.getElementById('message').hidden")
        assert said in page.text("message")
        assert page.js("gspcViewer.player.level") == 0


def test_names_from_the_file_are_text(page: Page, stream: bytes, tmp_path: Path) -> None:
    name = tmp_path / "<img src=x onerror=alert(1)>&amp;.pcgs"
    name.write_bytes(stream)
    single = pipeline.page(name).save(tmp_path / "page.html")
    page.open(single)
    shown(page, 3)
    assert page.text("name") == name.name
    assert page.js("document.querySelectorAll('img').length") == 0
    assert page.complaints() == []


def test_single_page_from_a_file(page: Page, stream: bytes, tmp_path: Path) -> None:
    made = pipeline.page(stream)
    page.open(made.save(tmp_path / "one.html"))
    shown(page, 3)
    assert psnr(page.picture(), drawn(stream, 3, 0)) > 38
    assert len(made.data) <= len(stream) * 4 / 3 + 1.5e6
    assert (
        page.js("performance.getEntriesByType('resource').filter((e) => !e.name.startsWith('blob:')).length")
        == 0
    )
    assert page.complaints() == []


def test_a_link_restores_the_view(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        page.open(server.address)
        shown(page, 3)
        page.js("gspcViewer.rig.turn(0.3, 0.1); gspcViewer.rig.dolly(0.8); gspcViewer.toLink()")
        address, before = page.js("location.href"), page.picture()
        page.open("about:blank")
        page.open(address)
        shown(page, 3)
        assert psnr(page.picture(), before) > 45


def test_viewers_gaussians_in_our_rasterizer(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        page.open(server.address)
        shown(page, 3)
        picture, scene = page.picture(), decode(stream).scene
        ours = drawn_by_us(page, scene.cameras[0].resized(*SIZE), scene.background)
    assert psnr(picture, ours) > 38


def test_controls_have_names_and_fit_a_phone(page: Page, stream: bytes) -> None:
    page.resize(360, 640, mobile=True)
    with serving(stream) as server:
        page.open(server.address)
        shown(page, 3)
        page.js("document.getElementById('menu').click(); document.getElementById('views').click()")
        tree = page.call("Accessibility.getFullAXTree")["nodes"]
        roles = ("button", "slider", "combobox", "checkbox", "option", "progressbar")
        controls = [
            node for node in tree if node.get("role", {}).get("value") in roles and not node["ignored"]
        ]
        assert len(controls) >= 12
        assert [node["role"]["value"] for node in controls if not node["name"]["value"]] == []
        wide = page.js(
            "[...document.querySelectorAll('button, section, footer')].map((e) => e.getBoundingClientRect())"
            ".filter((box) => box.width > 0 && box.left < 0).length"
        )
        assert wide == 0 and page.js("document.documentElement.scrollWidth") == 360


def press(page: Page, key: str, code: str) -> None:
    for kind in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=kind, key=key, code=code)


def test_random_input_breaks_nothing(page: Page, stream: bytes) -> None:
    chance = random.Random(1)
    keys = [
        ("w", "KeyW"),
        ("a", "KeyA"),
        ("r", "KeyR"),
        ("m", "KeyM"),
        ("ArrowLeft", "ArrowLeft"),
        ("1", "Digit1"),
    ]
    with serving(stream) as server:
        page.open(server.address)
        page.wait("gspcViewer.player?.level >= 1")
        for _ in range(60):
            x, y = chance.randrange(SIZE[0]), chance.randrange(SIZE[1])
            kind = chance.choice(["drag", "wheel", "key", "level", "size"])
            if kind == "drag":
                button = chance.choice(["left", "right"])
                page.call(
                    "Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button=button, clickCount=1
                )
                for _ in range(3):
                    x, y = chance.randrange(SIZE[0]), chance.randrange(SIZE[1])
                    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button=button)
                page.call(
                    "Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button=button, clickCount=1
                )
            elif kind == "wheel":
                page.call(
                    "Input.dispatchMouseEvent",
                    type="mouseWheel",
                    x=x,
                    y=y,
                    deltaX=0,
                    deltaY=chance.randrange(-400, 400),
                )
            elif kind == "key":
                press(page, *chance.choice(keys))
            elif kind == "level":
                page.js(f"gspcViewer.wantLevel({chance.randint(1, 3)})")
            else:
                page.resize(chance.randrange(200, 400), chance.randrange(200, 300))
        page.js("gspcViewer.settled()")
        assert page.js("gspcViewer.rig.pose.eye.every(Number.isFinite)")
    assert page.complaints() == []


def heap(page: Page) -> int:
    page.call("HeapProfiler.collectGarbage")
    return int(page.call("Runtime.getHeapUsage")["backingStorageSize"]) + int(
        page.js("performance.memory.usedJSHeapSize")
    )


def test_scenes_one_after_another_free_their_memory(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        page.open(server.address)
        shown(page, 3)
        sizes = []
        for _ in range(2):
            page.js("gspcViewer.open({ url: new URL('scene.pcgs', location.href).href }, 'again')")
            shown(page, 3)
            sizes.append(heap(page))
        assert page.js("gspcViewer.engine.app.root.children.length") == 2
    assert sizes[-1] < sizes[0] * 1.1 + 1e6
    assert page.complaints() == []


def test_a_still_camera_costs_nothing(page: Page, stream: bytes) -> None:
    with serving(stream) as server:
        page.open(server.address)
        shown(page, 3)
        page.js("gspcViewer.settled().then(() => new Promise((resolve) => setTimeout(resolve, 300)))")
        counted = page.js(COUNTED)
    assert counted == {"frames": 0, "looks": 0}


COUNTED = """(async () => {
  let [frames, looks] = [0, 0];
  gspcViewer.engine.app.on('postrender', () => { frames += 1; });
  const looked = () => { looks += 1; };
  gspcViewer.player.lookers.workers.forEach((worker) => worker.addEventListener('message', looked));
  await new Promise((resolve) => { setTimeout(resolve, 700); });
  return { frames, looks };
})()"""
