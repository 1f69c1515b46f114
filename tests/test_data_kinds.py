"""Files of other kinds are named as what they are, with one exit code in every command."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli
from data_scenes import SHARED
from PIL import Image

from gspc.data import kinds

SPLAT_NAMES = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "rot_0")


def ply(names: tuple[str, ...], count: int = 3) -> bytes:
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\n"
    head += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    return head.encode() + np.zeros((count, len(names)), "<f4").tobytes()


def splat(count: int = 5) -> bytes:
    table = np.zeros(count, [("p", "<f4", 3), ("s", "<f4", 3), ("c", "u1", 4), ("r", "u1", 4)])
    table["p"] = np.random.default_rng(0).normal(size=(count, 3))
    table["s"], table["c"], table["r"][:, 0] = 0.02, 200, 255
    return table.tobytes()


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"{}")
    return buffer.getvalue()


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    return buffer.getvalue()


KINDS = {
    "a trained Gaussian splat (.ply)": ply(SPLAT_NAMES),
    "a trained Gaussian splat (compressed .ply)": ply(("packed_position", "packed_color")),
    "a PLY point cloud or mesh": ply(("x", "y", "z")),
    "a trained Gaussian splat (.splat)": splat(),
    "a trained Gaussian splat (.spz)": gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 2, 0, 0, 12, 0, 0)),
    "a gzip archive": gzip.compress(b"anything else"),
    "a trained Gaussian splat (SOG)": zipped("means_l.webp"),
    "a zip archive": zipped("images/001.jpg"),
    "a trained Gaussian splat (.ksplat)": b"\0\1\0\0" + struct.pack("<III", 1, 1, 9) + b"\0" * 6000,
    "a glTF model (.glb)": b"glTF" + struct.pack("<II", 2, 100),
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "a photograph": jpeg(),
    "a HEIC photograph": b"\0\0\0\x18ftypheic\0\0\0\0",
    "a video": b"\0\0\0\x18ftypisom\0\0\0\0",
    "a web page": b"<!DOCTYPE html><html></html>",
}


@pytest.mark.parametrize("what", KINDS)
def test_kinds(what: str) -> None:
    data = KINDS[what]
    kind = kinds.recognize(data[: kinds.HEAD], len(data))
    assert kind is not None and kind.what.startswith(what) and kind.advice
    assert kind.splat == ("splat" in what or "glTF" in what)


@pytest.mark.parametrize("name", ["biker.spz", "biker.compressed.ply"])
def test_real_splats(name: str) -> None:
    path = SHARED / "splats" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    kind = kinds.look(path)
    assert kind is not None and kind.splat


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 64, b"{}", bytes(range(256)), b"\x89PCGS\r\n\x1a" + b"\0" * 24]
)
def test_unknown(data: bytes) -> None:
    assert kinds.recognize(data, len(data)) is None


@pytest.mark.parametrize(
    "command",
    [
        ["compress", "IN", "-o", "out"],
        ["decompress", "IN", "-o", "out"],
        ["render", "IN", "-o", "out"],
        ["eval", "IN", "--data", "."],
        ["inspect-bitstream", "IN"],
        ["fit", "IN", "-o", "out"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_says_the_same(
    tmp_path: Path, cli: Cli, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, (what, data) in enumerate(KINDS.items()):
        if what == "a zip archive" and command[0] != "fit":
            continue  # model.pt is a zip, too, and its reader says what is wrong
        splat = "splat" in what or "glTF" in what
        if splat and command[0] in ("render", "inspect-bitstream", "fit"):
            continue  # which take splats
        name = f"input{number}"
        (tmp_path / name).write_bytes(data)
        ran = cli(*(name if part == "IN" else part for part in command))
        assert ran.code == 3, (what, ran.err)
        said = [what, "a splat of another tool"] if splat else [what]
        starts = tuple(f"gspc: error: {name}: is {words}" for words in said)
        assert ran.err.startswith(starts) and len(ran.lines) == 1, ran.err
