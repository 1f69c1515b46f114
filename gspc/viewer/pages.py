"""The viewer's page around a scene, as files beside each other or as one file.

Both pages carry a Content-Security-Policy that lets nothing run or load but what gspc put there.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files

SCENE, INDEX = "scene.pcgs", "scene.pcgsx"  # what a scene is called beside the page; one of many tiles

# Blobs: the engine's sorter is a worker that it makes itself, pictures are saved from blobs.
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'"
)


def site(name: str, stream: bytes) -> dict[str, bytes]:
    """A folder's files by name, from which any web server shows the scene. `name` is the title.

    Servers that answer range requests make it progressive; with others it works, too.
    """
    return {**_viewer({"name": name, "scene": SCENE}), SCENE: stream}


def tiled_site(name: str, index: bytes, parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same of a tiled scene: its index (pcgsx(5)), and the files that it names."""
    return {**_viewer({"name": name, "index": INDEX}), INDEX: index, **parts}


def _viewer(settings: dict[str, str]) -> dict[str, bytes]:
    """A page and what it loads, but for the scene."""
    page = _page(
        policy=POLICY,
        style='<link rel="stylesheet" href="style.css">',
        settings={**settings, "worker": "worker.js", "wasm": "pcgs.wasm"},
        script='<script src="viewer.js"></script>',
    )
    names = ("viewer.js", "worker.js", "pcgs.wasm", "style.css", "LICENSE.playcanvas")
    return {"index.html": page, **{name: _static(name) for name in names}}


def single_page(name: str, stream: bytes) -> bytes:
    """One HTML file with viewer, decoder and scene inside, which needs neither a server nor a network."""
    style, boot = _static("style.css").decode(), _static("boot.js").decode()
    policy = (
        f"default-src 'none'; script-src {_hashed(boot)} blob: 'wasm-unsafe-eval'; "
        f"style-src {_hashed(style)}; img-src data: blob:; worker-src blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {"viewer": "viewer.js", "worker": "worker.js", "wasm": "pcgs.wasm"}
    packed = {part: gzip.compress(_static(file), 9, mtime=0) for part, file in parts.items()}
    texts = [_part(part, data) for part, data in [*packed.items(), ("scene", stream)]]
    return _page(
        policy=policy,
        style=f"<style>{style}</style>",
        settings={"name": name},
        script="\n".join([*texts, f'<script type="module">{boot}</script>']),
    )


def _static(name: str) -> bytes:
    return files("gspc.viewer").joinpath("static", name).read_bytes()


def _page(*, policy: str, style: str, settings: dict[str, str], script: str) -> bytes:
    """The page's frame with its four places filled in."""
    page = _static("index.html").decode()
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    # A name of a file could end the script element that it stands in.
    text = json.dumps(settings).replace("<", "\\u003c")
    for place, content in (("policy", meta), ("style", style), ("settings", text), ("script", script)):
        before, mark, after = page.partition(f"<!--{place}-->")
        assert mark, place
        page = before + content + after
    return page.encode()


def _part(name: str, data: bytes) -> str:
    """A part of the page as text, which browsers do not run."""
    return f'<script type="text/plain" id="part-{name}">{base64.b64encode(data).decode()}</script>'


def _hashed(text: str) -> str:
    """A source of a policy that lets in exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
