"""Parts of a stream: from pipes, by region, by ranges of a web server."""

from __future__ import annotations

import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import synthetic
from cli_tools import Cli
from stream_bytes import index_of

import gspc
from gspc import pipeline
from gspc.codec import decode, encode
from gspc.errors import BitstreamError, InputError, UsageError
from gspc.format import describe
from gspc.rendering.scene_file import read_scene

STREAM = encode(synthetic.tiny(5000, levels=3), slice_anchors=120)
ANCHORS = decode(STREAM).scene.frame.to_user(decode(STREAM).scene.anchors.astype(np.float64))
LOW, HIGH = np.quantile(ANCHORS, 0.2, axis=0), np.quantile(ANCHORS, 0.6, axis=0)
BOX = (*LOW.tolist(), *HIGH.tolist())


class RangeServer(http.server.BaseHTTPRequestHandler):
    """Serves STREAM; `/whole` does not answer ranges. Counts what it sends."""

    requests: list[tuple[int, int]]

    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        part = STREAM
        if asked and self.path != "/whole":
            first, last = int(asked[1]), min(int(asked[2]), len(STREAM) - 1)
            part = STREAM[first : last + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(STREAM)}")
            self.requests.append((first, len(part)))
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    RangeServer.requests = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), RangeServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def inside(box: tuple[float, ...]) -> np.ndarray:
    return np.all((np.array(box[:3]) <= ANCHORS) & (np.array(box[3:]) >= ANCHORS), axis=1)


def test_a_region_has_its_anchors_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "scene.pcgs"
    path.write_bytes(STREAM)
    whole = decode(STREAM).scene
    keep = inside(BOX)
    assert 10 < keep.sum() < len(keep) / 2
    for source in (str(path), path, STREAM):
        part = gspc.decompress(source, region=BOX).scene
        for name in ("anchors", "features", "log_scales", "offsets", "gaussian_mask"):
            assert np.array_equal(getattr(part, name), getattr(whole, name)[keep]), name
    first = gspc.decompress(path, region=BOX, upto=1).scene
    assert first.level == 1 and 0 < len(first.anchors) < keep.sum()


def test_a_region_of_the_web_takes_only_bytes_of_its_slices(address: str) -> None:
    box = (*ANCHORS[100].tolist(), *(ANCHORS[100] + 1e-9).tolist())
    part = gspc.decompress(f"{address}/scene.pcgs", region=box)
    assert len(part.scene.anchors) == inside(box).sum() == 1
    sent = sum(size for _, size in RangeServer.requests)
    (first, size), *rest = RangeServer.requests
    assert (first, size) == (0, min(16384, len(STREAM)))
    named = {chunk.offset for chunk in describe(STREAM).chunks}
    assert all(offset in named or offset == size for offset, _ in rest) and sent <= len(STREAM)


def test_levels_of_the_web(address: str) -> None:
    for upto in (1, 2, 3):
        RangeServer.requests.clear()
        found = gspc.decompress(f"{address}/scene.pcgs", upto=upto)
        assert found.restored.symbol_hash == decode(STREAM, upto=upto).symbol_hash
        level = describe(STREAM).levels[upto - 1]
        assert sum(size for _, size in RangeServer.requests) == max(16384, level.offset + level.length)
        assert len(RangeServer.requests) <= 1 + upto


def test_servers_without_ranges_and_their_errors(address: str) -> None:
    found = gspc.decompress(f"{address}/whole", upto=2)
    assert found.restored.symbol_hash == decode(STREAM, upto=2).symbol_hash
    with pytest.raises(InputError, match=r"/missing: the server answers 404"):
        gspc.decompress(f"{address}/missing")
    with pytest.raises(InputError, match="cannot be fetched"):
        gspc.decompress("http://127.0.0.1:1/scene.pcgs")


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 1, 1), (0, 0, 0, 1, 1, float("nan")), (1, 0, 0, 0, 1, 1), (1e9, 0, 0, 2e9, 1, 1)]
)
def test_regions_that_are_none(box: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="region"):
        gspc.decompress(STREAM, region=box)


