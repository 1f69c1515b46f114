"""Small files and arguments that once cost minutes or ended as bugs of ours: one line each."""

from __future__ import annotations

import dataclasses
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import synthetic
from cli_tools import Cli
from train_scenes import SMALL, noise_scene

from gspc.cli.fit_settings import read_settings
from gspc.codec import encode
from gspc.errors import InputError, OutputError, UsageError
from gspc.model.anchors import ModelShape
from gspc.output import check_target, write_atomically
from gspc.train.initialize import initial_model

TOML = {
    "nested deeply": (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
    "a number of thousands of digits": (b"iterations = " + b"9" * 5000, "4300"),
    "keys of many parts": (b".".join([b"a"] * 100_000) + b" = 1", "is larger than"),
    "many keys": (b"".join(b"a.b%d = 1\n" % i for i in range(100_000)), "is larger than"),
    "no text": (b"\xff\xfe", "utf-8"),
}


@pytest.mark.parametrize("kind", TOML)
@pytest.mark.timeout(20)
def test_settings_that_would_keep_their_reader_busy(tmp_path: Path, kind: str) -> None:
    content, line = TOML[kind]
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=line):
        read_settings(path)


@pytest.mark.parametrize("command", ["decompress", "render", "export", "eval", "inspect-bitstream", "fit"])
def test_more_threads_than_any_machine_has(cli: Cli, command: str) -> None:
    ran = cli(command, "there-is-none", "--threads", 2**31, "--data" if command == "eval" else "-q")
    assert ran.code == 2
    assert len(ran.lines) == 1


@pytest.mark.parametrize(("size", "line"), [(1e300, "too large"), (3e38, "too large"), (1e-300, "too small")])
def test_voxels_that_no_stream_holds(size: float, line: str) -> None:
    with pytest.raises(InputError, match=line):
        initial_model(noise_scene(), ModelShape.of(SMALL, 3, (1e-2, 1e-3, 1e-4)), size)


def test_a_new_name_is_written_down_like_the_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename is on disk when its folder is: that is synchronized after the file, once the name is there."""
    kept: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        kept.append(f"folder, {sorted(os.listdir(descriptor))}" if folder else "file")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "scene.pcgs", b"bytes")
    assert kept == ["file", "folder, ['scene.pcgs']"]


NAMES = {
    "longer than any file's": ("x" * 300, 3, "cannot be read (File name too long)"),
    "an address that is none": ("http://exa mple/x.pcgs", 3, "cannot be fetched ("),
    "an address with an odd port": ("http://127.0.0.1:port/x.pcgs", 3, "cannot be fetched ("),
}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("command", ["decompress", "render", "export"])
def test_odd_names_of_inputs(cli: Cli, tmp_path: Path, kind: str, command: str) -> None:
    name, code, line = NAMES[kind]
    ran = cli(command, name, "-o", tmp_path / "out.ply")
    assert ran.code == code and line in ran.err
    assert len(ran.lines) == 1 and name in ran.err


def test_odd_names_of_outputs(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="NUL"):
        check_target(tmp_path / "a\0b", force=False)


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """The address of a server that answers one request with these bytes and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            peer, _ = listening.accept()
            with peer, suppress(OSError):
                peer.recv(4096)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x.pcgs"
        thread.join()


def test_servers_that_send_without_end(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not know ranges sends all of the file, but not more than memory holds."""
    monkeypatch.setattr("gspc.pipeline.arriving.MAX_MEMORY", 1000)
    with server(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(1_000_000)) as address:
        ran = cli("decompress", address, "-o", tmp_path / "x")
    assert (ran.code, len(ran.lines)) == (3, 1) and "sends more than 1000 bytes" in ran.err


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"]
)
def test_servers_that_do_not_speak_http(cli: Cli, tmp_path: Path, answer: bytes) -> None:
    """One that hangs up, one that talks nonsense, and one that promises more than it sends."""
    with server(answer) as address:
        ran = cli("decompress", address, "-o", tmp_path / "x")
    assert ran.code in (3, 4) and len(ran.lines) == 1


def test_a_level_that_no_stream_can_have(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "s.pcgs"
    path.write_bytes(encode(synthetic.tiny(5, levels=1)))
    assert cli("decompress", path, "-o", tmp_path / "x", "--upto", 2**31 - 1).code == 4
    assert cli("decompress", path, "-o", tmp_path / "x", "--upto", 2**40).code == 2


def test_escapes_of_a_file_reach_no_terminal(cli: Cli, tmp_path: Path) -> None:
    """Neither those of metadata and names, nor with --debug, whose traceback quotes what it was given."""
    scene = synthetic.tiny(20, levels=1)
    odd = {"k\x1b]0;title\x07": "v\x1b[2J\x9b31m", "\x1b[8m": "hidden"}
    path = tmp_path / "odd.pcgs"
    path.write_bytes(encode(dataclasses.replace(scene, metadata=odd)))
    for arguments in (
        ["inspect-bitstream", path],
        ["inspect-bitstream", path, "--json"],
        ["render", path, "-o", tmp_path / "r"],
        ["render", path, "-o", tmp_path / "q", "--view", "\x1b[31m", "--debug"],
        ["decompress", tmp_path / "\x1b[31mred", "-o", tmp_path / "x", "--debug"],
        ["fit", tmp_path / "\x9b31mred", "-o", tmp_path / "m.pt", "--debug"],
    ):
        ran = cli(*arguments)
        said = ran.out.decode() + ran.err
        assert said and not set(said) & {"\x1b", "\x07", "\x9b"}, (arguments, said)


def test_all_metadata_that_a_stream_may_hold_decodes_to_a_scene(cli: Cli, tmp_path: Path) -> None:
    """Escaped twice as JSON, each of these characters takes seven bytes in the decoded scene."""
    path = tmp_path / "much.pcgs"
    scene = dataclasses.replace(synthetic.tiny(20, levels=1), metadata={"k": "\x01" * 170_000})
    path.write_bytes(encode(scene))
    assert cli("decompress", path, "-o", tmp_path / "much.scene").code == 0
    assert cli("inspect-bitstream", tmp_path / "much.scene", "--json").code == 0


def test_a_picture_wider_than_any(cli: Cli, tmp_path: Path) -> None:
    scene = synthetic.tiny(20, levels=1)
    sides = ((20_000, 1), (1, 20_000))
    cameras = tuple(dataclasses.replace(scene.cameras[0], width=w, height=h) for w, h in sides)
    path = tmp_path / "wide.pcgs"
    path.write_bytes(encode(dataclasses.replace(scene, cameras=cameras)))
    ran = cli("render", path, "-o", tmp_path / "r")
    assert ran.code == 3 and "too many to draw; choose a --size" in ran.err
    assert len(ran.lines) == 1
