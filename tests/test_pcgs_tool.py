"""pcgs, the stand-alone decoder, against gspc itself."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
from codec_programs import ROOT, programs_for
from stream_bytes import index_of, payload_of, replaced

from gspc.codec import decode, encode
from gspc.metrics import psnr
from gspc.rendering import Renderer
from gspc.rotations import rotation_matrix
from gspc.scene import DecodedScene, Frame
from gspc.splats.formats import read_splats
from gspc.splats.splats import Splats
from gspc.splats.view import SplatRenderer

Tool = Callable[..., "subprocess.CompletedProcess[bytes]"]
GOLDEN = ROOT / "tests/golden"


@pytest.fixture
def pcgs() -> Tool:
    """`pcgs` as a function."""
    programs = programs_for("native")
    if "pcgs" not in programs:
        pytest.skip("pcgs is built for this machine, where zlib's headers and static library are")

    def run(*args: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [*programs["pcgs"], *map(str, args)]
        return subprocess.run(command, input=stdin, capture_output=True, check=False)

    return run


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encode(synthetic.tiny(300, levels=3))


def test_info_and_check(pcgs: Tool, stream: bytes) -> None:
    want = decode(stream, upto=2)
    lines = pcgs("info", "-", "--upto", 2, stdin=stream).stdout.decode().splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines)
    assert facts["bytes"] == str(len(stream))
    assert facts["level"] == "2 of 3"
    assert facts["hash"] == want.symbol_hash
    assert facts["gaussians"] == str(int(want.scene.gaussian_mask.sum()))
    assert sum(line.startswith("camera ") for line in lines) == len(want.scene.cameras)
    ran = pcgs("check", GOLDEN / "three-levels.pcgs")
    assert ran.returncode == 0 and b"fine, 3 levels" in ran.stdout


def shown(pcgs: Tool, stream: bytes, form: str, *args: object) -> Splats:
    """What pcgs writes, through gspc's own readers."""
    ran = pcgs("decode", "-", "-o", f"{form}:-", *args, stdin=stream)
    assert ran.returncode == 0, ran.stderr
    return read_splats(ran.stdout)


def agreement(scene: DecodedScene, splats: Splats, view: int) -> float:
    """PSNR of the scene's own picture and that of its plain Gaussians."""
    camera = scene.cameras[view]
    ours = SplatRenderer(splats, background=scene.background).render(camera)
    return psnr(ours, Renderer(scene).render(camera))


@pytest.mark.parametrize(("form", "bar"), [("ply", 60.0), ("spz", 38.0)])
def test_the_chosen_view_looks_the_same(pcgs: Tool, stream: bytes, form: str, bar: float) -> None:
    scene = decode(stream).scene
    assert agreement(scene, shown(pcgs, stream, form), 0) > bar
    name = scene.cameras[1].name
    for view in (1, name, name.removesuffix(".png")):
        assert agreement(scene, shown(pcgs, stream, form, "--view", view), 1) > bar


def test_gaussians_come_in_the_users_coordinates(pcgs: Tool) -> None:
    turn = rotation_matrix([0.3, -0.5, 0.2, 0.8])
    frame = Frame(2.5, turn, np.array([3.0, -1.0, 0.5]))
    stream = encode(replace(synthetic.tiny(100), frame=frame))
    scene = decode(stream).scene
    assert agreement(scene, shown(pcgs, stream, "ply"), 0) > 60


def test_positions_far_from_the_origin_are_moved(pcgs: Tool) -> None:
    """Coordinates of maps, millions of meters, which float32 holds to half a meter only."""
    near, far = (Frame(2.0, np.eye(3), np.array(place)) for place in ((0.25, 0, 0), (4e6 + 0.25, 0, 0)))
    found = []
    for frame in (near, far):
        stream = encode(replace(synthetic.tiny(100), frame=frame))
        found.append(shown(pcgs, stream, "ply").means)
    np.testing.assert_array_equal(*found)


def test_files_are_not_overwritten(pcgs: Tool, stream: bytes, tmp_path: Path) -> None:
    target = tmp_path / "scene.ply"
    assert pcgs("decode", "-", "-o", target, stdin=stream).returncode == 0
    first = target.read_bytes()
    ran = pcgs("decode", "-", "-o", target, "--upto", 1, stdin=stream)
    assert (ran.returncode, target.read_bytes()) == (6, first)
    assert b"exists already; add -f" in ran.stderr
    assert pcgs("decode", "-", "-o", target, "-f", "--upto", 1, stdin=stream).returncode == 0
    assert target.read_bytes() != first
    assert list(tmp_path.iterdir()) == [target]


def test_errors_are_one_line_with_its_exit_code(pcgs: Tool, stream: bytes, tmp_path: Path) -> None:
    cases = [
        (("frobnicate", "-"), b"", 2, b"no such command"),
        (("decode", "-", "-o", "scene.obj"), stream, 2, b".ply or .spz"),
        (("decode", "-", "-o", "ply:-", "--view", "99"), stream, 2, b"the views are 0 to 1"),
        (("decode", "-", "-o", "ply:-", "--upto", "9"), stream, 2, b"from 1 to 8"),
        (("decode", "-", "-o", tmp_path / "no" / "scene.ply"), stream, 6, b"cannot be written"),
        (("info", tmp_path / "none.pcgs"), b"", 3, b"none.pcgs: cannot be read"),
        (("info", "-"), b"hello", 4, b"bad magic"),
        (("check", "-"), stream[:-1], 4, b"is not whole"),
    ]
    for args, data, code, words in cases:
        ran = pcgs(*args, stdin=data)
        assert (ran.returncode, ran.stdout) == (code, b""), args
        last = ran.stderr.splitlines()[-1]
        assert last.startswith(b"pcgs: error: ") and words in last, args
    damaged = bytearray(stream)
    damaged[-5] ^= 1
    assert pcgs("check", "-", stdin=bytes(damaged)).returncode == 4
    assert b"usage: pcgs" in pcgs("--help").stdout


def test_texts_of_a_file_cannot_move_the_cursor(pcgs: Tool, stream: bytes) -> None:
    index = index_of(stream, "meta")
    payload = payload_of(stream, index)
    hostile = payload.replace(b"synthetic", b"\x1b[2J\x7f\xc2\x9bmm")
    assert hostile != payload and len(hostile) == len(payload)
    ran = pcgs("info", "-", stdin=replaced(stream, index, hostile))
    assert ran.returncode == 0, ran.stderr
    assert b"?[2J???mm" in ran.stdout and b"\x1b" not in ran.stdout