def test_decoded_scenes_have_regions_too() -> None:
    data = gspc.decompress(STREAM).data
    part = pipeline.restore_part(data, region=BOX).scene
    assert len(part.anchors) == inside(BOX).sum()


def test_cut_files_give_the_level_before(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcgs"
    path.write_bytes(STREAM[:-200])
    wide = (-1e6,) * 3 + (1e6,) * 3
    found = gspc.decompress(path, region=wide).restored
    assert (found.level, found.truncated) == (2, True) and "level 2 of 3" in found.warnings[0]
    with pytest.raises(BitstreamError, match="level 3 was asked for, the last whole one is 2"):
        gspc.decompress(path, region=wide, upto=3)
    path.write_bytes(STREAM[:500])
    with pytest.raises(BitstreamError, match="truncated"):
        gspc.decompress(path, region=wide)


def test_pipes_are_read_as_far_as_needed() -> None:
    second = describe(STREAM).levels[1]
    taken = 0

    def read(size: int) -> bytes:
        nonlocal taken
        piece = STREAM[taken : taken + min(size, 700)]
        taken += len(piece)
        return piece

    found = pipeline.decompress_pipe("pipe", read, upto=2)
    assert found.restored.symbol_hash == decode(STREAM, upto=2).symbol_hash
    assert taken <= max(16384, second.offset + second.length) + 700 < len(STREAM)
    for data, problem in ((STREAM[:900], "truncated"), (STREAM + b"x", "follow the end"), (b"", "is empty")):
        pieces = iter([data, b"", b""])
        with pytest.raises((BitstreamError, InputError), match=problem):
            pipeline.decompress_pipe("pipe", lambda _, pieces=pieces: next(pieces))


def test_command_stops_a_pipe(tmp_path: Path) -> None:
    """The writer goes on for ever; the command does not wait for it."""
    level = describe(STREAM).levels[0]
    writer = (
        "import sys, time; data = open(sys.argv[1], 'rb').read(); out = sys.stdout.buffer\n"
        "out.write(data[:int(sys.argv[2])]); out.flush(); time.sleep(30)"
    )
    path = tmp_path / "scene.pcgs"
    path.write_bytes(STREAM)
    end = max(16384, level.offset + level.length)
    with subprocess.Popen(
        [sys.executable, "-c", writer, str(path), str(end)], stdout=subprocess.PIPE
    ) as sender:
        ran = subprocess.run(
            [sys.executable, "-m", "gspc", "decompress", "--upto", "1"],
            stdin=sender.stdout,
            capture_output=True,
            check=True,
            timeout=25,
        )
        sender.kill()
    assert read_scene(ran.stdout, "out").level == 1


def test_commands_take_regions(cli: Cli, tmp_path: Path, address: str) -> None:
    path = tmp_path / "scene.pcgs"
    path.write_bytes(STREAM)
    text = ",".join(map(str, BOX))
    ran = cli("decompress", str(path), f"--region={text}")
    assert len(read_scene(ran.out, "out").anchors) == inside(BOX).sum()
    assert (
        cli("render", f"{address}/s", f"--region={text}", "--view", "0", "-o", str(tmp_path / "a.png")).code
        == 0
    )
    assert (
        cli("render", str(path), f"--region={text}", "--view", "0", "-o", str(tmp_path / "b.png")).code == 0
    )
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert cli("export", str(path), f"--region={text}", "-o", str(tmp_path / "a.ply"), "--no-check").code == 0
    bad = cli("decompress", str(path), "--region=1,2")
    assert bad.code == 2 and "x0,y0,z0,x1,y1,z1" in bad.err
    assert index_of(STREAM, "SLIC", 1, 0) > 0
