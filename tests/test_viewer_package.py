"""The package @gspc/pcgs: its loader under node, its example pages in headless Chromium."""

from __future__ import annotations

import base64
import functools
import io
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from PIL import Image
from synthetic import scene as synthetic_scene
from viewer_gaussians import as_bytes, level_ends, psnr, render
from viewer_site import serving

from gspc.codec import decode, encode
from gspc.ops import arrays
from gspc.scene import DecodedScene
from gspc.splats import ply
from gspc.splats.view import SplatRenderer

ROOT = Path(__file__).parent.parent
WASM = ROOT / "kernels/wasm"
PINNED = ROOT / "build/viewer/node_modules"  # where `make viewer` puts the engine


@pytest.fixture(scope="module")
def stream() -> bytes:
    """A scene of three levels with small Gaussians: engines do not draw very large ones alike."""
    made = synthetic_scene(1500, levels=3, seed=3)
    weight, bias = made.heads.cov.weight.copy(), made.heads.cov.bias.copy()
    for axis in range(3):  # the outputs that gate a Gaussian's scale
        weight[axis::7], bias[axis::7] = 0, -4
    heads = replace(made.heads, cov=replace(made.heads.cov, weight=weight, bias=bias))
    return encode(replace(made, heads=heads, scaling=np.zeros_like(made.scaling)), slice_anchors=256)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, stream: bytes) -> Path:
    """The package as `make npm` puts it together, with the decoder that is shipped in the viewer."""
    folder = tmp_path_factory.mktemp("npm")
    for pattern in json.loads((WASM / "package.json").read_text())["files"]:
        for path in WASM.glob(pattern):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / path.name)
    shutil.copy(WASM / "package.json", folder)
    shutil.copy(ROOT / "gspc/viewer/static/pcgs.wasm", folder)
    (folder / "scene.pcgs").write_bytes(stream)
    return folder


def test_the_package_holds_what_it_names(package: Path) -> None:
    exports = json.loads((package / "package.json").read_text())["exports"].values()
    named = [path for entry in exports for path in (entry.values() if isinstance(entry, dict) else [entry])]
    assert [path for path in named if not (package / path).is_file()] == []
    for path in package.glob("*.mjs"):
        for name in re.findall(r"from '(\./[^']+)'", path.read_text()):
            assert (package / name).is_file(), f"{path.name} imports {name}"


@pytest.fixture(scope="module")
def loaded(package: Path, stream: bytes) -> dict[str, Any]:
    """What tests/viewer_package.mjs found, and the requests that it took."""
    if shutil.which("node") is None:
        pytest.skip("no node here (Debian: apt-get install nodejs)")
    with serving(stream) as server:
        address = f"{server.address}scene.pcgs"
        command = ["node", str(ROOT / "tests/viewer_package.mjs"), str(package), address]
        command.append(str(package / "scene.pcgs"))
        out = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
        found: dict[str, Any] = {**json.loads(out), "asked": server.asked}
    return found


def test_levels_come_one_by_one(loaded: dict[str, Any], stream: bytes) -> None:
    ends = level_ends(stream)
    counts = [len(decode(stream, upto=level).scene.anchors) for level in (1, 2, 3)]
    events = loaded["levelByLevel"]["events"]
    steps = [event for event in events if event not in ("known", "unknown")]
    wanted = [
        (f"level {i}", f"{count} at {end}")
        for i, (count, end) in enumerate(zip(counts, ends, strict=True), 1)
    ]
    assert steps == [step for pair in wanted for step in pair]
    assert events[0] == "unknown"
    assert loaded["asked"][:4] == [(0, 4096), (4096, ends[0]), (ends[0], ends[1]), (ends[1], ends[2])]


def test_scenes_come_from_everywhere(loaded: dict[str, Any]) -> None:
    whole = loaded["levelByLevel"]["last"]
    assert whole["level"] == whole["levels"] == 3
    assert loaded["response"] == loaded["blob"] == loaded["bytes"] == whole
    assert (loaded["upto"]["level"], loaded["stream"]["level"]) == (2, 1)


def test_loading_can_be_stopped(loaded: dict[str, Any]) -> None:
    assert loaded["stopped"] == {"seen": [1], "error": "enough", "name": "Error", "kind": None}
    assert loaded["stoppedBefore"]["name"] == "AbortError"


