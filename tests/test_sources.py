"""What an input is: recognized once, named once in every message, the same kind for every command."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import synthetic
from cli_tools import Cli
from data_scenes import HOSTILE
from rendering_scenes import one_gaussian_scene
from stored_chunks import cameras_chunk
from test_codec_damage import index_of, rebuilt
from test_usable import camera
from train_scenes import Quiet

from gspc import pipeline
from gspc.codec import encode
from gspc.config import DataOptions, FitOptions
from gspc.data.demo import write_demo_scene
from gspc.errors import BitstreamError, InputError
from gspc.format import describe
from gspc.pipeline.source import sniff
from gspc.rendering import write_scene

pytestmark = pytest.mark.usefixtures("empty_directory")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model.pt after two steps."""
    folder = tmp_path_factory.mktemp("model")
    write_demo_scene(folder / "demo", views=5, width=40, height=30, points=80)
    options = FitOptions(iterations=2, levels=2, threads=1, checkpoint_every=0)
    pipeline.fit(folder / "demo", folder / "m.pt", DataOptions(resolution=1), options, Quiet())
    return (folder / "m.pt").read_bytes()


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encode(synthetic.tiny(20))


def test_sniff() -> None:
    assert sniff(b"\x89PCGS\r\n\x1a\x01\0") == "pcgs"
    assert sniff(b"PK\x03\x04\0\0") == "model"
    assert sniff(write_scene(one_gaussian_scene())[:16]) == "scene"
    for head in (b"ply\nformat", b"\x89PNG\r\n\x1a\n", b"\x89PCGS\n\x1a\n", b"{}" * 8, b"\xff" * 8 + b"{"):
        with pytest.raises(InputError, match=r"^is neither"):
            sniff(head)
    with pytest.raises(InputError, match=r"^is empty"):
        sniff(b"")


def test_naming_says_the_file_once() -> None:
    advice = "get the file again, or see what gspc decompress --salvage restores"
    with pytest.raises(BitstreamError, match=rf"^a.pcgs: bad; {advice}$"), pipeline.naming("a.pcgs"):
        raise BitstreamError("bad")
    with pytest.raises(InputError, match=r"^a: bad$"), pipeline.naming("b"), pipeline.naming("a"):
        raise InputError("bad")
    with pytest.raises(InputError, match=r"^a: b: bad$"), pipeline.naming("a"):
        raise InputError("b: bad")  # no source, whatever the text looks like


@pytest.mark.parametrize("name", ["t", "truncated", "chunk", "chunk SLIC", "network", "level 1"])
def test_names_that_begin_as_the_message_does(cli: Cli, stream: bytes, name: str) -> None:
    front = describe(stream).levels[0].offset
    damaged = bytearray(stream)
    damaged[-3] ^= 1
    for data, message in ((stream[: front - 1], "truncated before level 1"), (bytes(damaged), "chunk SLIC")):
        Path(name).write_bytes(data)
        ran = cli("decompress", name)
        assert ran.code == 4
        assert ran.err.startswith(f"gspc: error: {name}: {message}"), ran.err
        assert len(ran.lines) == 1


def test_a_model_is_a_model_for_every_command(cli: Cli, model: bytes) -> None:
    Path("m.pt").write_bytes(model)
    ran = cli("inspect-bitstream", "m.pt", "--map", "map.png", "--levels", "--rates", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert Path("map.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads(ran.out)
    assert (report["kind"], report["source"], report["levels"]) == ("model", "m.pt", 2)
    compressed = cli("compress", "m.pt")
    assert (compressed.code, report["bytes"]) == (0, len(compressed.out))
    assert "model, as it compresses" in cli("inspect-bitstream", "m.pt").out.decode()
    drawn = cli("render", "m.pt", "--view", "0", "-o", "-")
    assert drawn.out == cli("render", "--view", "0", "-o", "-", stdin=compressed.out).out
    ran = cli("decompress", "m.pt")
    assert (ran.code, ran.err) == (3, "gspc: error: m.pt: is a model; run gspc compress first\n")


@pytest.mark.parametrize("name", ["m.pt", "not", "n"])
def test_a_broken_model_is_named_once(cli: Cli, model: bytes, name: str) -> None:
    Path(name).write_bytes(model[:1000])
    line = f"gspc: error: {name}: not a gspc-model file, or damaged; run `gspc fit` again\n"
    for command in (["compress"], ["render"], ["inspect-bitstream"], ["inspect-bitstream", "--map", "x.png"]):
        ran = cli(*command, name)
        assert (ran.code, ran.out) == (3, b"")
        assert ran.err == line


def test_unreadable_inputs(cli: Cli) -> None:
    for name, message in (("no", "no such file; check the path"), (".", "is a directory; name a")):
        ran = cli("render", name)
        assert ran.code == 3
        assert ran.err.startswith(f"gspc: error: {name}: {message}")
    Path("loop").symlink_to("loop")
    ran = cli("render", "loop")
    assert (ran.code, len(ran.lines)) == (3, 1)
    assert ran.err.startswith("gspc: error: loop: cannot be read")


@pytest.mark.parametrize("focal", [-5.0, 0.0, 1e300, float("nan")])
def test_streams_with_cameras_that_are_none(cli: Cli, stream: bytes, focal: float) -> None:
    """decompress and render say the same, and neither calls it a bug."""
    chunk = cameras_chunk([camera(fx=focal)])
    data = rebuilt(stream, {index_of(stream, "cams"): (b"cams", chunk)})
    for command in ("decompress", "render", "inspect-bitstream --levels"):
        ran = cli(*command.split(), stdin=data)
        assert (ran.code, ran.out) == (4, b"")
        problem = "camera 1: its focal lengths must be 2^-10 to 2^30 pixels"
        advice = "get the file again, or see what gspc decompress --salvage restores"
        assert ran.err == f"gspc: error: stdin: chunk cams: {problem}; {advice}\n"


def test_what_decompress_writes_renders(cli: Cli, stream: bytes) -> None:
    """Long names and as many cameras as there may be."""
    views = [camera(name=f"{i:02d}" + "あ" * 340) for i in range(64)]
    data = rebuilt(stream, {index_of(stream, "cams"): (b"cams", cameras_chunk(views))})
    scene = cli("decompress", stdin=data)
    assert scene.code == 0
    ran = cli("render", "--size", "8", stdin=scene.out)
    assert (ran.code, len(ran.out.splitlines())) == (0, 64), ran.err
    assert len(list(Path("renders").iterdir())) == 64


def test_cameras_too_wide_to_draw(cli: Cli) -> None:
    wide = dataclasses.replace(camera(), width=20000, height=1)
    data = encode(dataclasses.replace(synthetic.tiny(20), cameras=(wide,)))
    ran = cli("render", stdin=data)
    assert ran.code == 3
    said = "gspc: error: stdin: camera 'view.png': 20000 x 1 pixels are too many to draw; choose a --size\n"
    assert ran.err == said
    assert cli("render", "--size", "2000x1", "-f", stdin=data).code == 0


@pytest.mark.skipif(not HOSTILE.is_dir(), reason="the shared hostile files are not here")
@pytest.mark.parametrize("path", sorted(HOSTILE.glob("camera_*.pcgs")), ids=lambda path: path.name)
def test_shared_hostile_cameras(cli: Cli, path: Path) -> None:
    ran = cli("render", path)
    assert ran.code in (0, 3, 4), ran.err
    assert all(line.startswith("gspc: ") for line in ran.lines)
