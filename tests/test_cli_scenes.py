"""decompress, render and compress: what reaches the pipeline, what is printed where, what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import STREAM, Cli
from rendering_scenes import random_scene

import gspc.rendering
from gspc import pipeline
from gspc.pipeline import decompressing
from gspc.rendering import read_scene, write_scene

SCENE = random_scene(cameras=3)


def flat(scene: Any, camera: Any, *, backend: str = "cpu") -> Any:
    """A gray picture, in place of rendering."""
    return np.full((camera.height, camera.width, 3), 0.5, np.float32)


class FlatRenderer:
    def __init__(self, scene: Any, backend: str = "cpu") -> None:
        self.scene = scene

    def render(self, camera: Any) -> Any:
        return flat(self.scene, camera)


@pytest.fixture(autouse=True)
def no_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rendering stands in: these tests are about the commands."""
    monkeypatch.setattr(gspc.rendering, "render_view", flat)
    monkeypatch.setattr(gspc.rendering.frames, "Renderer", FlatRenderer)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Streams decode to SCENE; the calls are recorded."""
    calls: list[dict[str, Any]] = []

    def restore(source: Any, **options: Any) -> pipeline.Restored:
        calls.append(options | {"name": source.name, "kind": source.kind})
        return pipeline.Restored(SCENE, 2, 3, True, ("level 2 of 3 was used",), "0123456789abcdef")

    # In this order: the pipeline's own name is looked up in `decompressing` when it is first used.
    monkeypatch.setattr(pipeline, "restore", restore)
    monkeypatch.setattr(decompressing, "restore", restore)
    return calls


def test_decompress_writes_a_scene_to_a_pipe(cli: Cli, restored: list[dict[str, Any]]) -> None:
    Path("a.pcgs").write_bytes(STREAM)
    ran = cli("decompress", "a.pcgs", "--upto", "2", "--threads", "3", "--max-memory", "1.5GB")
    assert ran.code == 0
    assert ran.out == write_scene(SCENE)
    assert ran.err == "gspc: warning: a.pcgs: level 2 of 3 was used\n"
    assert restored == [
        {"upto": 2, "threads": 3, "max_memory": 1_500_000_000, "name": "a.pcgs", "kind": "pcgs"}
    ]


def test_decompress_to_a_file_and_what_json_says(cli: Cli, restored: list[dict[str, Any]]) -> None:
    Path("a.pcgs").write_bytes(STREAM)
    ran = cli("decompress", "a.pcgs", "-o", "scene", "--json")
    assert ran.code == 0
    assert read_scene(Path("scene").read_bytes()).level == 2
    report = json.loads(ran.out)
    assert report == {
        "input": "a.pcgs",
        "level": 2,
        "levels": 3,
        "truncated": True,
        "anchors": 50,
        "gaussians": int(SCENE.gaussian_mask.sum()),
        "symbol_hash": "0123456789abcdef",
        "warnings": ["level 2 of 3 was used"],
    }
    ran = cli("decompress", "a.pcgs", "--json")
    assert ran.out == write_scene(SCENE)
    assert json.loads(ran.lines[-1]) == report


def test_binary_output_never_goes_to_a_terminal(cli: Cli, restored: list[dict[str, Any]]) -> None:
    Path("a.pcgs").write_bytes(STREAM)
    for args in (["decompress", "a.pcgs"], ["decompress", "a.pcgs", "-o", "-"], ["compress", "a.pcgs"]):
        ran = cli(*args, terminals=["stdout"])
        assert (ran.code, ran.out) == (6, b"")
        assert ran.err.startswith("gspc: error: stdout: a ")
        assert "is binary and stdout a terminal" in ran.err
    ran = cli("render", "a.pcgs", "--view", "0", "-o", "-", terminals=["stdout"])
    assert (ran.code, ran.out) == (6, b"")
    assert restored == []


def test_nothing_is_read_from_a_terminal(cli: Cli) -> None:
    for args in (["decompress", "-o", "x"], ["render"], ["inspect-bitstream", "-"], ["eval", "--data", "d"]):
        ran = cli(*args, terminals=["stdin"])
        assert ran.code == 2
        assert ran.err == "gspc: error: no input: name a file, or pipe one in\n"


def test_existing_outputs_need_force(cli: Cli, restored: list[dict[str, Any]]) -> None:
    Path("a.pcgs").write_bytes(STREAM)
    for name in ("scene", "view.png"):
        Path(name).write_bytes(b"old")
    for args in (
        ["decompress", "a.pcgs", "-o", "scene"],
        ["render", "a.pcgs", "--view", "0", "-o", "view.png"],
    ):
        ran = cli(*args)
        assert ran.code == 6
        assert ran.err == f"gspc: error: {args[-1]}: exists already; add -f to overwrite it\n"
        assert Path(args[-1]).read_bytes() == b"old"
        assert restored == []  # refused before any work
        assert cli(*args, "-f").code == 0
        assert Path(args[-1]).read_bytes() != b"old"
        restored.clear()


@pytest.mark.parametrize("command", ["decompress", "render", "inspect-bitstream", "compress"])
def test_missing_inputs(cli: Cli, command: str) -> None:
    assert cli(command, "nosuch").err == "gspc: error: nosuch: no such file; check the path\n"
    assert cli(command, ".").code == 3
    assert cli(command, "nosuch").code == 3


def test_decompress_takes_streams_only(cli: Cli) -> None:
    ran = cli("decompress", stdin=write_scene(SCENE))
    assert (ran.code, ran.out) == (3, b"")
    assert ran.err == "gspc: error: stdin: is a decoded scene already\n"
    ran = cli("decompress", stdin=b"PK\x03\x04 a zip")
    assert ran.err == "gspc: error: stdin: is a model; run gspc compress first\n"


# ---- render ----


def test_render_without_options_draws_the_suggested_cameras(cli: Cli) -> None:
    ran = cli("render", stdin=write_scene(SCENE))
    assert (ran.code, ran.err) == (0, "")
    names = ["renders/view_00.png", "renders/view_01.png", "renders/view_02.png"]
    assert ran.out.decode().split() == names
    assert all(Path(name).read_bytes().startswith(b"\x89PNG") for name in names)
    ran = cli("render", stdin=write_scene(SCENE))
    assert (ran.code, ran.out) == (6, b"")
    assert ran.err.startswith("gspc: error: renders/view_00.png: exists")
    assert cli("render", "-f", stdin=write_scene(SCENE)).code == 0


def test_render_one_view(cli: Cli) -> None:
    data = write_scene(SCENE)
    ran = cli("render", "--view", "1", "--size", "30", "-o", "-", stdin=data)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(b"\x89PNG")
    assert int.from_bytes(ran.out[16:20], "big") == 30
    ran = cli("render", "--view", "view_02.jpg", "-o", "one.png", stdin=data)
    assert ran.out == b"one.png\n"
    ran = cli("render", "-o", "all.png", stdin=data)
    assert ran.code == 2
    assert ran.err.startswith(
        "gspc: error: -o all.png takes one picture and there are 3 views; choose one with --view"
    )
    assert cli("render", "--view", "7", stdin=data).code == 2
    assert cli("render", "--size", "0x4", stdin=data).code == 2
    assert not Path("all.png").exists()


def test_render_a_level(cli: Cli, restored: list[dict[str, Any]]) -> None:
    ran = cli("render", "--upto", "1", stdin=STREAM)
    assert ran.code == 0
    assert restored[0]["upto"] == 1
    assert ran.err == "gspc: warning: stdin: level 2 of 3 was used\n"


def test_a_decoded_scene_has_one_level(cli: Cli) -> None:
    data = write_scene(SCENE)
    assert cli("render", "--upto", "2", stdin=data).code == 0
    ran = cli("render", "--upto", "1", "-f", stdin=data)
    assert ran.code == 2
    assert (
        ran.err
        == "gspc: error: stdin: is already decoded to level 2; run gspc decompress --upto 1 on its .pcgs\n"
    )


def test_unknown_content(cli: Cli) -> None:
    ran = cli("render", stdin=b"anything else")
    assert ran.code == 3
    assert ran.err.startswith("gspc: error: stdin: is neither")
    assert cli("render", stdin=b"").code == 3
    damaged = write_scene(SCENE)[:-5]
    ran = cli("render", stdin=damaged)
    assert ran.code == 3
    assert ran.err.startswith("gspc: error: stdin: is not a usable decoded scene")


# ---- demo-scene ----


def test_demo_scene_overwrites_with_force_only(cli: Cli) -> None:
    written: list[Path] = []
    cli.monkeypatch.setattr(
        pipeline, "write_demo_scene", lambda directory, on_picture: written.append(directory)
    )
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full/mine").write_bytes(b"precious")
    assert cli("demo-scene", "empty").code == cli("demo-scene", "new").code == 0
    ran = cli("demo-scene", "full")
    assert (ran.code, ran.err) == (6, "gspc: error: full: has files in it; add -f to overwrite them\n")
    assert cli("demo-scene", "full", "-f").code == 0
    assert written == [Path("empty"), Path("new"), Path("full")]


# ---- compress ----


def test_compress_says_the_sizes(cli: Cli) -> None:
    calls = []

    def compress(
        source: Any,
        *,
        levels: int | None,
        max_size: int | None,
        threads: int,
        coder: str,
        parity: bool | None,
    ) -> pipeline.Compressed:
        calls.append((source.kind, levels, max_size, threads, coder, parity))
        return pipeline.Compressed(b"\x89data", 2, (1234, 5678))

    cli.monkeypatch.setattr(pipeline, "compress", compress)
    Path("model.pt").write_bytes(b"PK\x03\x04")
    ran = cli("compress", "model.pt", "--levels", "2", "-o", "scene.pcgs")
    assert (ran.code, ran.out) == (0, b"")
    assert ran.err == "gspc: scene.pcgs: 5 bytes; up to level 1: 1,234, 2: 5,678\n"
    assert Path("scene.pcgs").read_bytes() == b"\x89data"
    assert cli("compress", stdin=STREAM).out == b"\x89data"
    assert cli("compress", "--coder", "torchac", stdin=STREAM).code == 0
    assert cli("compress", "--max-size", "1.5kB", stdin=STREAM).code == 0
    assert calls == [
        ("model", 2, None, 0, "lanes", None),
        ("pcgs", None, None, 0, "lanes", None),
        ("pcgs", None, None, 0, "torchac", None),
        ("pcgs", None, 1500, 0, "lanes", None),
    ]


def test_compress_refuses_a_decoded_scene(cli: Cli) -> None:
    ran = cli("compress", "-o", "x", stdin=write_scene(SCENE))
    assert ran.code == 3
    assert ran.err.startswith("gspc: error: stdin: is a decoded scene; compress the model")
    assert not Path("x").exists()
