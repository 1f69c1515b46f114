"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_tools import environment

from gspc.errors import OutputError
from gspc.output import (
    atomic_file,
    check_target,
    cut_to_bytes,
    descriptor_of,
    output_error,
    same_file,
    write_atomically,
    writing,
)


def listing(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_writes_bytes_and_what_a_function_writes(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"\x00\xff")
    write_atomically(tmp_path / "b", lambda stream: stream.write(b"xy"))
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "b").read_bytes() == b"xy"
    assert listing(tmp_path) == ["a", "b"]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    for failure in (KeyboardInterrupt(), ValueError("x")):
        with pytest.raises(type(failure)), atomic_file(target) as stream:
            stream.write(b"new")
            raise failure
    assert target.read_bytes() == b"old"
    assert listing(tmp_path) == ["a"]


def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    def full(stream: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"a: no space left"):
        write_atomically(tmp_path / "a", full)
    assert listing(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_devices_are_written_to_and_not_replaced() -> None:
    write_atomically(Path("/dev/null"), b"x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OutputError, match="/dev/full: no space left"):
        write_atomically(Path("/dev/full"), b"x")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_check_target(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match=r"a: exists already; add -f"):
        check_target(tmp_path / "a", force=False)
    check_target(tmp_path / "a", force=True)
    check_target(tmp_path / "b", force=False)
    check_target(Path("/dev/null"), force=False)
    with pytest.raises(OutputError, match="is a directory"):
        check_target(tmp_path, force=True)
    with pytest.raises(OutputError, match="does not exist; create it first"):
        check_target(tmp_path / "no" / "b", force=True)
    with pytest.raises(OutputError, match=r"not exist|not a directory"):
        check_target(tmp_path / "a" / "b", force=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_check_target_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"):
        check_target(tmp_path / "a", force=False)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EDQUOT, "quota"),
        (errno.ENOTDIR, "not a directory"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_every_reason_is_said(number: int, text: str) -> None:
    line = str(output_error("f", OSError(number, os.strerror(number))))
    assert line.startswith("f: ")
    assert text in line
    assert "\n" not in line


def test_a_closed_pipe_is_not_an_output_error() -> None:
    with pytest.raises(BrokenPipeError), writing("stdout"):
        raise BrokenPipeError


def test_names_are_cut_by_bytes(tmp_path: Path) -> None:
    """File systems allow 255 bytes, which are 85 of these letters."""
    path = tmp_path / ("あ" * 84 + ".g")
    write_atomically(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]
    assert cut_to_bytes("aあい", 6) == "aあ"
    assert cut_to_bytes("a\udcff", 9) == "a"


def test_links_in_a_circle(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(OutputError, match=r"loop: cannot be written \(Too many levels of symbolic links\)"):
        check_target(loop, force=True)


def test_a_replaced_file_hands_on_its_permissions(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    for mode in (0o600, 0o755):
        target.chmod(mode)
        write_atomically(target, b"new")
        assert stat.S_IMODE(target.stat().st_mode) == mode


def test_leftovers_of_killed_runs_are_removed(tmp_path: Path) -> None:
    """A process that is killed while it writes leaves its temporary file; the next run removes it, but not
    that of a run that goes on."""
    code = (
        "import os, signal, sys; from pathlib import Path; from gspc.output import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as stream:\n"
        "    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    target = tmp_path / "a.pcgs"
    subprocess.run([sys.executable, "-c", code, str(target)], env=environment(), check=False)
    (left,) = listing(tmp_path)
    assert left.startswith(".a.pcgs.") and left.endswith(".part")
    (tmp_path / ".a.pcgs.mine.part").write_bytes(b"not ours")
    with atomic_file(target) as stream:
        stream.write(b"first")
        write_atomically(target, b"second")
        assert len(listing(tmp_path)) == 3
    assert target.read_bytes() == b"first"
    assert listing(tmp_path) == [".a.pcgs.mine.part", "a.pcgs"]


def test_descriptors() -> None:
    assert [descriptor_of(Path(name)) for name in ("/dev/stdout", "/dev/fd/63", "/proc/self/fd/3")] == [
        1,
        63,
        3,
    ]
    assert descriptor_of(Path(f"/proc/{os.getpid()}/fd/5")) == 5
    for name in ("/dev/fd/x", "/dev/null", "dev/fd/1", f"/proc/{os.getpid() + 1}/fd/5"):
        assert descriptor_of(Path(name)) is None
    reader, writer = os.pipe()
    write_atomically(Path(f"/dev/fd/{writer}"), b"through a pipe")
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        assert stream.read() == b"through a pipe"
    with pytest.raises(OutputError, match="is closed"):
        check_target(Path(f"/dev/fd/{writer}"), force=False)


def test_same_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "link").symlink_to("a")
    os.link(tmp_path / "a", tmp_path / "hard")
    (tmp_path / "b").write_bytes(b"")
    assert same_file(tmp_path / "link", tmp_path / "hard")
    assert not same_file(tmp_path / "a", tmp_path / "b")
    assert not same_file(tmp_path / "a", tmp_path / "none")
    assert not same_file(Path("/dev/null"), Path("/dev/null"))