@pytest.mark.parametrize(
    ("case", "kind", "part"),
    [
        ("damaged", "file", "checksum error"),
        ("cut", "file", "cut short"),
        ("noScene", "file", "not a .pcgs stream"),
        ("nothing", "network", "404"),
        ("nobody", "network", "connection"),
        ("small", "memory", "memory"),
    ],
)
def test_errors_have_kinds(loaded: dict[str, Any], case: str, kind: str, part: str) -> None:
    assert (loaded[case]["name"], loaded[case]["kind"]) == ("PcgsError", kind)
    assert part in loaded[case]["error"]


def test_what_is_no_source_is_a_type_error(loaded: dict[str, Any]) -> None:
    assert loaded["number"]["name"] == "TypeError"


def test_gaussians_of_an_eye_are_those_of_render(loaded: dict[str, Any], stream: bytes) -> None:
    scene = decode(stream).scene.in_own_coordinates()
    parts = (scene.features, scene.log_scales, scene.offsets, scene.gaussian_mask, scene.anchors)
    _, want = arrays.neural_gaussians(*parts, np.array([0.1, 0.2, 0.3]), scene.heads)
    sums = [float(np.sum(part)) for part in (want.means, want.scales, want.opacities, want.colors)]
    assert loaded["seen"]["count"] == len(want.means)
    np.testing.assert_allclose(loaded["seen"]["sums"], sums, rtol=1e-3)


def test_baked_gaussians_look_like_the_scene(loaded: dict[str, Any], stream: bytes) -> None:
    scene = decode(stream).scene
    splats = ply.read(base64.b64decode(loaded["ply"]))
    assert splats.sh.shape[1] == 4
    renderer = SplatRenderer(splats, background=scene.background)
    for number in (0, 1):
        camera = scene.in_own_coordinates().cameras[number]
        assert psnr(as_bytes(renderer.render(camera)), render(scene, number)) > 30


def test_readers_share_slices(loaded: dict[str, Any]) -> None:
    shared = loaded["shared"]
    assert 0 < shared["helped"] < shared["slices"]
    np.testing.assert_allclose(shared["found"], loaded["whole"], rtol=1e-6)


def test_the_frame_is_the_streams(loaded: dict[str, Any], stream: bytes) -> None:
    frame = decode(stream).scene.frame
    assert loaded["frame"]["scale"] == pytest.approx(frame.scale)
    np.testing.assert_allclose(loaded["frame"]["translation"], frame.translation, atol=1e-9)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def modules(*names: str) -> dict[str, Path]:
    """Where packages of npm lie; skips the test where one is missing."""
    places = {
        "playcanvas": [PINNED / "playcanvas"],
        "three": [Path(os.environ.get("GSPC_THREE", "")), PINNED / "three"],
        "@sparkjsdev/spark": [Path(os.environ.get("GSPC_SPARK", "")), PINNED / "@sparkjsdev/spark"],
    }
    found = {}
    for name in names:
        here = [path for path in places[name] if (path / "package.json").is_file()]
        if not here:
            pytest.skip(
                f"no {name} here (make viewer brings playcanvas; GSPC_THREE, GSPC_SPARK name the others)"
            )
        found[name] = here[0]
    return found


@pytest.fixture(scope="module")
def address(package: Path) -> Iterator[str]:
    """The package on a simple server, as its README says; packages of npm are linked in by `modules`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(package)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def drawn_by(browser: Browser, address: str, scene: DecodedScene, example: str) -> np.ndarray:
    """What an example's canvas shows of the first camera, at the camera's size."""
    camera = scene.cameras[0]
    with browser.page(camera.width, camera.height) as page:
        page.open(f"{address}/examples/{example}.html?scene=/scene.pcgs")
        page.wait("globalThis.done === true")
        shot = page.js(
            "new Promise((resolve) => setTimeout(() => requestAnimationFrame(() =>"
            " resolve(document.querySelector('canvas').toDataURL('image/png'))), 400))"
        )
        said = page.complaints()
    assert said == []
    picture = Image.open(io.BytesIO(base64.b64decode(shot.partition(",")[2]))).convert("RGB")
    return np.asarray(picture)


@pytest.mark.parametrize(
    ("example", "needs", "least"),
    [("plain", (), 15), ("playcanvas", ("playcanvas",), 30), ("spark", ("three", "@sparkjsdev/spark"), 30)],
)
def test_examples_draw_the_scene(
    browser: Browser,
    package: Path,
    address: str,
    stream: bytes,
    example: str,
    needs: tuple[str, ...],
    least: float,
) -> None:
    for name, place in modules(*needs).items():
        link = package / "node_modules" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(place.resolve())
    scene = decode(stream).scene
    assert psnr(drawn_by(browser, address, scene, example), render(scene, 0)) > least
